//! How fast cores are, as the kernel told at the first question: `/proc/cpuinfo`, which not every architecture fills.

use std::sync::OnceLock;

/// Reading it again costs the kernel a question to every core.
static TOLD: OnceLock<Vec<u64>> = OnceLock::new();

/// Megahertz of a core; of the first for a worker that is not pinned.
pub(super) fn of(core: Option<usize>) -> Option<u64> {
    let told = TOLD.get_or_init(|| read(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()));
    told.get(core.unwrap_or_default()).copied()
}

/// One number for each `cpu MHz : 2999.998`.
fn read(text: &str) -> Vec<u64> {
    let values = text.lines().filter_map(|line| line.strip_prefix("cpu MHz")?.split_once(':'));
    let whole = |(_, value): (&str, &str)| value.trim().split('.').next().and_then(|whole| whole.parse().ok());
    values.filter_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_has_the_frequency_beside_its_name() {
        let text = "processor\t: 0\ncpu MHz\t\t: 2999.998\nflags\t: mhz\n\nprocessor\t: 1\ncpu MHz\t\t: 800.000\n";
        assert_eq!(read(text), [2999, 800]);
        assert!(read("CPU part : 0xd0c\ncpu MHz : fast\n").is_empty());
    }
}

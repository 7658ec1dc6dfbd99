//! Durations, sizes and bit rates with units: `30s`, `500ms`, `4KiB`, `10Mbit`.

use std::time::Duration;

/// Units of time, in nanoseconds.
const TIME: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Units of size, in octets.
const SIZE: [(&str, u64); 5] = [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Units of rates, in bits a second: decimal, as everybody's lines are sold.
const RATE: [(&str, u64); 4] = [("bit", 1), ("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000)];

/// `30s`, `500ms`, `50us`, `2m`, `1h`, `1.5s`. `None` without a unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &TIME).map(Duration::from_nanos)
}

/// `1400`, `4KiB`, `8MiB`, in octets.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    scaled(text, &SIZE)
}

/// `10Mbit`, `1.5Gbit`, in bits a second. `None` without a unit.
pub(super) fn parse_rate(text: &str) -> Option<u64> {
    scaled(text, &RATE)
}

/// The longest unit without a remainder: `90s` is `90s`, `120s` is `2m`.
pub(super) fn show_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        nanos => show(nanos, TIME.iter()),
    }
}

/// As [`show_duration`], for octets.
pub(super) fn show_size(octets: u64) -> String {
    show(octets, SIZE.iter().filter(|(unit, _)| *unit != "B"))
}

/// As [`show_duration`], for bits a second.
pub(super) fn show_rate(bits: u64) -> String {
    match bits {
        0 => "0bit".to_owned(),
        bits => show(bits, RATE.iter()),
    }
}

fn show<'a>(value: u64, units: impl DoubleEndedIterator<Item = &'a (&'a str, u64)>) -> String {
    let mut units = units.rev();
    match units.find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => value.to_string(),
    }
}

/// A decimal number with at most nine places, times its unit, exact.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let number = number.replace('_', "");
    let (whole, places) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || places.len() > 9 || number.ends_with('.') {
        return None;
    }
    let mut total = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    if !places.is_empty() {
        let denominator = 10_u64.checked_pow(u32::try_from(places.len()).ok()?)?;
        let numerator = places.parse::<u64>().ok()?.checked_mul(*factor)?;
        if !numerator.is_multiple_of(denominator) {
            return None;
        }
        total = total.checked_add(numerator / denominator)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5s", 1500)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("50us"), Some(Duration::from_micros(50)));
        for text in ["", "30", "s", "30 parsecs", "-1s", "1..5s", "1.s", "99999999999999999999s", "20000000000h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_count_octets_unless_they_name_a_unit() {
        for (text, octets) in [("1400", 1400), ("4KiB", 4096), ("1.5KiB", 1536), ("8 MiB", 8 << 20), ("7B", 7)] {
            assert_eq!(parse_size(text), Some(octets), "{text}");
        }
        for text in ["fast", "4kb", "0.3B", ""] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_decimal_and_have_units() {
        for (text, bits) in [("10Mbit", 10_000_000), ("64kbit", 64_000), ("2.5 Gbit", 2_500_000_000), ("7bit", 7)] {
            assert_eq!(parse_rate(text), Some(bits), "{text}");
            assert_eq!(parse_rate(&show_rate(bits)), Some(bits));
        }
        assert_eq!(show_rate(1_500_000), "1500kbit");
        for text in ["10", "10mbit", "10Mb", "10MiB", "fast", "0.0005kbit", ""] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for nanos in [0, 1, 50_000, 500_000_000, 30_000_000_000, 90_000_000_000, 120_000_000_000, 7_200_000_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(120)), "2m");
        for octets in [1, 576, 4096, 8 << 20] {
            assert_eq!(parse_size(&show_size(octets)), Some(octets));
        }
    }
}

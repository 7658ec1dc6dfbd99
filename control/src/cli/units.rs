//! Numbers for people.

/// `17 B`, `4.2 KiB`, `1.0 GiB`.
pub(super) fn octets(value: u64) -> String {
    scaled(value, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// `17`, `4.2k`, `1.0M`.
pub(super) fn count(value: u64) -> String {
    scaled(value, 1000, &["", "k", "M", "G", "T", "P", "E"]).replace(' ', "")
}

/// `42s`, `7m03s`, `5h07m`, `3d04h`.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `0`, `640 bit/s`, `1.2 Mbit/s`.
pub(super) fn bits(rate: u64) -> String {
    let (divisor, unit) = match rate {
        0 => return "0".to_owned(),
        1..1000 => return format!("{rate} bit/s"),
        1000..1_000_000 => (1000, "kbit/s"),
        1_000_000..1_000_000_000 => (1_000_000, "Mbit/s"),
        1_000_000_000.. => (1_000_000_000, "Gbit/s"),
    };
    format!("{}.{} {unit}", rate / divisor, rate % divisor * 10 / divisor)
}

/// Milliseconds with one decimal place: `0.3ms`, `41.7ms`.
pub(super) fn millis(micros: u64) -> String {
    format!("{}.{}ms", micros / 1000, micros / 100 % 10)
}

fn scaled(value: u64, step: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut divisor = 1;
    // One decimal place after rounding: 1023.96 KiB would read 1024.0 KiB, so it is 1.0 MiB.
    while unit + 1 < units.len()
        && u128::from(value) * 20 >= u128::from(divisor) * u128::from(step) * 20 - u128::from(divisor)
    {
        unit += 1;
        divisor *= step;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 {
        return format!("{value} {name}");
    }
    let tenths = (u128::from(value) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_counts_keep_one_decimal_place() {
        for (value, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (200 << 20, "200.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(octets(value), text);
        }
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1.0k"), (999_949, "999.9k"), (999_950, "1.0M")] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn times_show_their_two_largest_parts() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m")] {
            assert_eq!(time(seconds), text);
        }
        assert_eq!(time(86_400 * 3 + 4 * 3600), "3d04h");
    }
}

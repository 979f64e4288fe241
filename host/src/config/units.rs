//! Durations and sizes as an operator writes them: `"20s"`, `"64MiB"`.
//!
//! A quantity is a whole number and a unit, without a space between them. What is not such a text, or does not fit into
//! 64 bits, is `None`; the caller knows the key and says so.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::located::Located;

/// What the schema says of a duration.
const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";
/// What the schema says of a size that is not a plain number of bytes.
const SIZE_PATTERN: &str = "^[0-9]+(B|kB|KB|MB|GB|KiB|MiB|GiB)$";

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
/// Far enough that nobody waits for it, near enough that adding it to a date cannot overflow.
pub(super) const FOREVER: Duration = Duration::from_hours(3650 * 24);

/// From the largest, so that [`duration_text`] finds the shortest text first.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", MIB),
    ("KiB", KIB),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A duration: a whole number and ms, s, m, h or d.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct DurationText(#[schemars(regex(pattern = DURATION_PATTERN))] pub(super) String);

impl From<&str> for Located<DurationText> {
    fn from(text: &str) -> Self {
        DurationText(text.to_owned()).into()
    }
}

/// A size: a whole number and B, KB, MB, GB (powers of 1000), KiB, MiB or GiB (powers of 1024); or a number of bytes.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a size like \"64MiB\" or a number of bytes")]
pub(super) enum Size {
    Bytes(#[schemars(range(min = 0))] i64),
    Text(#[schemars(regex(pattern = SIZE_PATTERN))] String),
}

impl From<&str> for Located<Size> {
    fn from(text: &str) -> Self {
        Size::Text(text.to_owned()).into()
    }
}

/// `"500ms"`, `"20s"`, `"5m"`, `"24h"`, `"30d"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    quantity(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// `"64MiB"` (powers of 1024), `"1MB"` (powers of 1000), `"512B"`; in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    quantity(text, &SIZE_UNITS)
}

/// The shortest text that [`duration`] reads back, to the millisecond.
pub(super) fn duration_text(duration: Duration) -> String {
    text(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// The shortest text that [`size`] reads back.
pub(super) fn size_text(bytes: u64) -> String {
    text(bytes, &SIZE_UNITS)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn text(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    let (unit, factor) = fitting.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", amount / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("20s"), Some(20_000));
        assert_eq!(milliseconds("5m"), Some(300_000));
        assert_eq!(milliseconds("24h"), Some(86_400_000));
        assert_eq!(milliseconds("30d"), Some(2_592_000_000));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1MB"), Some(1_000_000));
        assert_eq!(size("3GiB"), Some(3 << 30));
        assert_eq!(size("7B"), Some(7));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "20",
            "s",
            "20 s",
            "-1s",
            "1.5h",
            "20S",
            "２０s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "64", "MiB", "64 MiB", "64mib", "64M", "18446744073709551615KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(amount in 0..u64::MAX / 2) {
            prop_assert_eq!(size(&size_text(amount)), Some(amount));
            let period = Duration::from_millis(amount);
            prop_assert_eq!(duration(&duration_text(period)), Some(period));
        }
    }
}

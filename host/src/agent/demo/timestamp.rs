//! Times as the protocol writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch.
pub(super) fn since_epoch(time: SystemTime) -> u64 {
    milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// `2026-11-22T05:58:20.849Z`
pub(super) fn timestamp(time: SystemTime) -> String {
    let since_epoch = since_epoch(time);
    let (days, of_day) = (since_epoch / 86_400_000, since_epoch % 86_400_000);
    // Years are counted from March of the year 0, so that a leap day is a year's last; 400 of them repeat.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (seconds, of_second) = (of_day / 1_000, of_day % 1_000);
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{of_second:03}Z",
        era * 400 + year + next,
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_utc_with_milliseconds() {
        for (since_epoch, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_795_327_100_849, "2026-11-22T05:58:20.849Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(since_epoch)), expected);
        }
    }
}

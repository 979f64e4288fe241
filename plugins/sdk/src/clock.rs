//! The time. It goes on during a call if [`want::clock`](crate::want::clock) is granted; otherwise it stands still.

use crate::{Timestamp, host};

/// Now, in milliseconds since 1970-01-01T00:00:00Z. Without the grant: when the host received what the turn is about.
pub fn now() -> Timestamp {
    host::clock::now()
}

/// A time as people and models read it, to the second: `2026-01-01T00:00:00Z`.
///
/// ```
/// use hearth_plugin::clock;
///
/// assert_eq!(clock::rfc3339(0), "1970-01-01T00:00:00Z");
/// assert_eq!(clock::rfc3339(951_868_799_999), "2000-02-29T23:59:59Z");
/// ```
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at / 1000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    /// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that a leap day is the last day of its year.
    const TO_1970: u64 = 719_468;
    const IN_400_YEARS: u64 = 146_097;
    let days = days + TO_1970;
    let (era, day) = (days / IN_400_YEARS, days % IN_400_YEARS);
    // Leap days of this era that lie before: one every 4 years, none every 100, one at its end.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, months follow a pattern of 153 days in 5 months.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    let month = if january_or_february { month - 9 } else { month + 3 };
    (400 * era + year + u64::from(january_or_february), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for day in 0..2 * 146_097 {
            assert_eq!(date(day), expected);
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, last) if last == days => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}

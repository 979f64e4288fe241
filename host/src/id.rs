//! The names of things: one type per kind, so that two numbers or two strings can't be swapped.

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty) $($derive:ident)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, $($derive),*)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A Campfire room (`rooms.id`).
    RoomId(u64) Copy
}
id! {
    /// A Campfire message (`messages.id`); unique within one Campfire until that is set up anew.
    MessageId(u64) Copy
}
id! {
    /// A Campfire user (`users.id`); bots are users too.
    UserId(u64) Copy
}
id! {
    /// A bot's name in `bots.toml`.
    BotName(Arc<str>)
}
id! {
    /// An agent conversation, as the CLI names it. Always a UUID: `--resume` would also take a path.
    SessionId(Uuid) Copy
}
id! {
    /// An accepted webhook, or a time that has come. Version 7, so ids of one host sort by time.
    EventId(Uuid) Copy
}
id! {
    /// One start of a host process. A restarted host is another host: what the old one held is taken over.
    HostId(Uuid) Copy
}
id! {
    /// One attempt to answer an event, short enough to be quoted from a room ("turn k3v9x2qa").
    TurnId(Arc<str>)
}

/// A host, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Host {
    /// Which start of it.
    pub id: HostId,
    /// What its machine calls itself. Hosts on one machine have the same.
    pub name: String,
}

impl BotName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for BotName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl Host {
    /// What tells it from other hosts, and is short.
    pub fn label(&self) -> String {
        let id = self.id.to_string();
        format!("{} ({})", self.name, id.split('-').next().unwrap_or_default())
    }
}

impl EventId {
    /// A new id, later than all this host made before.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for EventId {
    fn default() -> Self {
        Self::new()
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl HostId {
    /// A new id, for one run of the host.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl TurnId {
    /// A new id of eight letters and digits (40 bits), none of which is easily misread.
    pub fn random() -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let id: String = Uuid::new_v4().as_bytes()[..8]
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
            .collect();
        Self(id.into())
    }
}

/// The place where order holds: one bot in one room. One turn at a time runs here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaneKey {
    /// Whose lane.
    pub bot: BotName,
    /// In which room of the bot's Campfire.
    pub room: RoomId,
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.bot, self.room)
    }
}

/// Milliseconds since the Unix epoch, by the host's clock. Used for what is stored; deadlines use the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The host's clock, now.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// This time moved by `duration` into the future.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time moved by `duration` into the past.
    #[must_use]
    pub fn before(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; nothing if it is before.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let millis = self.0.saturating_sub(earlier.0);
        std::time::Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// `2026-08-21T10:00:00.000Z`. Days are counted in years that begin in March, so that the leap day is the last.
    pub fn iso_8601(self) -> String {
        let (days, millis) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_based = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_based + 2) / 5 + 1;
        let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_ids_are_short_and_differ() {
        let (a, b) = (TurnId::random(), TurnId::random());
        assert_eq!(a.0.len(), 8);
        assert_ne!(a, b);
    }

    #[test]
    fn event_ids_sort_by_time() {
        assert!(EventId::new() < EventId::new());
    }

    #[test]
    fn times_are_written_as_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_795_327_100_849, "2026-11-22T05:58:20.849Z"),
            (1_795_328_807_302, "2026-11-22T06:26:47.302Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ];
        for (millis, expected) in cases {
            assert_eq!(Timestamp(millis).iso_8601(), expected);
        }
    }
}

//! How often the plugins of one bot may turn to Campfire from one room.
//!
//! Invariants:
//! - In no minute more than [`PER_MINUTE`] requests of a lane are let through.
//! - At most [`LANES`] lanes are remembered, and of each at most [`PER_MINUTE`] moments.
//!
//! Who asks for more is told how long to wait. When too many lanes are busy at once, the one that has been quiet for
//! longest is forgotten, and begins anew.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{id::LaneKey, window::Window};

/// How many requests a lane may make in a minute.
pub(super) const PER_MINUTE: usize = 60;
/// How many lanes are remembered.
const LANES: usize = 10_000;

/// Who made how many requests in the last minute.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<LaneKey, Window>);

impl Rates {
    /// Takes `count` requests of the lane at once, or tells after which time they could be taken. No more than
    /// [`PER_MINUTE`] ever can: that many are what a larger count waits for.
    pub(super) fn take(&mut self, lane: &LaneKey, count: usize, now: Instant) -> Result<(), Duration> {
        if !self.0.contains_key(lane) {
            self.make_room(now);
        }
        self.0.entry(lane.clone()).or_default().take(count, PER_MINUTE, now)
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < LANES {
            return;
        }
        self.0.retain(|_, made| made.is_recent(now));
        if self.0.len() >= LANES
            && let Some(quiet) =
                self.0.iter().min_by_key(|(_, made)| made.last()).map(|(lane, _)| lane.clone())
        {
            self.0.remove(&quiet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RoomId;

    const MINUTE: Duration = Duration::from_mins(1);

    fn lane(room: u64) -> LaneKey {
        LaneKey { bot: "echo".into(), room: RoomId(room) }
    }

    #[test]
    fn the_sixty_first_request_of_a_minute_waits_until_the_first_is_a_minute_old() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        for second in 0..60 {
            assert_eq!(rates.take(&lane(1), 1, start + Duration::from_millis(second * 500)), Ok(()));
        }
        let now = start + Duration::from_secs(40);
        assert_eq!(rates.take(&lane(1), 1, now), Err(Duration::from_secs(20)));
        assert_eq!(rates.take(&lane(1), 2, now), Err(Duration::from_millis(20_500)));
        assert_eq!(rates.take(&lane(1), 1, start + MINUTE), Ok(()));
        assert_eq!(rates.take(&lane(1), 1, start + MINUTE), Err(Duration::from_millis(500)));
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!(rates.take(&lane(1), 59, now), Ok(()));
        assert_eq!(rates.take(&lane(1), 2, now), Err(MINUTE));
        assert_eq!(rates.take(&lane(1), 1, now), Ok(()));
    }

    #[test]
    fn rooms_and_bots_do_not_take_from_each_other() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!(rates.take(&lane(1), PER_MINUTE, now), Ok(()));
        assert_eq!(rates.take(&lane(2), PER_MINUTE, now), Ok(()));
        let other = LaneKey { bot: "other".into(), room: RoomId(1) };
        assert_eq!(rates.take(&other, PER_MINUTE, now), Ok(()));
    }

    #[test]
    fn of_too_many_lanes_the_quietest_is_forgotten() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let lanes = u64::try_from(LANES).unwrap();
        let step = Duration::from_micros(1);
        for room in 0..lanes {
            rates.take(&lane(room), PER_MINUTE, start + step * u32::try_from(room).unwrap()).unwrap();
        }
        let now = start + Duration::from_secs(1);
        rates.take(&lane(lanes), 1, now).unwrap();
        assert_eq!(rates.0.len(), LANES);
        assert!(!rates.0.contains_key(&lane(0)));
        assert!(rates.take(&lane(1), 1, now).is_err());
        rates.take(&lane(lanes + 1), 1, now + MINUTE).unwrap();
        assert_eq!(rates.0.len(), 1, "all others were quiet for a minute");
    }
}

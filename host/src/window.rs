//! A sliding minute: how often something was done in it, and when it may be done again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

/// When something was done in the last minute, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Instant>);

impl Window {
    /// Does it `count` times at once, or tells after which time that could be done without passing `limit` in any minute.
    /// More than `limit` at once never can: that many are what a larger count waits for.
    pub(crate) fn take(&mut self, count: usize, limit: usize, now: Instant) -> Result<(), Duration> {
        self.forget(now);
        let excess = (self.0.len() + count).saturating_sub(limit);
        if excess > 0 {
            // The wait is over when so many of the oldest are a minute old.
            let last = self.0.get(excess.min(self.0.len()).saturating_sub(1));
            return Err(
                last.map_or(MINUTE, |last| MINUTE.saturating_sub(now.saturating_duration_since(*last)))
            );
        }
        self.0.extend(std::iter::repeat_n(now, count));
        Ok(())
    }

    /// Whether it was done in the minute before `now`.
    pub(crate) fn is_recent(&self, now: Instant) -> bool {
        self.last().is_some_and(|last| now.saturating_duration_since(last) < MINUTE)
    }

    /// When it was done last, as far as that is remembered.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.0.back().copied()
    }

    fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|oldest| now.saturating_duration_since(*oldest) >= MINUTE) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 60;

    proptest! {
        #[test]
        fn no_minute_sees_more_than_it_may_and_waiting_as_told_suffices(
            asks in proptest::collection::vec((0_u64..5_000, 1_usize..=LIMIT), 1..200),
        ) {
            let (mut window, mut now) = (Window::default(), Instant::now());
            let mut taken: Vec<Instant> = Vec::new();
            for (pause, count) in asks {
                now += Duration::from_millis(pause);
                if let Err(wait) = window.take(count, LIMIT, now) {
                    prop_assert!(wait > Duration::ZERO && wait <= MINUTE);
                    now += wait;
                    prop_assert_eq!(window.take(count, LIMIT, now), Ok(()));
                }
                taken.extend(std::iter::repeat_n(now, count));
                let recent = taken.iter().filter(|moment| now.duration_since(**moment) < MINUTE).count();
                prop_assert!(recent <= LIMIT);
            }
        }
    }
}

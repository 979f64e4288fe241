//! How a generation's calls went lately: enough to tell code that is broken from a call that failed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::CallError;

/// So many calls of one kind that fail one after the other mean that the code is broken.
const IN_A_ROW: u32 = 3;
/// So many failures within [`WINDOW`] mean it too, whatever went well between them.
const IN_A_WINDOW: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);
/// How long a generation has to serve before it has proven itself.
const TRIAL: Duration = Duration::from_mins(10);

/// What of a guest is called. Each kind is counted by itself: a guest that decides well and can't format is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Decide,
    Format,
    Show,
    Tool,
}

/// What is known of a generation's calls.
#[derive(Debug)]
pub(super) struct Health {
    /// Failures since the last success, by kind.
    in_a_row: [u32; 4],
    /// When the latest failures were, oldest first.
    recent: VecDeque<Instant>,
    /// Since when it serves.
    since: Instant,
    /// Whether a call ever went well.
    did_well: bool,
}

/// What a generation's calls say about its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Unknown,
    /// It is as it should be, for all that is known.
    Sound,
    /// It has been so for long enough.
    Proven,
    /// Something failed lately, which may have been the call.
    Doubtful,
    /// It fails again and again.
    Broken,
}

// === impl Health ===

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self { in_a_row: [0; 4], recent: VecDeque::with_capacity(IN_A_WINDOW), since: now, did_well: false }
    }

    /// Takes down how a call went.
    pub(super) fn note(&mut self, kind: Kind, failed: bool, now: Instant) {
        let in_a_row = &mut self.in_a_row[kind as usize];
        if !failed {
            (*in_a_row, self.did_well) = (0, true);
            return;
        }
        *in_a_row += 1;
        if self.recent.len() == IN_A_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let lately = self.recent.iter().filter(|at| now.saturating_duration_since(**at) < WINDOW).count();
        if lately >= IN_A_WINDOW || self.in_a_row.iter().any(|failures| *failures >= IN_A_ROW) {
            return Verdict::Broken;
        }
        if lately > 0 || self.in_a_row != [0; 4] {
            return Verdict::Doubtful;
        }
        if !self.did_well {
            Verdict::Unknown
        } else if now.saturating_duration_since(self.since) < TRIAL {
            Verdict::Sound
        } else {
            Verdict::Proven
        }
    }
}

// === impl CallError ===

impl CallError {
    /// Whether it is the code that failed: not what it said itself, and not a host that was too busy for it.
    pub(super) fn is_the_codes(&self) -> bool {
        match self {
            Self::Trapped(_) | Self::Limit { .. } | Self::Result(_) => true,
            Self::Refused(_) | Self::NoTimers(_) | Self::Crowded { .. } | Self::Busy(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict after these calls, one a second: their kinds, and whether they failed.
    fn after(calls: &[(Kind, bool)]) -> Verdict {
        let start = Instant::now();
        let mut health = Health::new(start);
        let mut now = start;
        for (kind, failed) in calls {
            now += Duration::from_secs(1);
            health.note(*kind, *failed, now);
        }
        health.verdict(now)
    }

    #[test]
    fn three_failures_in_a_row_are_a_broken_plugin() {
        use Kind::Decide;
        assert_eq!(after(&[]), Verdict::Unknown);
        assert_eq!(after(&[(Decide, true), (Decide, true)]), Verdict::Doubtful);
        assert_eq!(after(&[(Decide, true), (Decide, true), (Decide, true)]), Verdict::Broken);
        assert_eq!(
            after(&[(Decide, true), (Decide, true), (Decide, false), (Decide, true)]),
            Verdict::Doubtful
        );
    }

    #[test]
    fn a_plugin_that_decides_well_and_never_formats_is_broken() {
        let turn = [(Kind::Decide, false), (Kind::Format, true)];
        assert_eq!(after(&turn.repeat(2)), Verdict::Doubtful);
        assert_eq!(after(&turn.repeat(3)), Verdict::Broken);
    }

    #[test]
    fn five_failures_in_a_minute_are_a_broken_plugin_whatever_goes_well_between_them() {
        let turn = [(Kind::Decide, true), (Kind::Decide, false)];
        assert_eq!(after(&turn.repeat(4)), Verdict::Doubtful);
        assert_eq!(after(&turn.repeat(5)), Verdict::Broken);
    }

    #[test]
    fn failures_are_forgotten_after_a_minute_unless_nothing_went_well_since() {
        let start = Instant::now();
        let mut health = Health::new(start);
        health.note(Kind::Decide, true, start);
        health.note(Kind::Tool, true, start);
        health.note(Kind::Decide, false, start);
        assert_eq!(health.verdict(start + WINDOW), Verdict::Doubtful, "no tool worked since");
        health.note(Kind::Tool, false, start);
        assert_eq!(health.verdict(start), Verdict::Doubtful);
        assert_eq!(health.verdict(start + WINDOW), Verdict::Sound);
        assert_eq!(health.verdict(start + TRIAL), Verdict::Proven);
    }

    #[test]
    fn a_plugin_that_was_never_called_has_proven_nothing() {
        let start = Instant::now();
        assert_eq!(Health::new(start).verdict(start + TRIAL), Verdict::Unknown);
    }
}

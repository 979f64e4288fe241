//! What is to be done about a file, from how it looks and when.
//!
//! A file is read once it holds still for [`SETTLED`]. One that is not right may still be on its way; it is complained about
//! once it has held still for [`GIVEN_UP`], and once per content. It is tried again after growing pauses ([`RESTS`]): what
//! was in the way may not have been its own fault.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::plugin::ContentHash;

/// How long a file has to stay as it is before it is read.
pub(super) const SETTLED: Duration = Duration::from_millis(30);
/// How long a file that is not right has to stay as it is before that is said.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(1);

/// The first and the longest pause before what was refused is tried again as it is. A full disk or a lack of memory passes;
/// where it is the content, trying costs a compilation.
const RESTS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(1));

/// Why a content can't be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// None if it can't be read.
    pub(super) content: Option<ContentHash>,
    pub(super) cause: String,
}

/// How a file looks from outside; none if it isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and inode: a file that another one was moved over is another one.
    identity: (u64, u64),
}

impl Stamp {
    pub(super) async fn of(file: &Path) -> Option<Self> {
        let metadata = tokio::fs::metadata(file).await.ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }
}

/// A file, or some that are read together, as they were last seen.
#[derive(Debug)]
pub(super) struct Followed<S> {
    stamp: S,
    since: Instant,
    state: State,
    /// What was complained about last.
    told: Option<Refusal>,
    /// How long it rests when it is refused the next time.
    rest: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It changed.
    Changed,
    /// It was tried, and can't be loaded as it is. It may be on its way still.
    Refused(Refusal),
    /// It was refused and complained about; then it is tried again.
    Resting(Instant),
    /// There is nothing to do about it until it changes.
    Settled,
}

/// What is to be done about a file now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Load,
    Complain(Refusal),
}

impl<S: PartialEq> Followed<S> {
    /// Of a file that was read as it is, if it is `settled`.
    pub(super) fn new(stamp: S, now: Instant, settled: bool) -> Self {
        let state = if settled { State::Settled } else { State::Changed };
        Self { stamp, since: now, state, told: None, rest: RESTS.0 }
    }

    /// The file is to be read again now, changed or not.
    pub(super) fn again(&mut self, now: Instant) {
        (self.since, self.state) = (now.checked_sub(SETTLED).unwrap_or(now), State::Changed);
        self.rest = RESTS.0;
    }

    pub(super) fn see(&mut self, stamp: S, now: Instant) -> Step {
        if stamp != self.stamp {
            (self.stamp, self.since, self.state) = (stamp, now, State::Changed);
            self.rest = RESTS.0;
        }
        if self.due().is_none_or(|due| now < due) {
            return Step::Wait;
        }
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Changed | State::Resting(_) => Step::Load,
            State::Refused(refusal) => self.refuse(refusal, now).map_or(Step::Wait, Step::Complain),
            State::Settled => Step::Wait,
        }
    }

    /// It looks like this now, and is being read as it is.
    pub(super) fn is_at(&mut self, stamp: S) {
        (self.stamp, self.state) = (stamp, State::Settled);
    }

    /// Why it can't be used, if that was not said yet; it is now.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<Refusal> {
        let State::Refused(refusal) = &self.state else { return None };
        let refusal = refusal.clone();
        self.refuse(refusal, now)
    }

    /// Lets it rest; gives the refusal back if it was not said yet.
    fn refuse(&mut self, refusal: Refusal, now: Instant) -> Option<Refusal> {
        self.state = State::Resting(now + self.rest);
        self.rest = (self.rest * 2).min(RESTS.1);
        let is_new = self.told.as_ref() != Some(&refusal);
        self.told = Some(refusal.clone());
        is_new.then_some(refusal)
    }

    /// What came of the last [`Step::Load`].
    pub(super) fn tried(&mut self, outcome: Result<(), Refusal>) {
        match outcome {
            // What was changed meanwhile is to be read still.
            Ok(()) => self.told = None,
            Err(refusal) if self.state == State::Settled => self.state = State::Refused(refusal),
            Err(_) => {}
        }
    }

    /// When there is something to do if the file stays as it is.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Changed => Some(self.since + SETTLED),
            State::Refused(_) => Some(self.since + GIVEN_UP),
            State::Resting(until) => Some(until),
            State::Settled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long after whatever was before.
    const LOOK: Duration = Duration::from_secs(2);

    #[expect(clippy::unnecessary_wraps, reason = "a file that is there, among some that aren't")]
    fn stamp(length: u64) -> Option<Stamp> {
        Some(Stamp { modified: None, length, identity: (1, 1) })
    }

    fn refusal(cause: &str) -> Refusal {
        Refusal { content: None, cause: cause.into() }
    }

    #[test]
    fn a_file_is_loaded_once_it_holds_still() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, true);
        assert_eq!(file.see(stamp(1), start + LOOK), Step::Wait, "it did not change");
        let changed = start + LOOK;
        assert_eq!(file.see(stamp(2), changed), Step::Wait);
        assert_eq!(file.see(stamp(3), changed + SETTLED), Step::Wait, "it grows");
        assert_eq!(file.due(), Some(changed + SETTLED + SETTLED));
        assert_eq!(file.see(stamp(3), changed + SETTLED + SETTLED), Step::Load);
        file.tried(Ok(()));
        assert_eq!(file.see(stamp(3), changed + LOOK), Step::Wait);
        assert_eq!(file.due(), None);
    }

    #[test]
    fn a_file_that_is_still_being_copied_is_not_complained_about() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, false);
        assert_eq!(file.see(stamp(1), start + SETTLED), Step::Load);
        file.tried(Err(refusal("half of it")));
        assert_eq!(file.see(stamp(1), start + SETTLED), Step::Wait);
        let grown = start + GIVEN_UP;
        assert_eq!(file.see(stamp(2), grown), Step::Wait);
        assert_eq!(file.see(stamp(2), grown + SETTLED), Step::Load);
    }

    #[test]
    fn a_refused_content_is_complained_about_once() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, false);
        for (round, expected) in [(0, Step::Complain(refusal("broken"))), (1, Step::Wait)] {
            let touched = start + LOOK * round;
            let seen = stamp(u64::from(round) + 1);
            file.see(seen, touched);
            assert_eq!(file.see(seen, touched + SETTLED), Step::Load);
            file.tried(Err(refusal("broken")));
            assert_eq!(file.see(seen, touched + GIVEN_UP), expected);
            assert_eq!(file.due(), Some(touched + GIVEN_UP + RESTS.0));
        }
    }

    #[test]
    fn what_was_refused_is_tried_again_ever_more_rarely_until_it_changes() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, false);
        let (mut now, mut rest) = (start + GIVEN_UP, RESTS.0);
        assert_eq!(file.see(stamp(1), now), Step::Load);
        for round in 0..12 {
            file.tried(Err(refusal("no room")));
            let told = file.see(stamp(1), now);
            assert_eq!(matches!(told, Step::Complain(_)), round == 0, "{told:?}");
            assert_eq!(file.see(stamp(1), now + rest - SETTLED), Step::Wait);
            now += rest;
            assert_eq!(file.see(stamp(1), now), Step::Load);
            rest = (rest * 2).min(RESTS.1);
        }
        assert_eq!(rest, RESTS.1);
        file.tried(Err(refusal("no room")));
        file.see(stamp(1), now);
        file.see(stamp(2), now);
        assert_eq!(file.see(stamp(2), now + SETTLED), Step::Load);
        file.tried(Err(refusal("no room")));
        file.see(stamp(2), now + GIVEN_UP);
        assert_eq!(file.due(), Some(now + GIVEN_UP + RESTS.0), "it is another one");
        file.tried(Ok(()));
    }

    #[test]
    fn a_file_that_goes_away_is_complained_about_and_loaded_when_it_is_back() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, true);
        file.see(None, start);
        assert_eq!(file.see(None, start + SETTLED), Step::Load);
        file.tried(Err(refusal("missing")));
        assert_eq!(file.see(None, start + GIVEN_UP), Step::Complain(refusal("missing")));
        let back = start + LOOK;
        file.see(stamp(1), back);
        assert_eq!(file.see(stamp(1), back + SETTLED), Step::Load);
    }
}

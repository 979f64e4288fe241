//! Chance that comes again: the same seed makes the same choices.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

/// A source of choices (the generator called `SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

/// The seed of a run: the one that was given in this variable, or a new one.
///
/// # Panics
/// If what was given is no number.
pub(super) fn seed(variable: &str) -> u64 {
    if let Some(given) = number(variable) {
        return given;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_secs() << 20) ^ u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 8)
}

/// The number in a variable of the environment, if it is set.
///
/// # Panics
/// If it is no number.
pub(super) fn number(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{variable} is `{given}`, not a number")))
}

impl Chance {
    /// The choices of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Choices of their own for somebody who makes them beside others.
    #[must_use]
    pub(super) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// A number in a range.
    pub(super) fn number(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// A time in a range of milliseconds.
    pub(super) fn time(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.number(milliseconds))
    }

    /// One of these; none of none.
    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let count = u64::try_from(of.len()).unwrap_or(u64::MAX);
        (count > 0).then(|| of[usize::try_from(self.next() % count).unwrap_or(0)])
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

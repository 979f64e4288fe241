//! What was measured: a value for each side in each round.

use std::{collections::BTreeMap, time::Duration};

/// Whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Hearth,
    /// Flask and the Python SDK.
    Peer,
    /// The CLI by itself.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// What Hearth is to reach.
    pub(crate) goal: Option<f64>,
    pub(crate) rounds: BTreeMap<Side, Vec<f64>>,
}

/// The middle of some values, and how far they lie apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Figure {
    pub(crate) fn new(title: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self { title: title.into(), unit, better, goal: None, rounds: BTreeMap::new() }
    }

    pub(crate) fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Adds a round's value.
    pub(crate) fn add(&mut self, side: Side, value: f64) {
        self.rounds.entry(side).or_default().push(value);
    }

    pub(crate) fn of(&self, side: Side) -> Option<Summary> {
        Summary::of(self.rounds.get(&side)?)
    }

    /// How many times better Hearth is than the peer; none if that can't be said.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (hearth, peer) = (self.of(Side::Hearth)?.median, self.of(Side::Peer)?.median);
        let ratio = match self.better {
            Better::Lower => peer / hearth,
            Better::Higher => hearth / peer,
        };
        // With nothing on one side there is none.
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    /// Whether the rounds of the sides lie so that chance may have made the difference.
    pub(crate) fn is_unsure(&self) -> bool {
        let (Some(hearth), Some(peer)) = (self.of(Side::Hearth), self.of(Side::Peer)) else { return false };
        hearth.least <= peer.most && peer.least <= hearth.most
    }

    pub(crate) fn meets_goal(&self) -> Option<bool> {
        let (goal, hearth) = (self.goal?, self.of(Side::Hearth)?.median);
        Some(match self.better {
            Better::Lower => hearth <= goal,
            Better::Higher => hearth >= goal,
        })
    }
}

impl Summary {
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some(Self { median: quantile(values, 0.5), least, most })
    }
}

/// The value below which that share of them lies.
///
/// # Panics
/// If there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "it is a place between two of them"
)]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * share;
    let (below, above) = (sorted[place as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

//! Which users of which Campfires are bots, as far as pages of messages have told.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use url::Url;

use crate::id::UserId;

/// How many bots are remembered; what is told of more is forgotten.
const KNOWN: usize = 4096;

/// The bots that were seen.
#[derive(Debug, Default)]
pub(super) struct Bots(Mutex<HashSet<(Url, UserId)>>);

impl Bots {
    pub(super) fn learn(&self, base: &Url, bots: impl IntoIterator<Item = UserId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bot in bots {
            if known.len() >= KNOWN {
                return;
            }
            known.insert((base.clone(), bot));
        }
    }

    pub(super) fn has(&self, base: &Url, user: UserId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(base.clone(), user))
    }
}

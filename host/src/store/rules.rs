//! What every store decides alike, and the words in which it refuses.

use super::{
    End, KV_BYTES_PER_BOT, KV_KEY_BYTES, KV_KEYS_PER_BOT, KV_VALUE_BYTES, PartState, StoreError,
    TIMERS_PER_BOT, TIMERS_PER_ROOM,
};

/// Why a step is refused ([`StoreError::OutOfStep`]).
pub(super) mod step {
    pub(in crate::store) const NOT_RUNNING: &str = "it is not running in this lane";
    pub(in crate::store) const OTHER_ANSWER: &str = "another answer was recorded for it";
    pub(in crate::store) const UNSETTLED: &str = "a part of its answer is not settled";
    pub(in crate::store) const EARLY: &str = "a part before this one is not settled";
    pub(in crate::store) const NO_PART: &str = "it has no such part";
    pub(in crate::store) const PAST: &str = "the part is past this state";
    pub(in crate::store) const UNKNOWN: &str = "there is no such event, or none any more";
}

/// How an end is stored.
pub(super) fn word(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Failed => "failed",
    }
}

/// The end that is stored as this; there is no third.
pub(super) fn end(word: &str) -> End {
    if word == "done" { End::Done } else { End::Failed }
}

// === Putting an event back ===

/// What a retry does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Drops what was recorded: it was no answer.
    Anew,
    /// Sends what is unsent among the parts, whose states are these from now on.
    Post(Vec<PartState>),
}

/// What a retry can do with an event that is stored as in this state, if anything. An event without a verdict is of a time
/// when none was recorded: what of it could not be sent is taken for an answer, and what is in the room for a sentence about
/// the failure.
pub(super) fn plan(
    state: &str,
    verdict: Option<End>,
    parts: Vec<PartState>,
    anyway: bool,
) -> Result<Plan, &'static str> {
    let ended = match state {
        "done" => End::Done,
        "failed" => End::Failed,
        "refused" => return Err("its lane was full, and it was never taken"),
        _ => return Err("it has not ended yet"),
    };
    let mut parts = settled(parts);
    for part in &mut parts {
        if *part == PartState::Failed || (anyway && *part == PartState::Uncertain) {
            *part = PartState::Unsent;
        }
    }
    let is = |state| parts.contains(&state);
    let is_answer = verdict.map_or_else(|| is(PartState::Unsent), |verdict| verdict == End::Done);
    if ended == End::Failed && (parts.is_empty() || !is_answer) {
        Ok(Plan::Anew)
    } else if is(PartState::Unsent) {
        Ok(Plan::Post(parts))
    } else if is(PartState::Uncertain) {
        Err("its answer may be in the room; it can only be posted anyway")
    } else {
        Err("it was answered")
    }
}

/// The parts of an event that has ended. Of those that were never settled, only the first planned one can have been
/// sent.
fn settled(mut parts: Vec<PartState>) -> Vec<PartState> {
    let mut in_doubt = true;
    for part in &mut parts {
        let recorded = *part;
        if recorded == PartState::Planned {
            *part = if in_doubt { PartState::Uncertain } else { PartState::Unsent };
        }
        in_doubt &= !matches!(recorded, PartState::Planned | PartState::Unsent);
    }
    parts
}

/// How many parts of an event that has ended are in the room, may be, and are not.
pub(super) fn tally(parts: Vec<PartState>) -> [u32; 3] {
    let mut counts = [0; 3];
    for part in settled(parts) {
        counts[match part {
            PartState::Posted(_) => 0,
            PartState::Uncertain => 1,
            PartState::Planned | PartState::Unsent | PartState::Failed => 2,
        }] += 1;
    }
    counts
}

// === Limits ===

/// Fails if a key of the kv space or its value is too long.
pub(super) fn check_kv_size(key: &str, value: &[u8]) -> Result<(), StoreError> {
    if key.len() > KV_KEY_BYTES {
        return Err(StoreError::Quota(format!(
            "a key may have {KV_KEY_BYTES} bytes, this one has {}",
            key.len()
        )));
    }
    if value.len() > KV_VALUE_BYTES {
        return Err(StoreError::Quota(format!(
            "a value may have {KV_VALUE_BYTES} bytes, this one has {}",
            value.len()
        )));
    }
    Ok(())
}

pub(super) fn too_many_keys() -> StoreError {
    StoreError::Quota(format!("a bot may have {KV_KEYS_PER_BOT} keys; delete some first"))
}

pub(super) fn too_many_bytes() -> StoreError {
    StoreError::Quota(format!(
        "a bot may keep {KV_BYTES_PER_BOT} bytes, keys and values together; delete some first"
    ))
}

pub(super) fn too_many_timers_in_room() -> StoreError {
    StoreError::Quota(format!("a bot may have {TIMERS_PER_ROOM} timers in a room; cancel some first"))
}

pub(super) fn too_many_timers() -> StoreError {
    StoreError::Quota(format!("a bot may have {TIMERS_PER_BOT} timers in all its rooms; cancel some first"))
}

//! What an agent has written down of a lane's conversation: without it, a conversation's id is worth nothing to another host.
//!
//! - A lane has one transcript at most, that of its conversation; of one that begins, from the moment its first turn is over,
//!   which is before anybody knows the conversation. It goes with the conversation: when that expires, is forgotten or
//!   replaced, or never became the lane's.
//! - It is written by the lane's holder alone, on behalf of the event that runs: else [`StoreError::LeaseLost`] or
//!   [`StoreError::OutOfStep`], and nothing has changed.
//! - It is kept in pieces, opaque to the store, and changes in one step: what is laid aside piece by piece counts from
//!   [`keep_transcript`](Transcripts::keep_transcript) on, or never.
//! - One that is not kept may be marked all the same, so that nobody takes an older copy for it.

use async_trait::async_trait;

use super::super::{Lease, StoreError};
use crate::id::{EventId, LaneKey, SessionId};

/// How many bytes of pieces one call answers at least, as long as there are more.
pub const PIECES_BYTES: usize = 1 << 20;

/// How far a transcript goes: a file that begins with so many bytes of this hash has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub session: SessionId,
    /// Its length, not compressed.
    pub bytes: u64,
    /// The hash of that.
    pub sha256: [u8; 32],
}

/// What is known of a lane's transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transcript {
    /// How far it goes.
    pub mark: Mark,
    /// How many pieces it is kept in; none if it is only marked.
    pub pieces: Option<u32>,
}

/// The lanes' transcripts.
#[async_trait]
pub trait Transcripts {
    /// What is known of the lane's transcript.
    async fn transcript(&self, lane: &LaneKey) -> Result<Option<Transcript>, StoreError>;

    /// The pieces of the lane's transcript from this one on, not all if that is much; none if there are no more, or if it
    /// is no longer this one.
    async fn transcript_pieces(
        &self,
        lane: &LaneKey,
        mark: &Mark,
        from: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Lays a piece aside, as the one of this index from 0, for a transcript that is about to be kept. What was laid aside
    /// from that index on goes.
    async fn lay_aside(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        piece: &[u8],
    ) -> Result<(), StoreError>;

    /// Makes what was laid aside, `aside` pieces and a `last` one, the lane's transcript: behind what is kept, if that goes
    /// as far as `after`, or in its place. Keeping the same again changes nothing. False: what is kept goes not as far as
    /// `after`, or as many pieces were not laid aside; nothing has changed.
    async fn keep_transcript(
        &self,
        lease: &Lease,
        event: EventId,
        after: Option<&Mark>,
        mark: &Mark,
        aside: u32,
        last: &[u8],
    ) -> Result<bool, StoreError>;

    /// Marks how far the lane's transcript goes, and keeps none.
    async fn mark_transcript(&self, lease: &Lease, event: EventId, mark: &Mark) -> Result<(), StoreError>;
}

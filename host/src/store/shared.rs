//! What hosts do with a store that they share, besides what a single one does with its own.

mod signals;
mod transcripts;

pub use self::{
    signals::{Asked, Manner, Signal, Signals},
    transcripts::{Mark, PIECES_BYTES, Transcript, Transcripts},
};

/// A store that several hosts use at once.
pub trait Shared: Signals + Transcripts + Send + Sync {}

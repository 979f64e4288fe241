//! What hosts do with a store that they share, besides what a single one does with its own.

mod presence;
mod signals;
mod transcripts;

pub use self::{
    presence::{HOSTS, PRESENCE_BYTES, Presence},
    signals::{Asked, Manner, Signal, Signals},
    transcripts::{Mark, PIECES_BYTES, Transcript, Transcripts},
};

/// A store that several hosts use at once.
pub trait Shared: Presence + Signals + Transcripts + Send + Sync {}

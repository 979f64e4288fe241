//! What hosts do with a store that they share, besides what a single one does with its own.

mod signals;

pub use self::signals::{Asked, Manner, Signal, Signals};

/// A store that several hosts use at once.
pub trait Shared: Signals + Send + Sync {}

//! What hosts do with a store that they share, besides what a single one does with its own.

/// A store that several hosts use at once.
pub trait Shared: Send + Sync {}

//! Agent processes.

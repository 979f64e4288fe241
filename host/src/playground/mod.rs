//! An embedded Campfire.

//! Campfire: what it sends, what it takes, what it shows.

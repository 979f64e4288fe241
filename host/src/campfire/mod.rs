//! Campfire: what it sends, what it takes, what it shows.
//!
//! - [`parse`] reads a webhook's body into an [`Incoming`] that carries no secret.
//! - [`messages`] makes any text into HTML messages that Campfire shows as they are meant.
//! - [`Client`] posts them, and says of every failure whether the room may have got the message all the same.
//!
//! What Campfire itself does is told where it matters; the facts are those of once-campfire in August 2026.

mod client;
mod markdown;
mod parse;
mod payload;
mod reshape;
mod sanitise;
mod shown;
mod split;
mod table;
mod tree;

pub use self::{
    client::{Client, ClientError, PostError, Target},
    payload::{Incoming, PayloadError, Person, Place, Said, Webhook, parse},
    shown::{Format, MARKUP_LIMIT, MESSAGE_LIMIT, messages, sound},
};

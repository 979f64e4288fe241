//! Campfire: what it sends, what it takes, what it shows.
//!
//! - [`parse`] reads a webhook's body into an [`Incoming`] that carries no secret.
//! - [`messages`] makes any text into HTML messages that Campfire shows as they are meant.
//! - [`attach`] takes long code and tables out of such a text, as files.
//! - [`Outgoing`] is one post that is ready to be sent.
//! - [`addressed`] tells whether a message of a room's history was one for the bot.
//! - [`Client`] posts, reads, edits, removes and boosts, and says of every failure whether it may have been done all the
//!   same.
//!
//! What Campfire itself does is told where it matters; the facts are those of once-campfire in August 2026.

mod addressed;
mod attach;
mod client;
mod likeness;
mod markdown;
mod occurrence;
mod outgoing;
mod parse;
mod payload;
mod reshape;
mod sanitise;
mod shown;
mod split;
mod table;
mod tree;

pub use self::{
    addressed::addressed,
    attach::attach,
    client::{Client, ClientError, Feature, Page, PastMessage, RequestError, Span, Target, bot_of},
    occurrence::Happened,
    outgoing::Outgoing,
    payload::{Incoming, PayloadError, Person, Place, Said, Webhook, parse},
    shown::{Format, MARKUP_LIMIT, MESSAGE_LIMIT, messages, sound},
};

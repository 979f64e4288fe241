//! Who of those that write is a bot, and so what a message is in the chain of answers that bots give each other.
//!
//! A webhook says of its author only the id and the name. The bots of this host begin their keys with theirs; of others it
//! is known once a page of the room's history was read that has a message of theirs.

use std::sync::Arc;

use crate::{
    campfire::{Client, bot_of},
    config::Bot,
    id::UserId,
    plugin::Roster,
    store::Hop,
};

/// Tells messages of bots from those of people.
#[derive(Clone)]
pub struct Hops {
    /// The bots of this host.
    pub roster: Arc<Roster>,
    /// Knows the bots that were seen in pages.
    pub client: Client,
    /// How many messages of bots may follow each other in a room (`[host] bot-hops`).
    pub budget: u32,
}

impl Hops {
    /// What a message of `author` to this bot is; none if nobody knows which Campfire it is from.
    pub fn of(&self, bot: &Bot, author: UserId) -> Option<Hop> {
        let campfire = bot.campfire_url.as_ref()?;
        let is_author = |bot: &Bot| {
            bot.campfire_url.as_ref() == Some(campfire)
                && bot.bot_key.as_ref().and_then(bot_of) == Some(author)
        };
        let by_bot = self.client.knows_bot(campfire, author)
            || self.roster.seats().iter().any(|seat| is_author(&seat.bot));
        Some(Hop { campfire: campfire.to_string(), by_bot, budget: self.budget })
    }
}

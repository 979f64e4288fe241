//! The room's past, page by page.
//!
//! So that a room with a few huge messages can't fill a guest's memory, a text is cut to [`TEXT_LIMIT`] with an ellipsis,
//! and HTML beyond [`HTML_LIMIT`], which could not be cut and stay HTML, is left out.

use super::{super::types::User, CampfireError, PastMessage, Query, Seat, State, invalid};
use crate::{
    campfire::{self, Span},
    id::{MessageId, UserId},
    plugin::bounded,
};

/// Messages that one query may ask for.
const MESSAGES: u32 = 200;
/// Bytes that are kept of a message's text.
const TEXT_LIMIT: usize = 16 << 10;
/// Bytes that a message's HTML may have; Hearth's own messages have at most half of it.
const HTML_LIMIT: usize = 32 << 10;

impl State {
    pub(super) async fn read_history(&self, query: &Query) -> Result<Vec<PastMessage>, CampfireError> {
        let seat = self.seat()?;
        let span = span(query)?;
        seat.read(span, query.limit as usize).await
    }
}

impl Seat<'_> {
    /// Up to `limit` messages, oldest first, by as many requests as that takes.
    async fn read(&self, mut span: Span, limit: usize) -> Result<Vec<PastMessage>, CampfireError> {
        let bot = self.target.bot();
        let mut messages = Vec::new();
        loop {
            self.take(1)?;
            let page = self.real.client.page(self.target, span).await?;
            let edge = match span {
                Span::After(_) => page.messages.last().map(|last| Span::After(last.id)),
                Span::Newest | Span::Before(_) => page.messages.first().map(|first| Span::Before(first.id)),
            };
            let at = if let Span::After(_) = span { messages.len() } else { 0 };
            messages.splice(at..at, page.messages.into_iter().map(|message| told(message, bot)));
            match edge {
                Some(next) if page.more && messages.len() < limit => span = next,
                _ => break,
            }
        }
        let excess = messages.len().saturating_sub(limit);
        match span {
            Span::After(_) => messages.truncate(limit),
            Span::Newest | Span::Before(_) => drop(messages.drain(..excess)),
        }
        Ok(messages)
    }
}

/// Whether it is a query that can be answered.
pub(super) fn is_one(query: &Query) -> bool {
    span(query).is_ok()
}

fn span(query: &Query) -> Result<Span, CampfireError> {
    if let Some((name, _)) = query.attributes.first() {
        return Err(invalid(format!("the query's attribute `{name}`, which this host does not know")));
    }
    if !(1..=MESSAGES).contains(&query.limit) {
        return Err(invalid(format!("`limit` is 1 to {MESSAGES}, not {}", query.limit)));
    }
    match (query.before, query.after) {
        (None, None) => Ok(Span::Newest),
        (Some(id), None) => Ok(Span::Before(MessageId(id))),
        (None, Some(id)) => Ok(Span::After(MessageId(id))),
        (Some(_), Some(_)) => {
            Err(invalid("`before` and `after` can't go together; leave one out".to_owned()))
        }
    }
}

fn told(message: campfire::PastMessage, bot: Option<UserId>) -> PastMessage {
    let author = message.author;
    PastMessage {
        id: message.id.0,
        mine: Some(author.id) == bot,
        author: User { id: author.id.0, name: author.name, attributes: Vec::new() },
        text: bounded(&message.text, TEXT_LIMIT).into_owned(),
        html: message.html.filter(|html| html.len() <= HTML_LIMIT),
        created_at: u64::try_from(message.created_at.0).unwrap_or_default(),
        attributes: Vec::new(),
    }
}

//! `campfire`: the turn's room beyond its answer.
//!
//! Invariants:
//! - Only the room of the turn is reached, with the bot's own key.
//! - Each request counts against the bot's rate in the room; what would pass it is refused before anything is sent.
//! - Nothing is sent twice: a post whose fate is unknown is reported as such, and left.
//!
//! A text that is longer than one message is posted as several, in order, and the id of the last is answered; if one of
//! them fails, those before it are in the room, which the error says. As an edit such a text is refused, for there is
//! one message to put it into. What shows nothing is refused, too.
//!
//! What goes wrong is told to the guest in Campfire's terms; what the connection met is for the log.

mod history;

use serde_json::json;
use tokio::time::Instant;

use super::{
    State,
    bindings::bot::hearth::bot::campfire::{CampfireError, CampfireErrorKind, Host, PastMessage, Query},
    types::{Capability, Part, Sent},
};
use crate::{
    campfire::{Outgoing, RequestError, Target},
    causes::with_causes,
    id::{LaneKey, MessageId},
    plugin::{
        part::check_boost,
        rate::PER_MINUTE,
        reach::{NOT_TOLD, Reach, Real},
    },
};

impl Host for State {
    async fn history(&mut self, query: Query) -> wasmtime::Result<Result<Vec<PastMessage>, CampfireError>> {
        self.enter()?;
        let (arguments, read) = (json!({ "query": query }), self.read_history(&query));
        Ok(self
            .ask(("campfire.history", Capability::Campfire), arguments, || history::is_one(&query), read)
            .await)
    }

    async fn post(&mut self, part: Part) -> wasmtime::Result<Result<Option<u64>, CampfireError>> {
        self.enter()?;
        let (arguments, makes_sense) = (json!({ "part": part }), posts(part.clone()).is_ok());
        Ok(self
            .ask(("campfire.post", Capability::Campfire), arguments, || makes_sense, self.post_part(part))
            .await)
    }

    async fn edit(&mut self, message: u64, part: Part) -> wasmtime::Result<Result<(), CampfireError>> {
        self.enter()?;
        let arguments = json!({ "message": message, "part": part });
        let makes_sense = post(part.clone()).is_ok();
        let edit = self.edit_message(MessageId(message), part);
        Ok(self.ask(("campfire.edit", Capability::Campfire), arguments, || makes_sense, edit).await)
    }

    async fn remove(&mut self, message: u64) -> wasmtime::Result<Result<(), CampfireError>> {
        self.enter()?;
        let arguments = json!({ "message": message });
        let remove = self.remove_message(MessageId(message));
        Ok(self.ask(("campfire.remove", Capability::Campfire), arguments, || true, remove).await)
    }

    async fn boost(&mut self, message: u64, text: String) -> wasmtime::Result<Result<(), CampfireError>> {
        self.enter()?;
        let arguments = json!({ "message": message, "text": text });
        let makes_sense = || check_boost(&text).is_ok();
        let boost = self.boost_message(MessageId(message), &text);
        Ok(self.ask(("campfire.boost", Capability::Campfire), arguments, makes_sense, boost).await)
    }
}

/// The turn's room, and who is there.
struct Seat<'state> {
    reach: &'state Reach,
    real: &'state Real,
    target: &'state Target,
    /// Whose rate it is.
    lane: LaneKey,
}

// === impl State ===

impl State {
    async fn post_part(&self, part: Part) -> Result<Option<u64>, CampfireError> {
        let seat = self.seat()?;
        let posts = posts(part)?;
        let count = posts.len();
        seat.take(count)?;
        let mut last = None;
        for (before, post) in posts.iter().enumerate() {
            last = seat.send(post).await.map_err(|failed| broken_off(failed, before, count))?;
        }
        Ok(last.map(|id| id.0))
    }

    async fn edit_message(&self, message: MessageId, part: Part) -> Result<(), CampfireError> {
        let seat = self.seat()?;
        let html = post(part)?;
        seat.take(1)?;
        Ok(seat.real.client.edit(seat.target, message, &html).await?)
    }

    async fn remove_message(&self, message: MessageId) -> Result<(), CampfireError> {
        let seat = self.seat()?;
        seat.take(1)?;
        Ok(seat.real.client.remove(seat.target, message).await?)
    }

    async fn boost_message(&self, message: MessageId, text: &str) -> Result<(), CampfireError> {
        let seat = self.seat()?;
        check_boost(text).map_err(invalid)?;
        seat.take(1)?;
        Ok(seat.real.client.boost(seat.target, message, text).await?)
    }

    /// The room, if it can be reached.
    fn seat(&self) -> Result<Seat<'_>, CampfireError> {
        let bot = &self.calling.bot;
        let reach = self
            .granted(Capability::Campfire)
            .ok_or_else(|| failure(CampfireErrorKind::Denied, Sent::No, self.denied(Capability::Campfire)))?;
        let target = reach.target.as_ref().ok_or_else(|| {
            let message = format!(
                "the bot has no Campfire it can speak to: [bots.{bot}] in bots.toml needs a `bot-key`, and `url` in \
                 [campfire] or its own `campfire-url` must be set"
            );
            failure(CampfireErrorKind::Unavailable, Sent::No, message)
        })?;
        let out_of_reach = || failure(CampfireErrorKind::Unavailable, Sent::No, NOT_TOLD.to_owned());
        let real = reach.services.real().ok_or_else(out_of_reach)?;
        let lane = LaneKey { bot: bot.clone(), room: reach.room };
        Ok(Seat { reach, real, target, lane })
    }
}

// === impl Seat ===

impl Seat<'_> {
    /// Counts requests before they are made.
    fn take(&self, count: usize) -> Result<(), CampfireError> {
        self.real.take(&self.lane, count, Instant::now()).map_err(|wait| {
            let seconds = wait.as_millis().div_ceil(1000);
            let message =
                format!("{PER_MINUTE} requests a minute are allowed in a room; go on in {seconds} s");
            failure(CampfireErrorKind::RateLimited, Sent::No, message)
        })
    }

    async fn send(&self, post: &Outgoing) -> Result<Option<MessageId>, CampfireError> {
        let (client, target) = (&self.real.client, self.target);
        Ok(match post {
            Outgoing::Html(html) => client.post_html(target, html).await?,
            Outgoing::File { name, media_type, content } => {
                client.post_file(target, name, media_type, content.clone()).await?
            }
            Outgoing::Edit { message, html } => {
                client.edit(target, *message, html).await?;
                Some(*message)
            }
            Outgoing::Remove { message } => {
                client.remove(target, *message).await?;
                None
            }
            Outgoing::Boost(text) => {
                let message = self.reach.trigger.ok_or_else(|| {
                    invalid("this turn is about no message; use `boost` with a message's id".to_owned())
                })?;
                match client.boost(target, message, text).await {
                    // Passed over, as in an answer.
                    Ok(()) | Err(RequestError::Unsupported(_)) => None,
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }
}

// === What is posted ===

/// The posts that a part makes.
fn posts(part: Part) -> Result<Vec<Outgoing>, CampfireError> {
    part.check().map_err(invalid)?;
    let posts = part.into_posts();
    match posts.len() {
        0 => Err(invalid("there is nothing in it that a room would show".to_owned())),
        1..=PER_MINUTE => Ok(posts),
        count => Err(invalid(format!("it makes {count} messages; {PER_MINUTE} may be posted in a minute"))),
    }
}

/// The HTML of a part that takes the place of a message.
fn post(part: Part) -> Result<String, CampfireError> {
    part.check().map_err(invalid)?;
    if let Part::File(_) | Part::Boost(_) | Part::Sound(_) = part {
        return Err(invalid("a message can be replaced by markdown, HTML or a text only".to_owned()));
    }
    let mut posts = part.into_posts();
    match (posts.len(), posts.pop()) {
        (1, Some(Outgoing::Html(html))) => Ok(html),
        (0, _) => Err(invalid("there is nothing in it that a room would show; use `remove`".to_owned())),
        (count, _) => Err(invalid(format!("it is too long for one message: it would make {count}"))),
    }
}

// === From one floor's words to another's ===

fn failure(kind: CampfireErrorKind, sent: Sent, message: String) -> CampfireError {
    CampfireError { kind, sent, message, attributes: Vec::new() }
}

fn invalid(message: String) -> CampfireError {
    failure(CampfireErrorKind::Invalid, Sent::No, message)
}

/// The failure of a message that `before` others of `count` went before.
fn broken_off(failed: CampfireError, before: usize, count: usize) -> CampfireError {
    if before == 0 {
        return failed;
    }
    let message = format!(
        "of {count} messages that it makes the first {before} are in the room; then: {}",
        failed.message
    );
    CampfireError { sent: Sent::Maybe, message, ..failed }
}

impl From<RequestError> for CampfireError {
    fn from(error: RequestError) -> Self {
        use RequestError as Of;
        let kind = match &error {
            Of::Unsupported(_) => CampfireErrorKind::Unsupported,
            Of::MessageUnknown { .. } | Of::NotOwn { .. } => CampfireErrorKind::NotFound,
            Of::Blank => CampfireErrorKind::Invalid,
            Of::NotSent { .. }
            | Of::Uncertain { .. }
            | Of::BadKey
            | Of::Redirected { .. }
            | Of::RoomUnknown { .. }
            | Of::Banned
            | Of::NotCampfire { .. }
            | Of::TooLarge { .. }
            | Of::TooLate
            | Of::Rejected { .. }
            | Of::BadBase => CampfireErrorKind::Unavailable,
        };
        if kind == CampfireErrorKind::Unavailable {
            tracing::warn!(cause = with_causes(&error), "a plugin could not reach its room");
        }
        let sent = if let Of::Uncertain { .. } = error { Sent::Maybe } else { Sent::No };
        failure(kind, sent, error.to_string())
    }
}

#[cfg(test)]
mod tests;

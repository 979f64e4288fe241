//! What is written to the scripts, and what they answer, piece by piece.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::ScriptInvocation;

use super::{
    super::{CHAIN_PAUSE, DUPLICATE_WINDOW, KnownRoom, Lease, NewEvent, SessionChange, Source, StoreError},
    answer::{Answer, lane_word, malformed},
};
use crate::id::{EventId, LaneKey, MessageId};

/// Adds an event to a call, as the scripts read it.
pub(super) fn offer(call: &mut ScriptInvocation<'_>, event: &NewEvent) {
    let (source, room_name) = match &event.source {
        // Behind a sign, so that no name differs from an empty one.
        Source::Message { room_name } => ("message", room_word(room_name.as_deref())),
        Source::History => ("history", String::new()),
        Source::Other => ("other", String::new()),
    };
    call.arg(event.id.to_string())
        .arg(event.lane.bot.as_str())
        .arg(event.lane.room.0)
        .arg(event.message.map_or_else(String::new, |message| message.to_string()))
        .arg(event.message.map_or(0, |message| message.0.saturating_sub(1)))
        .arg(&event.kind)
        .arg(BASE64_URL_SAFE_NO_PAD.encode(event.content_hash))
        .arg(&event.payload)
        .arg(event.received_at.0)
        .arg(event.received_at.before(DUPLICATE_WINDOW).0)
        .arg(source)
        .arg(room_name);
    let hop = event.hop.as_ref();
    call.arg(hop.map_or("", |hop| &hop.campfire))
        .arg(u8::from(hop.is_some_and(|hop| hop.by_bot)))
        .arg(hop.map_or(0, |hop| hop.budget))
        .arg(event.received_at.before(CHAIN_PAUSE).0);
}

/// Adds to a call what happens to the conversation.
pub(super) fn change(call: &mut ScriptInvocation<'_>, session: SessionChange) {
    match session {
        SessionChange::Keep => call.arg("keep").arg("").arg(""),
        SessionChange::Set(id, expires_at) => call.arg("set").arg(id.to_string()).arg(expires_at.0),
        SessionChange::Forget => call.arg("forget").arg("").arg(""),
    };
}

pub(super) fn room_word(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("={name}"))
}

pub(super) fn read_room(lane: LaneKey, answer: &mut Answer) -> Result<KnownRoom, StoreError> {
    Ok(KnownRoom {
        lane,
        name: answer.text()?.strip_prefix('=').map(str::to_owned),
        read_to: MessageId(answer.parsed()?),
        heard_at: answer.timestamp()?,
    })
}

pub(super) fn read_lanes(mut answer: Answer) -> Result<Vec<LaneKey>, StoreError> {
    let mut lanes = Vec::new();
    while !answer.is_over() {
        lanes.push(answer.lane()?);
    }
    Ok(lanes)
}

/// JSON of this house's own making.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| malformed())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(error.to_string().into()))
}

/// Begins a call on behalf of a lane's holder about an event.
pub(super) fn of_event<'call, 'script>(
    call: &'call mut ScriptInvocation<'script>,
    lease: &Lease,
    event: EventId,
) -> &'call mut ScriptInvocation<'script> {
    call.arg(lane_word(&lease.lane)).arg(lease.token).arg(event.to_string())
}

//! What happens, as server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `message`, `changed` | a message, new or as it is now |
//! | `deleted` | its room and its id |
//! | `trouble` | why a bot does not answer |
//! | `state` | none: people, rooms or switches changed |
//! | `backstage` | the code behind the bots |
//! | `reread` | none: events were missed |

use std::{convert::Infallible, sync::Arc};

use axum::{
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde_json::json;
use tokio::sync::Semaphore;

use super::shown::{ShownMessage, ShownTrouble};
use crate::{
    id::UserId,
    playground::{Change, Changes, Playground},
};

/// `GET /events`. The seat is given back when the stream ends.
pub(super) fn follow(playground: Playground, speaker: UserId, streams: Arc<Semaphore>) -> Response {
    let Ok(seat) = streams.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open.\n").into_response();
    };
    let changes = playground.changes();
    let told =
        stream::unfold((playground, changes, seat), move |(playground, mut changes, seat)| async move {
            let event = next_event(&playground, &mut changes, speaker).await?;
            Some((Ok::<_, Infallible>(event), (playground, changes, seat)))
        });
    Sse::new(told).keep_alive(KeepAlive::default()).into_response()
}

async fn next_event(playground: &Playground, changes: &mut Changes, speaker: UserId) -> Option<Event> {
    let closed = playground.inner.closed.clone();
    loop {
        let change = closed.run_until_cancelled(changes.next()).await??;
        let is_there = |room| playground.world().is_member(speaker, room);
        let shown = |message: &_| ShownMessage::of(playground, message, speaker);
        let event = match change {
            Change::MessageCreated(message) if is_there(message.room) => {
                Event::default().event("message").json_data(shown(&message))
            }
            Change::MessageUpdated(message) if is_there(message.room) => {
                Event::default().event("changed").json_data(shown(&message))
            }
            Change::MessageCreated(_) | Change::MessageUpdated(_) => continue,
            Change::MessageDeleted { room, message } => {
                Event::default().event("deleted").json_data(json!({ "room": room, "id": message }))
            }
            Change::WebhookDelivered(delivery) => {
                match ShownTrouble::of(&playground.world(), &delivery, speaker) {
                    Some(trouble) => Event::default().event("trouble").json_data(trouble),
                    None => continue,
                }
            }
            Change::SurroundingsChanged => Ok(Event::default().event("state").data("{}")),
            Change::BackstageChanged => Event::default().event("backstage").json_data(playground.backstage()),
            Change::Missed(_) => Ok(Event::default().event("reread").data("{}")),
        };
        // Numbers and text always become JSON.
        return event.ok();
    }
}

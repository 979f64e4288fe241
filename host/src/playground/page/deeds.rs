//! What whoever has the page does.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::Speaker;
use crate::{
    id::{MessageId, RoomId, UserId},
    playground::{Change, Error, Fault, Features, Playground},
};

/// How many people and rooms the page may add to: all that there are.
const PEOPLE: usize = 100;
const ROOMS: usize = 300;
/// The longest name of a person or a room, in characters.
const LONGEST_NAME: usize = 60;
/// How many posts of bots may be made to go wrong at once.
const FAULTS: u32 = 100;

/// What was made.
#[derive(Serialize)]
pub(super) struct Made<T> {
    id: T,
}

type Created<T> = Result<(StatusCode, Json<Made<T>>), Error>;

fn made<T>(id: T) -> (StatusCode, Json<Made<T>>) {
    (StatusCode::CREATED, Json(Made { id }))
}

#[derive(Deserialize)]
pub(super) struct Typed {
    text: String,
}

/// `POST /api/rooms/<room>/messages`
pub(super) async fn say(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path(room): Path<u64>,
    Json(typed): Json<Typed>,
) -> Created<MessageId> {
    playground.say(speaker, RoomId(room), &typed.text).map(made)
}

/// `PATCH /api/rooms/<room>/messages/<message>`
pub(super) async fn rewrite(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path((room, message)): Path<(u64, u64)>,
    Json(typed): Json<Typed>,
) -> Result<StatusCode, Error> {
    playground.rewrite(speaker, RoomId(room), MessageId(message), &typed.text)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/rooms/<room>/messages/<message>`
pub(super) async fn remove(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path((room, message)): Path<(u64, u64)>,
) -> Result<StatusCode, Error> {
    playground.delete(speaker, RoomId(room), MessageId(message))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Boosted {
    content: String,
}

/// `POST /api/rooms/<room>/messages/<message>/boosts`
pub(super) async fn boost(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path((room, message)): Path<(u64, u64)>,
    Json(boosted): Json<Boosted>,
) -> Created<u64> {
    let boost = playground.boost(speaker, RoomId(room), MessageId(message), &boosted.content)?;
    Ok(made(boost.id))
}

/// `DELETE /api/rooms/<room>/boosts/<boost>`
pub(super) async fn remove_boost(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path((room, boost)): Path<(u64, u64)>,
) -> Result<StatusCode, Error> {
    playground.remove_boost(speaker, RoomId(room), boost)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct NewPerson {
    name: String,
}

/// `POST /api/people`
pub(super) async fn add_person(
    State(playground): State<Playground>,
    Json(person): Json<NewPerson>,
) -> Created<UserId> {
    let name = name(&person.name)?;
    let mut world = playground.world();
    if world.people().len() >= PEOPLE {
        return Err(Error::Full { what: "people and bots", limit: PEOPLE });
    }
    let id = world.add_person(name);
    playground.tell(Change::SurroundingsChanged);
    Ok(made(id))
}

#[derive(Deserialize)]
pub(super) struct NewRoom {
    /// None for a direct room.
    name: Option<String>,
    /// Besides who makes it.
    members: Vec<UserId>,
}

/// `POST /api/rooms`: a room; for a direct room of two, the one that there is.
pub(super) async fn add_room(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Json(room): Json<NewRoom>,
) -> Created<RoomId> {
    let name = room.name.as_deref().map(name).transpose()?;
    let mut world = playground.world();
    if world.rooms().len() >= ROOMS {
        return Err(Error::Full { what: "rooms", limit: ROOMS });
    }
    let id = match (name, &room.members[..]) {
        (None, []) => return Err(Error::Blank),
        (None, [other]) => world.direct_room(speaker, *other)?,
        (name, others) => world.add_room(name, &[others, &[speaker]].concat())?,
    };
    playground.tell(Change::SurroundingsChanged);
    Ok(made(id))
}

fn name(name: &str) -> Result<&str, Error> {
    let name = name.trim();
    let size = name.chars().count();
    match size {
        0 => Err(Error::Blank),
        1..=LONGEST_NAME => Ok(name),
        _ => Err(Error::TooLong { size, limit: LONGEST_NAME }),
    }
}

/// `PUT /api/features`
pub(super) async fn set_features(
    State(playground): State<Playground>,
    Json(features): Json<Features>,
) -> StatusCode {
    playground.set_features(features);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
pub(super) struct Injected {
    fault: FaultName,
    times: u32,
}

/// The faults that the page offers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FaultName {
    Refuse,
    ErrorBefore,
    ErrorAfter,
    HangBefore,
    HangAfter,
    Redirect,
}

/// `POST /api/faults`
pub(super) async fn inject(
    State(playground): State<Playground>,
    Json(Injected { fault, times }): Json<Injected>,
) -> StatusCode {
    let fault = match fault {
        FaultName::Refuse => Fault::Refuse,
        FaultName::ErrorBefore => Fault::ErrorBeforeStoring(500),
        FaultName::ErrorAfter => Fault::ErrorAfterStoring(500),
        FaultName::HangBefore => Fault::HangBeforeStoring,
        FaultName::HangAfter => Fault::HangAfterStoring,
        FaultName::Redirect => Fault::Redirect,
    };
    playground.inject(fault, times.min(FAULTS));
    StatusCode::NO_CONTENT
}

/// `DELETE /api/faults`
pub(super) async fn take_faults_back(State(playground): State<Playground>) -> StatusCode {
    playground.take_faults_back();
    StatusCode::NO_CONTENT
}

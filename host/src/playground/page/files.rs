//! Files, up and down.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;

use super::Speaker;
use crate::{
    id::{MessageId, RoomId},
    playground::{Error, Playground},
};

/// The longest name of a file, in characters.
const LONGEST_NAME: usize = 200;
/// What the browser may show in the page: it can't be anything but a picture, a sound or a film.
const SHOWN: [&str; 7] =
    ["image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "video/mp4", "video/webm"];

/// Whether the page shows it, rather than offering to save it.
pub(super) fn is_shown(media_type: &str) -> bool {
    SHOWN.contains(&media_type)
}

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

/// `POST /api/rooms/<room>/files?name=`
pub(super) async fn upload(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path(room): Path<u64>,
    Query(Named { name }): Query<Named>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<MessageId>), Error> {
    let size = name.chars().count();
    if size > LONGEST_NAME {
        return Err(Error::TooLong { size, limit: LONGEST_NAME });
    }
    if name.trim().is_empty() {
        return Err(Error::Blank);
    }
    Ok((StatusCode::CREATED, Json(playground.upload(speaker, RoomId(room), &name, bytes)?)))
}

/// `GET /attachments/<message>`: to be saved, or to be shown as what it can only be; never a document of this origin.
pub(super) async fn download(State(playground): State<Playground>, Path(message): Path<u64>) -> Response {
    let Some((file, bytes)) = playground.uploaded(MessageId(message)) else {
        return (StatusCode::GONE, "This file had to make room for newer ones.\n").into_response();
    };
    let kind =
        if is_shown(&file.media_type) { file.media_type } else { "application/octet-stream".to_owned() };
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", percent_encoded(&file.name))),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    (headers, bytes).into_response()
}

fn percent_encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

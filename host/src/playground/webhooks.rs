//! Webhooks: one attempt each, delivered by a few workers from a bounded queue, and what the answer does to the room.
//!
//! The answer's meaning is Campfire's, oddities included: a text with status 200 is posted, anything else with a
//! `Content-Type` becomes a file, 204 with one crashes the job, silence beyond the time limit is told in the room.
//! URLs of webhooks are secrets; no reason that is recorded contains one.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::Read as _,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use reqwest::{
    Client, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
        USER_AGENT,
    },
    redirect::Policy,
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};

use super::{
    Delivery, Effect, Inner, Message, Options, Playground,
    world::{Content, LARGEST_POST, Recipient, World},
};
use crate::id::{MessageId, RoomId, UserId};

/// What Campfire posts in the bot's name, whatever its time limit is set to here.
const TOO_SLOW: &str = "Failed to respond within 7 seconds";

/// Campfire only limits each read; a bot that drips for ever is let go of after this.
const WHOLE_DELIVERY: Duration = Duration::from_mins(2);

/// Media types that Campfire has a name for, and that name. It follows "attachment." in the name of the file.
const MEDIA_TYPES: [(&str, &str); 20] = [
    ("text/html", "html"),
    ("text/plain", "text"),
    ("text/css", "css"),
    ("text/javascript", "js"),
    ("text/csv", "csv"),
    ("text/markdown", "md"),
    ("text/calendar", "ics"),
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/gif", "gif"),
    ("image/svg+xml", "svg"),
    ("image/webp", "webp"),
    ("audio/mpeg", "mp3"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
    ("application/xml", "xml"),
    ("application/json", "json"),
    ("application/pdf", "pdf"),
    ("application/zip", "zip"),
    ("application/gzip", "gzip"),
];

/// Takes webhooks to be delivered.
pub(super) struct Mailer(mpsc::Sender<Letter>);

/// The other end of a [`Mailer`], before it has workers.
pub(super) struct PostOffice {
    letters: mpsc::Receiver<Letter>,
    workers: usize,
    client: Result<Client, String>,
}

struct Letter {
    message: Arc<Message>,
    bot: UserId,
}

/// An answer to a webhook, read to its end.
struct Answer {
    status: u16,
    content_type: Option<String>,
    body: Bytes,
}

/// What an answer does.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    Nothing,
    Post(String),
    Upload { name: String, media_type: String },
    JobFails(&'static str),
}

enum Failure {
    TimedOut,
    Unreachable(String),
    JobFails(&'static str),
}

/// The media type that the end of a file's name suggests.
pub(super) fn media_type_of(file_name: &str) -> &'static str {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let symbol = match extension.as_deref() {
        Some("txt") => "text",
        Some("jpg") => "jpeg",
        Some("htm") => "html",
        Some("gz") => "gzip",
        Some(other) => other,
        None => "",
    };
    MEDIA_TYPES
        .iter()
        .find(|(_, known)| *known == symbol)
        .map_or("application/octet-stream", |(media_type, _)| media_type)
}

// === impl Mailer ===

impl Mailer {
    pub(super) fn new(options: &Options) -> (Self, PostOffice) {
        let (sender, letters) = mpsc::channel(options.webhook_queue.max(1));
        let office = PostOffice { letters, workers: options.webhook_workers.max(1), client: client(options) };
        (Self(sender), office)
    }

    /// False if too many are waiting.
    pub(super) fn send(&self, message: &Arc<Message>, bot: UserId) -> bool {
        self.0.try_send(Letter { message: Arc::clone(message), bot }).is_ok()
    }
}

impl PostOffice {
    /// Starts the workers. They end with the playground, which they don't keep alive between deliveries.
    pub(super) fn open(self, playground: &Arc<Inner>) {
        let letters = Arc::new(Mutex::new(self.letters));
        for _ in 0..self.workers {
            let work = work(Arc::downgrade(playground), Arc::clone(&letters), self.client.clone());
            let closed = playground.closed.clone();
            tokio::spawn(async move { closed.run_until_cancelled(work).await });
        }
    }
}

async fn work(
    playground: Weak<Inner>,
    letters: Arc<Mutex<mpsc::Receiver<Letter>>>,
    client: Result<Client, String>,
) {
    loop {
        let letter = letters.lock().await.recv().await;
        let Some(letter) = letter else { return };
        let Some(inner) = playground.upgrade() else { return };
        let playground = Playground { inner };
        let recipient = playground.world().recipient(letter.bot);
        let Some(recipient) = recipient else { continue };
        let body = payload(&playground.world(), &letter.message, &recipient);
        let answer = match &client {
            Ok(client) => match tokio::time::timeout(WHOLE_DELIVERY, ask(client, &recipient, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Unreachable("the answer did not end within two minutes".to_owned())),
            },
            Err(reason) => Err(Failure::Unreachable(reason.clone())),
        };
        settle(&playground, &letter, answer);
    }
}

fn client(options: &Options) -> Result<Client, String> {
    // Another part of the process may have chosen a provider already; that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .http1_title_case_headers()
        .connect_timeout(options.webhook_connect_timeout)
        .read_timeout(options.webhook_read_timeout)
        .build()
        .map_err(|error| innermost(&error))
}

async fn ask(client: &Client, recipient: &Recipient, body: String) -> Result<Answer, Failure> {
    let mut response = client
        .post(recipient.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT_ENCODING, "gzip;q=1.0,deflate;q=0.6,identity;q=0.3")
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, "Ruby")
        .header(CONNECTION, "close")
        .body(body)
        .send()
        .await
        .map_err(failure)?;
    let body = read(&mut response).await?;
    let headers = response.headers();
    let content_type =
        headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Answer { status: response.status().as_u16(), content_type, body: decoded(headers, body)? })
}

async fn read(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > LARGEST_POST {
            return Err(Failure::JobFails(TOO_LARGE));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

const TOO_LARGE: &str = "the answer is larger than 20 MiB";

fn decoded(headers: &HeaderMap, body: Vec<u8>) -> Result<Bytes, Failure> {
    let limit = LARGEST_POST as u64 + 1;
    let mut plain = Vec::new();
    let result = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip" | b"x-gzip") => GzDecoder::new(&body[..]).take(limit).read_to_end(&mut plain),
        Some(b"deflate") => ZlibDecoder::new(&body[..]).take(limit).read_to_end(&mut plain),
        _ => return Ok(body.into()),
    };
    match result {
        Ok(_) if plain.len() > LARGEST_POST => Err(Failure::JobFails(TOO_LARGE)),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Failure::JobFails("the answer is not compressed as its Content-Encoding says")),
    }
}

fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if error.is_timeout() { Failure::TimedOut } else { Failure::Unreachable(innermost(&error)) }
}

/// The cause at the bottom says most: "connection refused" rather than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What Campfire does with an answer.
fn reaction(answer: &Answer) -> Reaction {
    let Some(content_type) = answer.content_type.as_deref() else { return Reaction::Nothing };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if answer.status == 200 && ["text/html", "text/plain"].contains(&media_type) {
        return match std::str::from_utf8(&answer.body) {
            Ok(text) if text.trim().is_empty() => Reaction::Post(String::new()),
            Ok(text) => Reaction::Post(text.to_owned()),
            Err(_) => Reaction::JobFails("the answer is not UTF-8"),
        };
    }
    if [204, 304].contains(&answer.status) {
        return Reaction::JobFails("the answer has a Content-Type but can have no body");
    }
    // Compared as written: Campfire knows no name for TEXT/PLAIN.
    let symbol = MEDIA_TYPES.iter().find(|(known, _)| *known == media_type).map_or("", |(_, symbol)| symbol);
    Reaction::Upload { name: format!("attachment.{symbol}"), media_type: media_type.to_ascii_lowercase() }
}

fn settle(playground: &Playground, letter: &Letter, answer: Result<Answer, Failure>) {
    let Letter { message, bot } = letter;
    let post = |content| playground.write_answer(*bot, message.room, content);
    let (status, content_type) = match &answer {
        Ok(answer) => (Some(answer.status), answer.content_type.clone()),
        Err(_) => (None, None),
    };
    let posted = match answer {
        Ok(answer) => match reaction(&answer) {
            Reaction::Nothing => Ok(Effect::Nothing),
            Reaction::Post(html) => post(Content::Html(html)).map(Effect::Posted),
            Reaction::Upload { name, media_type } => {
                post(Content::File { name, media_type, bytes: answer.body }).map(Effect::Uploaded)
            }
            Reaction::JobFails(reason) => Ok(Effect::JobFailed(reason.to_owned())),
        },
        Err(Failure::TimedOut) => post(Content::Html(TOO_SLOW.to_owned())).map(Effect::TimedOut),
        Err(Failure::Unreachable(reason)) => Ok(Effect::Unreachable(reason)),
        Err(Failure::JobFails(reason)) => Ok(Effect::JobFailed(reason.to_owned())),
    };
    let effect = posted.unwrap_or_else(|error| Effect::JobFailed(error.to_string()));
    tracing::debug!(message = %message.id, bot = %bot, ?status, ?effect, "webhook delivered");
    let delivery =
        Delivery { message: message.id, room: message.room, bot: *bot, status, content_type, effect };
    playground.record(&mut playground.world(), delivery);
}

// === The body of a webhook ===

#[derive(Serialize)]
struct Payload<'a> {
    user: PayloadUser<'a>,
    room: PayloadRoom<'a>,
    message: PayloadMessage<'a>,
}

#[derive(Serialize)]
struct PayloadUser<'a> {
    id: UserId,
    name: &'a str,
}

#[derive(Serialize)]
struct PayloadRoom<'a> {
    id: RoomId,
    name: Option<&'a str>,
    path: String,
}

#[derive(Serialize)]
struct PayloadMessage<'a> {
    id: MessageId,
    body: PayloadBody<'a>,
    path: String,
}

#[derive(Serialize)]
struct PayloadBody<'a> {
    html: Option<&'a str>,
    plain: &'a str,
}

fn payload(world: &World, message: &Message, recipient: &Recipient) -> String {
    let plain = message.plain.replace(&format!("@{}", recipient.name), "");
    let room = message.room;
    let payload = Payload {
        user: PayloadUser { id: message.author, name: world.name_of(message.author).unwrap_or_default() },
        room: PayloadRoom {
            id: room,
            name: world.room_name(room),
            path: format!("/rooms/{room}/{}/messages", recipient.key.expose_secret()),
        },
        message: PayloadMessage {
            id: message.id,
            body: PayloadBody { html: message.html.as_deref(), plain: plain.trim() },
            path: format!("/rooms/{room}/@{}", message.id),
        },
    };
    let json = serde_json::to_string(&payload).expect("text and numbers are always JSON");
    escape_as_ruby(&json).into_owned()
}

/// Rails escapes these in every JSON string, and outside of strings JSON has none of them.
fn escape_as_ruby(json: &str) -> Cow<'_, str> {
    const ESCAPED: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
    if !json.contains(ESCAPED) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() * 5 / 4);
    for character in json.chars() {
        if ESCAPED.contains(&character) {
            // Writing to a string can't fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

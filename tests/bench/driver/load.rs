//! Who writes in rooms: webhooks as Campfire sends them (each on a connection of its own), and the answers.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use crate::campfire::{Campfire, Post};

/// How long an answer may take; longer than any that is measured.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a bot takes webhooks.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// `<id>-<token>`
    pub(crate) bot_key: String,
}

/// One who writes to a bot in a direct room and reads what it answers.
pub(crate) struct Writer {
    /// Its messages go to these in turn.
    doors: Vec<Door>,
    room: u64,
    posts: mpsc::Receiver<Post>,
}

/// A message and its answer.
pub(crate) struct Exchange {
    /// When it was sent.
    pub(crate) sent: Instant,
    /// From there until the answer was in the room.
    pub(crate) answered: Duration,
    pub(crate) answer: String,
}

impl Writer {
    pub(crate) fn new(campfire: &Campfire, door: &Door, room: u64) -> Self {
        Self::across(campfire, vec![door.clone()], room)
    }

    /// One whose messages go to these doors of the same bot in turn, from the first on.
    pub(crate) fn across(campfire: &Campfire, doors: Vec<Door>, room: u64) -> Self {
        Self { doors, room, posts: campfire.read(room) }
    }

    /// Writes, and waits for the acknowledgement and the answer.
    ///
    /// # Panics
    /// If either is not as it should be: nothing that was measured would mean anything.
    pub(crate) async fn say(&mut self, text: &str) -> Exchange {
        while self.posts.try_recv().is_ok() {}
        let sent = Instant::now();
        let status = self.doors[0].send(self.room, text).await.expect("the webhook arrives");
        self.doors.rotate_left(1);
        assert_eq!(status, 204, "the webhook is acknowledged");
        let Post { at, body } =
            timeout(PATIENCE, self.posts.recv()).await.expect("an answer in time").expect("Campfire runs");
        let answer = String::from_utf8_lossy(&body).into_owned();
        Exchange { sent, answered: at - sent, answer }
    }

    /// The same with a text of its own, which the answer has to hold.
    pub(crate) async fn ask(&mut self) -> Exchange {
        self.ask_with("").await
    }

    /// The same with words for the agent.
    pub(crate) async fn ask_with(&mut self, words: &str) -> Exchange {
        let word = word();
        let exchange = self.say(format!("{word} {words}").trim_end()).await;
        assert!(exchange.answer.contains(&word), "the answer to {word} is {}", exchange.answer);
        exchange
    }
}

/// A word that was not said before.
pub(crate) fn word() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("word{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Door {
    /// Sends a message's webhook; the status of the answer.
    pub(crate) async fn send(&self, room: u64, text: &str) -> io::Result<u16> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let message = NEXT.fetch_add(1, Ordering::Relaxed);
        let Self { address, path, bot_key } = self;
        let body = format!(
            r#"{{"user":{{"id":1,"name":"Ann"}},"room":{{"id":{room},"name":null,"path":"/rooms/{room}/{bot_key}/messages"}},"message":{{"id":{message},"body":{{"html":"<div>{text}</div>","plain":"{text}"}},"path":"/rooms/{room}/@{message}"}}}}"#
        );
        let request = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nUser-Agent: Ruby\r\nHost: {address}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(*address, &request).await?;
        let status = answer.get(9..12).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other(format!("not an HTTP answer: {answer:?}")))
    }
}

/// A whole HTTP exchange on a connection that the server closes.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A GET; the answer with its head.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

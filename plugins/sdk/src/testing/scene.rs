//! What a harness begins with, and what it can be asked afterwards.

use serde::Serialize;
use serde_json::Value;

use super::{Action, Harness, samples, world::word};
use crate::{
    Bot, Capability, Package, Sent, Timestamp, Want,
    bindings::hearth::bot::{
        campfire::PastMessage,
        http::{HttpError, HttpErrorKind, Method, Request, Response},
        kv::{Expectation, Scope},
        schedule::Pending,
    },
    log::Level,
};

// === Before ===

impl<B: Bot + Package> Harness<B> {
    /// With these settings: `json!({ "persona": "a pirate" })`.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        self.world.settings = settings;
        self
    }

    /// With these grants in bots.toml. What the bot does not ask for stays denied.
    ///
    /// # Panics
    /// The bot asks for one that it can't do without: the host would not load it.
    #[must_use]
    pub fn grants(mut self, grants: &[Capability]) -> Self {
        let (granted, denied): (Vec<&Want>, Vec<&Want>) =
            B::WANTS.iter().partition(|want| grants.contains(&want.capability));
        if let Some(required) = denied.iter().find(|want| want.required) {
            panic!("the bot can't do without `{}`: it would not be loaded", word(required.capability));
        }
        self.world.granted = granted.iter().map(|want| want.capability).collect();
        self
    }

    /// On a Campfire that has only posts: no history, no boosts, no editing.
    #[must_use]
    pub fn older_server(mut self) -> Self {
        self.world.rooms.older_server = true;
        self
    }

    /// With a server that answers a GET of this URL with this status and JSON. Said again for the same URL, it is the next
    /// answer; the last one is given again and again.
    #[must_use]
    pub fn on_get(self, url: &str, status: u16, body: impl Serialize) -> Self {
        self.on(Method::Get, url, status, body)
    }

    /// As [`on_get`](Self::on_get), for any method.
    #[must_use]
    pub fn on(mut self, method: Method, url: &str, status: u16, body: impl Serialize) -> Self {
        let response = Response {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: serde_json::to_vec(&body).expect("what a test has a server answer can be written as JSON"),
            url: url.to_owned(),
            attributes: Vec::new(),
        };
        self.world.web.answer(method, url, Ok(response));
        self
    }

    /// With a server that answers exactly so.
    #[must_use]
    pub fn on_response(mut self, method: Method, response: Response) -> Self {
        let url = response.url.clone();
        self.world.web.answer(method, &url, Ok(response));
        self
    }

    /// With a request that fails.
    #[must_use]
    pub fn on_failure(mut self, method: Method, url: &str, kind: HttpErrorKind, sent: Sent) -> Self {
        let message = format!("{url}: {kind:?}, as the test has it");
        self.world.web.answer(method, url, Err(HttpError { kind, sent, message, attributes: Vec::new() }));
        self
    }

    /// With a secret that the operator has put into this header of this host.
    #[must_use]
    pub fn secret(mut self, host: &str, header: &str) -> Self {
        self.world.web.put_secret(host, header);
        self
    }

    /// Someone says something in the room "All Talk" that is not meant for the bot; answers the message's id.
    pub fn says(&mut self, name: &str, text: &str) -> u64 {
        let id = self.world.rooms.next_id();
        let (author, created_at) = (samples::user(1 + name.len() as u64, name), self.world.now);
        let (text, html) = (text.to_owned(), None);
        let message = PastMessage { id, author, mine: false, text, html, created_at, attributes: Vec::new() };
        self.world.rooms.add(samples::event("").room.id, message);
        id
    }

    /// Keeps a value under a key of the room "All Talk", or of the bot, as JSON.
    ///
    /// # Panics
    /// It would pass the limits.
    pub fn keep(&mut self, scope: Scope, key: &str, value: impl Serialize) {
        let value = serde_json::to_vec(&value).expect("what a test keeps can be written as JSON");
        let set = self.world.store.keys(room_of(scope)).set(key, &value, Expectation::Anything);
        set.expect("what a test keeps fits the limits");
    }
}

// === Afterwards ===

impl<B: Bot + Package> Harness<B> {
    /// The lines of all calls so far; of each call the first 100.
    pub fn lines(&self) -> &[(Level, String)] {
        &self.world.lines
    }

    /// What the bot did in its rooms besides answering.
    pub fn actions(&self) -> &[Action] {
        &self.world.rooms.actions
    }

    /// What it asked servers for.
    pub fn requests(&self) -> &[Request] {
        &self.world.web.requests
    }

    /// What it keeps under a key of the room "All Talk", or of the bot.
    ///
    /// # Panics
    /// It is no JSON.
    pub fn kept(&mut self, scope: Scope, key: &str) -> Option<Value> {
        let entry =
            self.world.store.keys(room_of(scope)).get(key).expect("a test asks for a key that is one")?;
        Some(entry.json().expect("what is kept is JSON"))
    }

    /// The timers that it has set in all rooms and that have not come yet, the next one first.
    pub fn pending(&self) -> Vec<Pending> {
        self.world.timetable.list()
    }

    /// The harness's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Timestamp {
        self.world.now
    }
}

fn room_of(scope: Scope) -> Option<u64> {
    match scope {
        Scope::Room => Some(samples::event("").room.id),
        Scope::Bot => None,
    }
}

//! The sample bots that a team would use, each with what it reaches for real: its timers, its service, its room.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use hearth::{
    id::RoomId,
    playground::{Features, Message, Options},
    store::{Insight, Store},
};
use hearth_tests::{
    binary,
    world::{PATIENCE, World, demo_agent},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// Waits until something that a bot has said is so.
async fn hears(world: &World, room: RoomId, is_it: impl Fn(&str) -> bool) -> Message {
    let you = world.playground.you();
    let said = world.playground.wait_for(room, |said| said.author != you && is_it(&said.plain), PATIENCE);
    said.await.unwrap_or_else(|| panic!("not said; instead: {:?}", world.answers(room)))
}

// === assistant ===

fn assistant(grants: &str) -> String {
    format!("[bots.assistant]\nplugin = '{}'\ngrants = [{grants}]\n", binary::guest("assistant").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_finds_what_was_said_in_the_room_before_it_was_asked() {
    let world = World::new(&assistant("\"campfire\"")).await;
    let room = world.playground.shared_room();
    let bea = world.playground.add_person("Bea");
    world.playground.say(bea, room, "The launch is on Friday.").unwrap();
    world.playground.say(bea, room, "Lunch is at noon.").unwrap();
    let search = r#"@assistant demo:tool search_room_history {"words": "friday launch"}"#;
    let found = world.ask(room, search).await.plain;
    assert!(found.contains("The launch is on Friday.") && found.contains("Bea"), "{found}");
    assert!(!found.contains("Lunch"), "{found}");
    let elsewhere = r#"demo:tool search_room_history {"words": "launch"}"#;
    let found = world.ask(world.room("assistant"), elsewhere).await.plain;
    assert!(found.contains("\"messages\":[]"), "another room's history: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_outlives_the_host_and_stays_in_its_room() {
    let mut world = World::new(&assistant("\"kv\"")).await;
    let room = world.room("assistant");
    let remember = r#"demo:tool remember {"subject": "Standup", "note": "It is at nine."}"#;
    let told = world.ask(room, remember).await.plain;
    assert!(told.contains("Noted."), "{told}");
    world.drained().await;
    world.stop().await;
    world.start().await;
    let recall = r#"demo:tool recall {"about": "standup"}"#;
    let recalled = world.ask(room, recall).await.plain;
    assert!(recalled.contains("It is at nine.") && recalled.contains("\"noted_for\":\"You\""), "{recalled}");
    let elsewhere = world.ask(world.playground.shared_room(), &format!("@assistant {recall}")).await.plain;
    assert!(elsewhere.contains("\"notes\":[]"), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_that_is_granted_nothing_tells_the_model_who_can_change_that() {
    let world = World::new(&assistant("")).await;
    for (call, word) in [
        (r#"search_room_history {"words": "launch"}"#, "campfire"),
        (r#"remember {"subject": "a", "note": "b"}"#, "kv"),
        ("recall", "kv"),
    ] {
        let told = world.ask(world.room("assistant"), &format!("demo:tool {call}")).await.plain;
        assert!(told.contains("denied: ") && told.contains(&format!("can grant {word}")), "{told}");
    }
}

// === reminders ===

fn reminders(more: &str) -> String {
    let plugin = binary::guest("reminders");
    format!("[bots.reminders]\nplugin = '{}'\ngrants = [\"schedule\"]\n{more}", plugin.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_outlives_the_host_and_comes_once() {
    let mut world = World::new(&reminders("")).await;
    let room = world.room("reminders");
    let told = world.ask(room, "remind me in 5 seconds to stretch").await.plain;
    assert!(told.starts_with("Reminder 1, for ") && told.contains("“stretch”"), "{told}");
    world.stop().await;
    world.start().await;
    hears(&world, room, |said| {
        said.starts_with('⏰') && said.contains("you wanted to be reminded: “stretch”")
    })
    .await;
    world.drained().await;
    world.stop().await;
    world.start().await;
    assert_eq!(world.ask(room, "list").await.plain, "There are no reminders in this room.");
    assert_eq!(world.answers(room).iter().filter(|said| said.starts_with('⏰')).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_is_listed_by_the_clock_of_the_settings_and_taken_back() {
    let world = World::new(&reminders("settings = { zone = \"Asia/Kathmandu\" }\n")).await;
    let room = world.room("reminders");
    world.ask(room, "remind us in 2 days to water the plants").await;
    let list = world.ask(room, "list").await.plain;
    assert!(list.starts_with("1 · ") && list.ends_with(" +0545, all: water the plants"), "{list}");
    let told = world.ask(room, "cancel plants").await.plain;
    assert_eq!(told, "Reminder 1 is cancelled: “water the plants”");
    assert_eq!(world.ask(room, "list").await.plain, "There are no reminders in this room.");
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_of_two_rooms_do_not_meet() {
    let world = World::new(&reminders("")).await;
    world.ask(world.room("reminders"), "remind me in 2 hours to stretch").await;
    let elsewhere = world.ask(world.playground.shared_room(), "@reminders list").await;
    assert_eq!(elsewhere.plain, "There are no reminders in this room.");
}

// === oncall ===

const SECRET: &str = "Bearer hush";

/// An on-call service on this machine. It is there as long as this is.
struct Service {
    address: SocketAddr,
    /// What a request for incidents waits for.
    incidents: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Service {
    /// A service that tells of so many requests for incidents without being asked to.
    async fn begin(incidents: usize) -> Self {
        let incidents = Arc::new(Semaphore::new(incidents));
        let router = Router::new()
            .route("/api/schedule", get(schedule))
            .route("/api/incidents", get(open_incidents))
            .with_state(Arc::clone(&incidents));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, incidents, task }
    }

    /// A deployment of a bot that asks this service with this secret.
    fn bot(&self, secret: &str) -> String {
        format!(
            "[bots.oncall]\nplugin = '{}'\ngrants = [\"campfire\"]\nlimits = {{ call-time = \"30s\" }}\n\
             [bots.oncall.http.\"{address}\"]\nheaders = {{ authorization = \"{secret}\" }}\nprivate = true\nplain = true\n\
             [bots.oncall.settings]\nurl = \"http://{address}/api\"\nteams = [\"web\", \"database\"]\n",
            binary::guest("oncall").display(),
            address = self.address,
        )
    }

    /// Goes away. Nobody listens any more when this is done.
    async fn end(mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn allowed(headers: &HeaderMap) -> Result<(), StatusCode> {
    let is_known = headers.get("authorization").is_some_and(|secret| secret == SECRET);
    is_known.then_some(()).ok_or(StatusCode::UNAUTHORIZED)
}

async fn schedule(headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    allowed(&headers)?;
    Ok(Json(json!({ "shifts": [
        { "team": "web", "person": "Ann | Bea", "from": "2000-01-01T00:00:00Z", "until": "2100-01-01T08:00:00Z" },
    ] })))
}

async fn open_incidents(
    State(incidents): State<Arc<Semaphore>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    allowed(&headers)?;
    incidents.acquire().await.unwrap().forget();
    Ok(Json(json!({ "incidents": [
        { "id": "INC-7", "team": "web", "title": "Checkout is *slow*", "since": "2026-01-01T07:30:00Z" },
    ] })))
}

fn assert_whole(answer: &str) {
    for expected in
        ["Ann | Bea", "Fri 1 Jan 08:00", "nobody", "INC-7", "Checkout is *slow*", "Thu 1 Jan 07:30"]
    {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    assert!(!answer.contains('⏳') && !answer.contains('\\'), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_tells_what_is_done_shows_what_is_there_and_becomes_the_answer() {
    let service = Service::begin(0).await;
    let world = World::new(&service.bot(SECRET)).await;
    let room = world.room("oncall");
    world.say(room, "status").await;
    let half = hears(&world, room, |said| said.starts_with('⏳') && said.contains("Ann | Bea")).await;
    assert!(!half.plain.contains("INC-7"), "{}", half.plain);
    service.incidents.add_permits(1);
    let whole = hears(&world, room, |said| said.contains("INC-7")).await;
    assert_eq!(whole.id, half.id);
    assert_whole(&whole.plain);
    world.drained().await;
    assert_eq!(world.answers(room), [whole.plain]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_asks_who_is_on_call() {
    let service = Service::begin(0).await;
    let mut world = World::new(&service.bot(SECRET)).await;
    let room = world.room("oncall");
    let told = world.ask(room, r#"please demo:tool who_is_on_call {"team": "web"}"#).await.plain;
    assert!(told.contains("Ann | Bea") && told.contains("2100-01-01T08:00:00+00:00"), "{told}");
    assert!(!told.contains("database"), "{told}");
    let told = world.ask(room, r#"please demo:tool who_is_on_call {"team": "kitchen"}"#).await.plain;
    assert!(told.contains("not-found: There is no such team. The teams are: web, database."), "{told}");

    // It is kept what was asked and answered, and not what the host put into the request.
    world.drained().await;
    world.stop().await;
    let store = world.store().await;
    let first = store.journal(None, 10).await.unwrap().pop().unwrap();
    let trace = store.trace(&first.turn).await.unwrap().unwrap();
    assert!(
        trace.contains("http.send") && trace.contains("/api/schedule") && trace.contains("Ann | Bea"),
        "{trace}"
    );
    assert!(!trace.contains("hush"), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_gets_one_answer() {
    let service = Service::begin(1).await;
    let toml = format!("{}{}", demo_agent(), service.bot(SECRET));
    let world = World::with(&toml, Options { features: Features::oldest(), ..Options::default() }).await;
    let room = world.room("oncall");
    let answer = world.ask(room, "status").await.plain;
    assert_whole(&answer);
    world.drained().await;
    assert_eq!(world.answers(room), [answer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_service_does_not_know_is_one_sentence() {
    let service = Service::begin(0).await;
    let world = World::new(&service.bot("Bearer wrong")).await;
    let room = world.room("oncall");
    world.say(room, "who").await;
    hears(&world, room, |said| said.starts_with("The on-call service does not accept my credentials")).await;
    world.drained().await;
    assert_eq!(world.answers(room).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_allowed_is_not_asked() {
    let (allowed, other) = (Service::begin(0).await, Service::begin(0).await);
    let toml = allowed
        .bot(SECRET)
        .replace(&format!("http://{}/api", allowed.address), &format!("http://{}/api", other.address));
    let world = World::new(&toml).await;
    let room = world.room("oncall");
    world.say(room, "who").await;
    hears(&world, room, |said| said.starts_with("I may not ask the on-call service")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_one_sentence() {
    let service = Service::begin(0).await;
    let world = World::new(&service.bot(SECRET)).await;
    service.end().await;
    let room = world.room("oncall");
    world.say(room, "who").await;
    hears(&world, room, |said| said.starts_with("I can't reach the on-call service")).await;
}

//! Webhooks as a real Campfire sent them, byte for byte, and what people can write into one.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{
    id::{MessageId, RoomId},
    playground::{Change, Playground},
};
use hearth_tests::world::{PATIENCE, World};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n";

/// Sends a request as it is, and gives the answer's head and body.
async fn send(world: &World, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

async fn deliver(world: &World, body: &str) -> String {
    let head = format!(
        "POST {} HTTP/1.1\r\nContent-Type: application/json\r\nUser-Agent: Ruby\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        world.hook("echo"),
        world.address,
        body.len()
    );
    send(world, format!("{head}{body}").as_bytes()).await
}

/// The recorded body, moved into a room of the playground.
fn recorded(name: &str, room: RoomId) -> Value {
    let path = hearth_tests::binary::repository().join("tests/fixtures/campfire").join(name);
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut body: Value = serde_json::from_str(recorded["body_raw"].as_str().unwrap()).unwrap();
    body["room"]["id"] = json!(room);
    body
}

async fn answer(playground: &Playground, room: RoomId, count: usize) -> String {
    let mut changes = playground.changes();
    loop {
        let messages = playground.messages(room);
        if messages.len() >= count {
            return messages[count - 1].plain.clone();
        }
        let next = tokio::time::timeout(PATIENCE, changes.next()).await.expect("an answer comes");
        assert!(!matches!(next, None | Some(Change::Missed(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_webhooks_are_answered() {
    let world = World::new(BOTS).await;
    let room = world.room("echo");
    for (count, (name, expected)) in (1..).zip([
        ("payload-direct.json", "psst no mention"),
        ("payload-mention.json", "please deploy <prod> 🚀\nline two"),
        ("payload-user-attachment.json", "re port.txt"),
    ]) {
        let answered = deliver(&world, &recorded(name, room).to_string()).await;
        assert!(answered.starts_with("HTTP/1.1 204"), "{answered}");
        assert!(!answered.to_lowercase().contains("content-type"), "{answered}");
        assert_eq!(answer(&world.playground, room, count).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_delivery_is_acknowledged_and_answered_once() {
    let world = World::new(BOTS).await;
    let room = world.room("echo");
    let body = recorded("payload-direct.json", room).to_string();
    for _ in 0..3 {
        assert!(deliver(&world, &body).await.starts_with("HTTP/1.1 204"));
    }
    let mut other = recorded("payload-direct.json", room);
    other["message"]["body"]["plain"] = json!("the same id, said by a Campfire that was set up anew");
    deliver(&world, &other.to_string()).await;
    answer(&world.playground, room, 2).await;
    world.drained().await;
    assert_eq!(world.playground.messages(room).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_key_of_a_payload_is_kept_nowhere() {
    let mut world = World::new(BOTS).await;
    let room = world.room("echo");
    let mut body = recorded("payload-direct.json", room);
    body["room"]["path"] = json!("/rooms/2/2-leakedleaked/messages");
    body["extra"] = json!({"token": "2-leakedleaked"});
    deliver(&world, &body.to_string()).await;
    answer(&world.playground, room, 1).await;
    world.drained().await;
    world.stop().await;
    for entry in std::fs::read_dir(&world.config.host.data_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            assert!(!content.windows(14).any(|window| window == b"2-leakedleaked"), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_people_write_comes_back_as_text() {
    let world = World::new(BOTS).await;
    let room = world.room("echo");
    let mut body = recorded("payload-direct.json", room);
    for (count, (said, expected)) in (1_u64..).zip([
        ("", "Say something to me, and I will say it back."),
        ("/clear", "/clear"),
        ("@/etc/passwd", "@/etc/passwd"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("مرحبا 👩‍👩‍👧‍👦 שלום", "مرحبا 👩‍👩‍👧‍👦 שלום"),
        ("a\0b", "ab"),
    ]) {
        body["message"]["id"] = json!(MessageId(9000 + count));
        body["message"]["body"] = json!({"html": null, "plain": said});
        body["user"]["name"] = json!("\u{202e}<b>Ann</b>\0\n🦊");
        assert!(deliver(&world, &body.to_string()).await.starts_with("HTTP/1.1 204"));
        assert_eq!(answer(&world.playground, room, usize::try_from(count).unwrap()).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_events_of_forks_are_acknowledged_and_passed_over() {
    let world = World::new(BOTS).await;
    // Until its plugin is loaded nobody knows which events it takes.
    world.generation("echo", 1).await;
    for body in [
        json!({"event": "user_joined", "user": {"id": 1, "name": "Ann"}}),
        json!({"event": "message_updated", "user": {"id": 1, "name": "Ann"}, "room": {"id": 2}, "message": {"id": 3}}),
    ] {
        assert!(deliver(&world, &body.to_string()).await.starts_with("HTTP/1.1 204"));
    }
    assert_eq!(world.lanes().busy(), 0);
}

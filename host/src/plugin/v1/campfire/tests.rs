//! The room, over a real socket: as it should be, too old, and in trouble.

mod history;

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;
use crate::{
    id::RoomId,
    playground::{Fault, Features, Message},
    plugin::{
        File,
        v1::bench::{self, Bench},
    },
};

async fn bench() -> (Bench, State) {
    let bench = Bench::new().await;
    let state = bench.state(&[Capability::Campfire]);
    (bench, state)
}

async fn old_bench() -> (Bench, State) {
    let bench = Bench::with(Features::oldest(), Duration::from_secs(20)).await;
    let state = bench.state(&[Capability::Campfire]);
    (bench, state)
}

async fn post(state: &mut State, part: Part) -> Result<Option<u64>, CampfireError> {
    Host::post(state, part).await.unwrap()
}

async fn say(state: &mut State, text: &str) -> Result<Option<u64>, CampfireError> {
    post(state, Part::Text(text.to_owned())).await
}

async fn edit(state: &mut State, message: u64, text: &str) -> Result<(), CampfireError> {
    Host::edit(state, message, Part::Text(text.to_owned())).await.unwrap()
}

async fn remove(state: &mut State, message: u64) -> Result<(), CampfireError> {
    Host::remove(state, message).await.unwrap()
}

async fn boost(state: &mut State, message: u64, text: &str) -> Result<(), CampfireError> {
    Host::boost(state, message, text.to_owned()).await.unwrap()
}

async fn newest(state: &mut State, limit: u32) -> Result<Vec<PastMessage>, CampfireError> {
    let query = Query { before: None, after: None, limit, attributes: Vec::new() };
    Host::history(state, query).await.unwrap()
}

/// Kind and whether it was sent, after a check that the key is not told.
fn face(bench: &Bench, error: &CampfireError) -> (CampfireErrorKind, Sent) {
    let (_, token) = bench.account.key.expose_secret().split_once('-').unwrap();
    assert!(!error.message.contains(token), "{}", error.message);
    (error.kind, error.sent)
}

/// What every function fails with, in the order of the interface.
async fn failures(bench: &Bench, state: &mut State) -> Vec<(CampfireErrorKind, Sent)> {
    let id = bench.trigger.0;
    let errors = [
        newest(state, 1).await.unwrap_err(),
        say(state, "x").await.unwrap_err(),
        edit(state, id, "x").await.unwrap_err(),
        remove(state, id).await.unwrap_err(),
        boost(state, id, "x").await.unwrap_err(),
    ];
    errors.iter().map(|error| face(bench, error)).collect()
}

fn room(bench: &Bench) -> Vec<Message> {
    bench.playground.messages(bench.account.direct_room)
}

fn file(content: &[u8]) -> Part {
    Part::File(File {
        name: "a.csv".into(),
        media_type: "text/csv".into(),
        content: content.to_vec(),
        attributes: Vec::new(),
    })
}

#[tokio::test]
async fn every_kind_of_part_is_posted_as_in_an_answer() {
    let (bench, mut state) = bench().await;
    for part in [
        Part::Markdown("**a**".into()),
        Part::Html("<b>b</b><script>x</script>".into()),
        Part::Text("<c>".into()),
        Part::Sound("tada".into()),
    ] {
        let id = post(&mut state, part).await.unwrap();
        assert_eq!(id, room(&bench).last().map(|message| message.id.0));
    }
    let bodies: Vec<_> = room(&bench).into_iter().skip(1).filter_map(|message| message.html).collect();
    assert_eq!(bodies, ["<p><strong>a</strong></p>", "<b>b</b>", "&lt;c&gt;", "/play tada"]);

    let id = post(&mut state, file(b"1,2")).await.unwrap().unwrap();
    let (attachment, bytes) = bench.playground.uploaded(MessageId(id)).unwrap();
    assert_eq!((&*attachment.name, &*attachment.media_type, &bytes[..]), ("a.csv", "text/csv", &b"1,2"[..]));

    assert_eq!(post(&mut state, Part::Boost("👍".into())).await, Ok(None));
    assert_eq!(room(&bench)[0].boosts[0].content, "👍");
}

#[tokio::test]
async fn a_long_text_is_posted_as_several_messages_and_the_last_is_told() {
    let (bench, mut state) = bench().await;
    let id = say(&mut state, &"word ".repeat(8_000)).await.unwrap();
    let posted = room(&bench);
    assert_eq!(posted.len(), 1 + 3);
    assert_eq!(id, posted.last().map(|message| message.id.0));
    assert!(posted.is_sorted_by_key(|message| message.id));
}

#[tokio::test]
async fn a_long_text_that_breaks_off_says_how_much_is_there() {
    let (bench, mut state) = bench().await;
    bench.playground.inject(Fault::ErrorAfterStoring(201), 1);
    bench.playground.inject(Fault::Redirect, 1);
    let error = say(&mut state, &"word ".repeat(8_000)).await.unwrap_err();
    assert_eq!(face(&bench, &error), (CampfireErrorKind::Unavailable, Sent::Maybe));
    let told = "of 3 messages that it makes the first 1 are in the room; then: Campfire does not know";
    assert!(error.message.starts_with(told), "{}", error.message);
    assert_eq!(room(&bench).len(), 1 + 1);
}

#[tokio::test]
async fn a_boost_needs_a_message_that_the_turn_is_about() {
    let (bench, mut state) = bench().await;
    state.reach_mut().trigger = None;
    let error = post(&mut state, Part::Boost("👍".into())).await.unwrap_err();
    assert_eq!(face(&bench, &error), (CampfireErrorKind::Invalid, Sent::No));
    assert!(error.message.contains("use `boost`"), "{}", error.message);
}

#[tokio::test]
async fn what_can_not_be_said_is_invalid_and_never_sent() {
    let (bench, mut state) = bench().await;
    bench.playground.inject(Fault::ErrorAfterStoring(500), 1);
    let many = format!("<pre>{}</pre>", "&".repeat(250_000));
    for (part, words) in [
        (Part::Text(" \n".into()), "nothing in it"),
        (Part::Markdown("x".repeat((256 << 10) + 1)), "one may have 262144"),
        (Part::Html(many), "messages; 60 may be posted in a minute"),
        (file(&vec![0; (8 << 20) + 1]), "one may have 8388608"),
        (Part::Boost("x".repeat(17)), "1 to 16 characters"),
        (Part::Sound("Ta Da".into()), "lower-case letters"),
    ] {
        let error = post(&mut state, part).await.unwrap_err();
        assert_eq!(face(&bench, &error), (CampfireErrorKind::Invalid, Sent::No));
        assert!(error.message.contains(words), "{}", error.message);
    }
    for text in [" ", "seventeen letters"] {
        let error = boost(&mut state, bench.trigger.0, text).await.unwrap_err();
        assert_eq!(face(&bench, &error), (CampfireErrorKind::Invalid, Sent::No));
    }
    assert_eq!(room(&bench).len(), 1);
}

#[tokio::test]
async fn an_own_message_is_edited_and_removed() {
    let (bench, mut state) = bench().await;
    let id = say(&mut state, "one").await.unwrap().unwrap();
    for (part, body) in [
        (Part::Markdown("*two*".into()), "<p><em>two</em></p>"),
        (Part::Html("<i>three</i>".into()), "<i>three</i>"),
        (Part::Text("<four>".into()), "&lt;four&gt;"),
    ] {
        Host::edit(&mut state, id, part).await.unwrap().unwrap();
        assert_eq!(room(&bench)[1].html.as_deref(), Some(body));
    }
    remove(&mut state, id).await.unwrap();
    assert_eq!(room(&bench).len(), 1);
}

#[tokio::test]
async fn an_edit_that_is_no_one_message_is_invalid() {
    let (bench, mut state) = bench().await;
    let id = say(&mut state, "one").await.unwrap().unwrap();
    for (part, words) in [
        (file(b"x"), "markdown, HTML or a text only"),
        (Part::Boost("👍".into()), "markdown, HTML or a text only"),
        (Part::Sound("tada".into()), "markdown, HTML or a text only"),
        (Part::Text(" ".into()), "use `remove`"),
        (Part::Text("word ".repeat(8_000)), "it would make 3"),
        (Part::Text("x".repeat((256 << 10) + 1)), "one may have 262144"),
    ] {
        let error = Host::edit(&mut state, id, part).await.unwrap().unwrap_err();
        assert_eq!(face(&bench, &error), (CampfireErrorKind::Invalid, Sent::No));
        assert!(error.message.contains(words), "{}", error.message);
    }
    assert_eq!(room(&bench)[1].plain, "one");
}

#[tokio::test]
async fn a_message_that_is_gone_or_not_its_own_is_not_found() {
    let (bench, mut state) = bench().await;
    let (theirs, gone) = (bench.trigger.0, bench.trigger.0 + 1_000_000);
    let not_found = (CampfireErrorKind::NotFound, Sent::No);
    for id in [theirs, gone] {
        assert_eq!(face(&bench, &edit(&mut state, id, "x").await.unwrap_err()), not_found);
        assert_eq!(face(&bench, &remove(&mut state, id).await.unwrap_err()), not_found);
    }
    assert_eq!(face(&bench, &boost(&mut state, gone, "👍").await.unwrap_err()), not_found);
    boost(&mut state, theirs, "👍").await.unwrap();
    assert_eq!(room(&bench)[0].boosts.len(), 1);
}

#[tokio::test]
async fn an_older_campfire_takes_posts_and_says_what_it_can_not_do() {
    let (bench, mut state) = old_bench().await;
    let id = say(&mut state, "hi").await.unwrap().unwrap();
    assert_eq!(post(&mut state, Part::Boost("👍".into())).await, Ok(None), "passed over");
    let unsupported = (CampfireErrorKind::Unsupported, Sent::No);
    let error = newest(&mut state, 1).await.unwrap_err();
    assert_eq!(face(&bench, &error), unsupported);
    assert_eq!(
        error.message,
        "this Campfire is too old for reading a room's messages; update it to have that"
    );
    assert_eq!(face(&bench, &edit(&mut state, id, "x").await.unwrap_err()), unsupported);
    assert_eq!(face(&bench, &remove(&mut state, id).await.unwrap_err()), unsupported);
    assert_eq!(face(&bench, &boost(&mut state, id, "👍").await.unwrap_err()), unsupported);
}

#[tokio::test]
async fn a_post_without_a_clear_answer_may_be_there_and_is_not_repeated() {
    let bench = Bench::with(Features::newest(), Duration::from_secs(4)).await;
    let mut state = bench.state(&[Capability::Campfire]);
    for (fault, stored) in [
        (Fault::Refuse, 0),
        (Fault::ErrorAfterStoring(500), 1),
        (Fault::HangBeforeStoring, 0),
        (Fault::HangAfterStoring, 1),
    ] {
        let before = room(&bench).len();
        bench.playground.inject(fault, 1);
        let error = say(&mut state, "x").await.unwrap_err();
        assert_eq!(face(&bench, &error), (CampfireErrorKind::Unavailable, Sent::Maybe), "{fault:?}");
        assert_eq!(room(&bench).len(), before + stored, "{fault:?}");
    }
}

#[tokio::test]
async fn a_room_that_is_gone_and_a_key_that_is_wrong_are_unavailable_and_nothing_was_done() {
    let (bench, mut state) = bench().await;
    let refused = (CampfireErrorKind::Unavailable, Sent::No);
    state.reach_mut().target.as_mut().unwrap().room = RoomId(99);
    assert_eq!(face(&bench, &newest(&mut state, 1).await.unwrap_err()), refused);
    assert_eq!(face(&bench, &say(&mut state, "x").await.unwrap_err()), refused);
    state.reach_mut().target.as_mut().unwrap().bot_key = "2-000000000000".into();
    assert_eq!(failures(&bench, &mut state).await, [refused; 5]);
}

#[tokio::test]
async fn a_campfire_that_is_not_there_was_surely_sent_nothing() {
    let bench = Bench::new().await;
    let mut state = bench.state(&[Capability::Campfire]);
    // Bound and not listening: connections are refused, and nobody else gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    state.reach_mut().target.as_mut().unwrap().base = bench::url(socket.local_addr().unwrap());
    assert_eq!(failures(&bench, &mut state).await, [(CampfireErrorKind::Unavailable, Sent::No); 5]);
}

#[tokio::test]
async fn a_bot_without_a_campfire_is_told_what_to_configure() {
    let (bench, mut state) = bench().await;
    state.reach_mut().target = None;
    assert_eq!(failures(&bench, &mut state).await, [(CampfireErrorKind::Unavailable, Sent::No); 5]);
    let error = say(&mut state, "x").await.unwrap_err();
    assert!(error.message.contains("[bots.helper] in bots.toml needs a `bot-key`"), "{}", error.message);
}

#[tokio::test]
async fn nothing_is_reached_without_the_grant() {
    let bench = Bench::new().await;
    let mut state = bench.state(&[Capability::Kv]);
    assert_eq!(failures(&bench, &mut state).await, [(CampfireErrorKind::Denied, Sent::No); 5]);
    assert_eq!(say(&mut state, "x").await.unwrap_err().message, state.denied(Capability::Campfire));
    assert_eq!(room(&bench).len(), 1);
}

#[tokio::test]
async fn a_minute_has_sixty_requests_whatever_they_are_for() {
    let (bench, mut state) = bench().await;
    let id = say(&mut state, "one").await.unwrap().unwrap();
    edit(&mut state, id, "two").await.unwrap();
    boost(&mut state, id, "👍").await.unwrap();
    newest(&mut state, 1).await.unwrap();
    remove(&mut state, id).await.unwrap();
    state.seat().unwrap().take(55).unwrap();
    assert_eq!(failures(&bench, &mut state).await, [(CampfireErrorKind::RateLimited, Sent::No); 5]);
    let error = say(&mut state, "x").await.unwrap_err();
    let (rule, wait) = error.message.split_once("; go on in ").unwrap();
    assert_eq!(rule, "60 requests a minute are allowed in a room");
    let seconds: u64 = wait.strip_suffix(" s").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");

    // Other turns of this room share its rate; other rooms have their own.
    let mut later = bench.state(&[Capability::Campfire]);
    assert_eq!(say(&mut later, "x").await.unwrap_err().kind, CampfireErrorKind::RateLimited);
    later.reach_mut().room = RoomId(99);
    say(&mut later, "x").await.unwrap();
}

#[tokio::test]
async fn a_long_text_is_posted_in_full_or_not_begun() {
    let (bench, mut state) = bench().await;
    state.seat().unwrap().take(58).unwrap();
    let error = say(&mut state, &"word ".repeat(8_000)).await.unwrap_err();
    assert_eq!(face(&bench, &error), (CampfireErrorKind::RateLimited, Sent::No));
    assert_eq!(room(&bench).len(), 1);
    say(&mut state, "short").await.unwrap();
}

#[tokio::test]
async fn once_the_turns_tenure_is_over_a_plugin_changes_nothing_in_the_room() {
    let (bench, mut state) = bench().await;
    let shown = say(&mut state, "before").await.unwrap().unwrap();
    state.reach_mut().target.as_ref().unwrap().tenure.end();
    let unsent = (CampfireErrorKind::Unavailable, Sent::No);
    for refused in [
        say(&mut state, "after").await.map(drop),
        edit(&mut state, shown, "after").await,
        boost(&mut state, bench.trigger.0, "👍").await,
        remove(&mut state, shown).await,
    ] {
        assert_eq!(face(&bench, &refused.unwrap_err()), unsent);
    }
    let told = newest(&mut state, 10).await.unwrap();
    assert!(told.iter().any(|message| message.text.contains("before")), "to read does no harm");
    assert!(!told.iter().any(|message| message.text.contains("after")));
}

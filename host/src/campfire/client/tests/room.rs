//! Reading, editing, removing and boosting, against the playground at its newest and oldest, and against worse.

use super::*;
use crate::playground::{BotAccount, Features, Options, Playground};
use axum::{extract::Path, routing::get};

/// A playground with a bot, over a real socket.
struct Campfire {
    playground: Playground,
    server: Server,
    bot: BotAccount,
}

/// Ends when it is dropped.
struct Server {
    base: Url,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = base(listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, task }
    }
}

impl Campfire {
    async fn with(features: Features) -> Self {
        let playground = Playground::new(Options { features, ..Options::default() });
        let server = Server::start(playground.router()).await;
        let bot = playground.add_bot("Helper", None);
        Self { playground, server, bot }
    }

    async fn newest() -> Self {
        Self::with(Features::newest()).await
    }

    fn target(&self) -> Target {
        let (base, room) = (self.server.base.clone(), self.bot.direct_room);
        Target { base, room, bot_key: self.bot.key.clone(), tenure: Tenure::endless() }
    }

    fn say(&self, text: &str) -> MessageId {
        self.playground.say(self.playground.you(), self.bot.direct_room, text).unwrap()
    }
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|message| message.text.as_str()).collect()
}

#[tokio::test]
async fn a_room_is_read_in_both_directions() {
    let campfire = Campfire::newest().await;
    let (client, target) = (client(), campfire.target());
    let empty = client.page(&target, Span::Newest).await.unwrap();
    assert_eq!(empty, Page { messages: Vec::new(), more: false });

    let ids: Vec<_> = (0..100).map(|number| campfire.say(&number.to_string())).collect();
    let numbers = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>();
    for (span, expected, more) in [
        (Span::Newest, 60..100, true),
        (Span::Before(ids[60]), 20..60, true),
        (Span::Before(ids[20]), 0..20, false),
        (Span::After(ids[20]), 21..61, true),
        (Span::After(ids[98]), 99..100, false),
        (Span::After(ids[99]), 0..0, false),
    ] {
        let page = client.page(&target, span).await.unwrap();
        assert_eq!(
            (texts(&page), page.more),
            (numbers(expected).iter().map(|n| &**n).collect(), more),
            "{span:?}"
        );
    }
}

#[tokio::test]
async fn a_message_tells_who_wrote_what_and_when() {
    let campfire = Campfire::newest().await;
    let (client, target) = (client(), campfire.target());
    let theirs = campfire.say("hi <there>");
    let own = client.post_html(&target, "<b>hello</b>").await.unwrap().unwrap();
    let file = client.post_file(&target, "a.csv", "text/csv", "x".into()).await.unwrap().unwrap();
    let page = client.page(&target, Span::Newest).await.unwrap();
    let told: Vec<_> = page
        .messages
        .iter()
        .map(|m| (m.id, m.author.id, &*m.author.name, &*m.text, m.html.as_deref()))
        .collect();
    let (you, bot) = (campfire.playground.you(), campfire.bot.user);
    assert_eq!(
        told,
        [
            (theirs, you, "You", "hi <there>", Some("<div>hi &lt;there&gt;</div>")),
            (own, bot, "Helper", "hello", Some("<b>hello</b>")),
            (file, bot, "Helper", "a.csv", None),
        ]
    );
    assert_eq!(target.bot(), Some(bot));
    let stored = campfire.playground.messages(campfire.bot.direct_room);
    assert!(page.messages.iter().zip(&stored).all(|(told, stored)| told.created_at == stored.created_at));
}

#[tokio::test]
async fn an_own_message_is_edited_and_removed() {
    let campfire = Campfire::newest().await;
    let (client, target) = (client(), campfire.target());
    let own = client.post_html(&target, "one").await.unwrap().unwrap();
    client.edit(&target, own, "<b>two</b> ä 😀 100%").await.unwrap();
    let stored = campfire.playground.messages(target.room);
    assert_eq!(stored[0].html.as_deref(), Some("<b>two</b> ä 😀 100%"));
    client.remove(&target, own).await.unwrap();
    assert_eq!(campfire.playground.messages(target.room), []);
}

#[tokio::test]
async fn what_is_gone_is_told_from_what_the_server_can_not_do() {
    let campfire = Campfire::newest().await;
    let (client, target) = (client(), campfire.target());
    let there = campfire.say("hi");
    let absent = MessageId(there.0 + 1_000_000);
    let mut failures = vec![
        client.edit(&target, absent, "x").await.unwrap_err(),
        client.boost(&target, absent, "👍").await.unwrap_err(),
        client.remove(&target, absent).await.unwrap_err(),
    ];
    // Once it is known what the server can do, a stranger's key is no longer needed to tell.
    failures.push(client.boost(&target, absent, "👍").await.unwrap_err());
    for error in failures {
        assert!(
            matches!(error, RequestError::MessageUnknown { message, .. } if message == absent),
            "{error:?}"
        );
        told(&error);
    }
    let elsewhere = Target { room: RoomId(99), ..target.clone() };
    let error = client.page(&elsewhere, Span::Newest).await.unwrap_err();
    assert!(matches!(error, RequestError::RoomUnknown { room: RoomId(99) }), "{error:?}");
    let error = client.page(&elsewhere, Span::After(there)).await.unwrap_err();
    assert!(matches!(error, RequestError::MessageUnknown { message, .. } if message == there), "{error:?}");

    client.boost(&target, there, "👍").await.unwrap();
    assert_eq!(texts(&client.page(&target, Span::Newest).await.unwrap()), ["hi"]);
}

#[tokio::test]
async fn somebody_elses_message_is_not_changed() {
    let campfire = Campfire::newest().await;
    let (client, target) = (client(), campfire.target());
    let theirs = campfire.say("hi");
    for error in [
        client.edit(&target, theirs, "x").await.unwrap_err(),
        client.remove(&target, theirs).await.unwrap_err(),
    ] {
        assert!(matches!(error, RequestError::NotOwn { message } if message == theirs), "{error:?}");
    }
    assert_eq!(campfire.playground.messages(target.room)[0].plain, "hi");
}

#[tokio::test]
async fn an_older_server_only_takes_posts_and_the_client_says_so() {
    let campfire = Campfire::with(Features::oldest()).await;
    let (client, target) = (client(), campfire.target());
    let id = client.post_html(&target, "hi").await.unwrap().unwrap();
    for _ in 0..2 {
        let page = client.page(&target, Span::Newest).await.unwrap_err();
        assert!(matches!(page, RequestError::Unsupported(Feature::History)), "{page:?}");
        for change in
            [client.edit(&target, id, "x").await.unwrap_err(), client.remove(&target, id).await.unwrap_err()]
        {
            assert!(matches!(change, RequestError::Unsupported(Feature::Editing)), "{change:?}");
        }
        let boost = client.boost(&target, id, "👀").await.unwrap_err();
        assert!(matches!(boost, RequestError::Unsupported(Feature::Boosts)), "{boost:?}");
    }
    assert_eq!(campfire.playground.messages(target.room)[0].plain, "hi");
}

#[tokio::test]
async fn a_wrong_key_is_known_by_the_way_to_the_sign_in_page() {
    let campfire = Campfire::newest().await;
    let (client, id) = (client(), campfire.say("hi"));
    let target = Target { bot_key: KEY.into(), ..campfire.target() };
    for error in [
        client.page(&target, Span::Newest).await.unwrap_err(),
        client.edit(&target, id, "x").await.unwrap_err(),
        client.remove(&target, id).await.unwrap_err(),
        client.boost(&target, id, "👀").await.unwrap_err(),
    ] {
        assert!(matches!(error, RequestError::BadKey), "{error:?}");
        told(&error);
    }
}

#[tokio::test]
async fn what_a_server_can_not_do_is_asked_once_by_the_bot_and_once_by_nobody() {
    let double = Double::answering(404, &[], "").await;
    let (client, target) = (client(), double.target());
    for client in [&client, &client.clone()] {
        let error = client.page(&target, Span::Newest).await.unwrap_err();
        assert!(matches!(error, RequestError::Unsupported(Feature::History)), "{error:?}");
    }
    let seen = double.seen.lock().unwrap();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, [&*format!("/rooms/7/{KEY}/messages"), "/rooms/7/0-nobody/messages"]);
}

#[tokio::test]
async fn a_strangers_answer_that_says_nothing_teaches_nothing() {
    for (status, is_known) in
        [(302, true), (401, true), (403, true), (422, true), (500, false), (429, false), (200, false)]
    {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let answer = async move |Path((_, key)): Path<(String, String)>| {
            let is_stranger = key != KEY;
            *count.lock().unwrap() += usize::from(is_stranger);
            let status = if is_stranger { status } else { 404 };
            StatusCode::from_u16(status).unwrap()
        };
        let server = Server::start(Router::new().route("/rooms/{room}/{key}/messages", get(answer))).await;
        let (client, target) = (client(), target(server.base.clone()));
        for _ in 0..2 {
            let error = client.page(&target, Span::Newest).await.unwrap_err();
            assert!(matches!(error, RequestError::RoomUnknown { .. }), "{status}: {error:?}");
        }
        assert_eq!(*asked.lock().unwrap(), if is_known { 1 } else { 2 }, "{status}");
    }
}

#[tokio::test]
async fn every_refusal_of_a_reading_or_a_change_has_its_name() {
    type Refusal = (u16, &'static [(&'static str, &'static str)], &'static str, fn(&RequestError) -> bool);
    let cases: [Refusal; 6] = [
        (200, &[("content-type", "text/html")], "<html>", |e| {
            matches!(e, RequestError::NotCampfire { status: 200 })
        }),
        (429, &[], "", |e| matches!(e, RequestError::Banned)),
        (500, &[], "", |e| matches!(e, RequestError::Uncertain { cause: None, .. })),
        (302, &[("location", "/session/new")], "", |e| matches!(e, RequestError::BadKey)),
        (
            302,
            &[("location", "https://chat.example/2-1muC7xQRVUXg")],
            "",
            |e| matches!(e, RequestError::Redirected { to } if &**to == "https://chat.example"),
        ),
        (400, &[], "", |e| matches!(e, RequestError::Rejected { status: 400 })),
    ];
    for (status, headers, body, fits) in cases {
        let double = Double::answering(status, headers, body).await;
        let (client, target) = (client(), double.target());
        for error in [
            client.page(&target, Span::Newest).await.unwrap_err(),
            client.edit(&target, MessageId(1), "x").await.unwrap_err(),
            client.remove(&target, MessageId(1)).await.unwrap_err(),
        ] {
            assert!(fits(&error), "{status}: {error:?}");
            told(&error);
        }
        assert_eq!(double.seen.lock().unwrap().len(), 3, "no redirect is followed and nothing sent twice");
    }
    let blank = Double::answering(422, &[], "").await;
    let error = client().edit(&blank.target(), MessageId(1), " ").await.unwrap_err();
    assert!(matches!(error, RequestError::Blank), "{error:?}");
}

#[tokio::test]
async fn a_page_that_is_too_large_is_not_read() {
    let huge: &'static str = Box::leak(format!("[\"{}\"]", "x".repeat(page::LIMIT)).into_boxed_str());
    let double = Double::answering(200, &[], huge).await;
    let error = client().page(&double.target(), Span::Newest).await.unwrap_err();
    assert!(matches!(error, RequestError::TooLarge { limit: page::LIMIT }), "{error:?}");
}

#[tokio::test]
async fn a_page_that_stops_in_its_middle_is_an_error_in_time() {
    for (closes, words) in [(true, "the connection broke"), (false, "none in time")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = target(base(listener.local_addr().unwrap()));
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "closed too early");
            }
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[").await.unwrap();
            (!closes).then_some(connection)
        });
        let client = Client::new(if closes { TIMEOUT } else { Duration::from_secs(2) }).unwrap();
        let error = client.page(&target, Span::Newest).await.unwrap_err();
        assert!(told(&error).contains(words), "{error:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_was_surely_sent_nothing() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = target(base(socket.local_addr().unwrap()));
    let client = Client::new(Duration::from_millis(200)).unwrap();
    for error in [
        client.page(&target, Span::Newest).await.unwrap_err(),
        client.edit(&target, MessageId(1), "x").await.unwrap_err(),
        client.remove(&target, MessageId(1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, RequestError::NotSent { .. }), "{error:?}");
        told(&error);
    }
}

#[test]
fn a_key_tells_whose_it_is() {
    let bot = |key: &str| Target { bot_key: key.into(), ..target(Url::parse("http://x").unwrap()) }.bot();
    assert_eq!(bot(KEY), Some(UserId(2)));
    assert_eq!(bot("12-a-b"), Some(UserId(12)));
    assert!(["", "x-1", "12", "-1"].iter().all(|key| bot(key).is_none()));
}

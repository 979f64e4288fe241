//! What goes out, and what the answers do.

use std::{io::Write as _, sync::Mutex};

use axum::{body::Body, http::header::CONTENT_TYPE};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;

use super::*;

const DIRECT: &str = include_str!("../../../../tests/fixtures/campfire/payload-direct.json");
const MENTION: &str = include_str!("../../../../tests/fixtures/campfire/payload-mention.json");
const UPLOAD: &str = include_str!("../../../../tests/fixtures/campfire/payload-user-attachment.json");
const MATRIX: &str = include_str!("../../../../tests/fixtures/campfire/webhook-response-matrix.json");

#[derive(Deserialize)]
struct Recorded {
    headers: Vec<(String, String)>,
    body_raw: String,
}

impl Recorded {
    fn parse(fixture: &str) -> Self {
        serde_json::from_str(fixture).unwrap()
    }

    /// The recorded body, with this playground's ids and key in the place of the recorded server's.
    fn body(&self, was: (u64, u64), ann: UserId, bot: &BotAccount, room: RoomId, id: MessageId) -> String {
        let (was_room, was_id) = was;
        self.body_raw
            .replace("{\"id\":1,\"name\":\"Ann Admin\"}", &format!("{{\"id\":{ann},\"name\":\"Ann Admin\"}}"))
            .replace(&format!("\"room\":{{\"id\":{was_room}"), &format!("\"room\":{{\"id\":{room}"))
            .replace(&format!("\"message\":{{\"id\":{was_id}"), &format!("\"message\":{{\"id\":{id}"))
            .replace("2-1muC7xQRVUXg", bot.key.expose_secret())
            .replace(&format!("/rooms/{was_room}/@{was_id}"), &format!("/rooms/{room}/@{id}"))
            .replace(&format!("/rooms/{was_room}/"), &format!("/rooms/{room}/"))
    }
}

#[tokio::test]
async fn a_direct_message_and_an_upload_arrive_as_recorded() {
    let playground = playground();
    let mut hook = BotServer::silent().await;
    let ann = playground.add_person("Ann Admin");
    let bot = playground.add_bot("Helper Bot", Some(hook.hook()));
    let room = playground.direct_room(ann, bot.user).unwrap();

    let id = playground.say(ann, room, "psst no mention").unwrap();
    let (received, recorded) = (hook.next().await, Recorded::parse(DIRECT));
    assert_eq!(received.body, recorded.body((2, 13), ann, &bot, room, id));
    assert_eq!(received.path, "/hook/helper?x=1");
    for (name, value) in &recorded.headers {
        let found = received.headers.get(name).map(|value| value.to_str().unwrap());
        match name.as_str() {
            "Host" | "Content-Length" => assert!(found.is_some(), "{name}"),
            _ => assert_eq!(found, Some(value.as_str()), "{name}"),
        }
    }
    assert_eq!(received.headers.len(), recorded.headers.len());

    let id = playground.upload(ann, room, "re port.txt", "hello").unwrap();
    assert_eq!(hook.next().await.body, Recorded::parse(UPLOAD).body((2, 18), ann, &bot, room, id));
}

#[tokio::test]
async fn a_mention_arrives_in_the_recorded_shape() {
    let playground = playground();
    let mut hook = BotServer::silent().await;
    let bot = playground.add_bot("Helper Bot", Some(hook.hook()));
    let text = "@Helper Bot please deploy <prod> 🚀\nline two";
    playground.say(playground.you(), playground.shared_room(), text).unwrap();
    let received: serde_json::Value = serde_json::from_str(&hook.next().await.body).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&Recorded::parse(MENTION).body_raw).unwrap();
    assert_eq!(received["message"]["body"]["plain"], recorded["message"]["body"]["plain"]);
    assert_eq!(received["room"]["name"], recorded["room"]["name"]);
    let html = |payload: &serde_json::Value| payload["message"]["body"]["html"].as_str().unwrap().to_owned();
    for part in [
        "<div><action-text-attachment sgid=\"",
        "\" content-type=\"application/vnd.campfire.mention\" content=\"",
        "&quot;mention&quot;",
        "Helper Bot",
        "\"></action-text-attachment> please ",
        " &lt;prod&gt; 🚀<br>line two</div>",
    ] {
        assert!(html(&recorded).contains(part), "the recording lacks {part}");
        assert!(html(&received).contains(part), "{part} is not in {}", html(&received));
    }
    assert_eq!(playground.deliveries().iter().filter(|delivery| delivery.bot != bot.user).count(), 0);
}

#[tokio::test]
async fn only_a_mention_leaves_an_empty_text() {
    let playground = playground();
    let mut hook = BotServer::silent().await;
    playground.add_bot("Echo", Some(hook.hook()));
    playground.say(playground.you(), playground.shared_room(), "@echo").unwrap();
    assert!(hook.next().await.body.contains(r#""plain":"""#));
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    new_messages: Vec<CaseMessage>,
    job_failed: usize,
}

#[derive(Deserialize)]
struct CaseMessage {
    body: Option<String>,
    filename: Option<String>,
    content_type: Option<String>,
    byte_size: Option<usize>,
}

/// The answer that led to a recorded case: status, `Content-Type`, body. None is no answer at all.
fn answer_of(case: &str) -> Option<(u16, Option<&'static str>, Vec<u8>)> {
    let html = r#"<p>para <em>x</em></p><ul><li>a</li></ul><script>alert(1)</script><img src="x" onerror="alert(1)">"#;
    let (status, content_type, body): (u16, Option<&str>, &[u8]) = match case {
        "200 text/html;charset=utf-8" => (200, Some("text/html;charset=utf-8"), html.as_bytes()),
        "200 text/plain empty" => (200, Some("text/plain"), b""),
        "200 text/plain whitespace" => (200, Some("text/plain"), b"  \n "),
        "200 no content-type w/ body" => (200, None, b"body"),
        "200 json" => (200, Some("application/json"), b"{\"ok\":true}"),
        "200 json empty obj charset" => (200, Some("application/json; charset=utf-8"), b""),
        "204 none" => (204, None, b""),
        "204 with text/plain CT" => (204, Some("text/plain"), b""),
        "201 text/plain" => (201, Some("text/plain"), b"created"),
        "202 text/plain" => (202, Some("text/plain"), b"accepted"),
        "500 text/html" => (500, Some("text/html"), b"<h1>err</h1>"),
        "404 text/plain" => (404, Some("text/plain"), b"not found"),
        "302 text/html" => (302, Some("text/html"), b"moved"),
        "200 image/png" => (200, Some("image/png"), &[0; 75]),
        "200 octet-stream" => (200, Some("application/octet-stream"), b"bin"),
        "200 text/markdown" => (200, Some("text/markdown"), b"# hi"),
        "200 application/pdf" => (200, Some("application/pdf"), b"%PDF-1.4"),
        "200 text/csv" => (200, Some("text/csv"), b"a,b"),
        "200 application/x-unknown" => (200, Some("application/x-unknown"), b"hi"),
        "200 TEXT/PLAIN upper" => (200, Some("TEXT/PLAIN"), b"shouting"),
        "200 gzip text/plain" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(b"gzipped hello").unwrap();
            return Some((200, Some("text/plain"), encoder.finish().unwrap()));
        }
        "200 invalid utf8" => (200, Some("text/plain"), b"\xff\xfe"),
        "200 latin1 charset" => (200, Some("text/plain; charset=iso-8859-1"), b"caf\xe9"),
        "200 /play tada" => (200, Some("text/plain"), b"/play tada"),
        "200 1MB text" => return Some((200, Some("text/plain"), vec![b'x'; 1_000_000])),
        "slow 8s" => return None,
        other => panic!("the matrix has a case nobody wrote an answer for: {other}"),
    };
    Some((status, content_type, body.to_vec()))
}

fn response_of(case: &str) -> Option<Response> {
    let (status, content_type, body) = answer_of(case)?;
    let mut response = Response::builder().status(status);
    if let Some(content_type) = content_type {
        response = response.header(CONTENT_TYPE, content_type);
    }
    if case.contains("gzip") {
        response = response.header("Content-Encoding", "gzip");
    }
    Some(response.body(Body::from(body)).unwrap())
}

#[tokio::test]
async fn every_recorded_answer_has_its_recorded_effect() {
    let cases: Vec<Case> = serde_json::from_str(MATRIX).unwrap();
    let patient = playground();
    let impatient =
        Playground::new(Options { webhook_read_timeout: Duration::from_secs(2), ..Options::default() });
    let current = Arc::new(Mutex::new(String::new()));
    let hook = BotServer::start({
        let current = Arc::clone(&current);
        move || response_of(&current.lock().unwrap())
    })
    .await;
    let BotServer { server, mut received } = hook;
    let accounts =
        [&patient, &impatient].map(|playground| playground.add_bot("Helper", Some(server.at("hook"))));
    assert!(cases.len() > 20, "the matrix is there");

    for Case { name: case, new_messages, job_failed } in cases {
        case.clone_into(&mut current.lock().unwrap());
        let slow = answer_of(&case).is_none();
        let (playground, bot) = if slow { (&impatient, &accounts[1]) } else { (&patient, &accounts[0]) };
        let question = playground.say(playground.you(), bot.direct_room, &case).unwrap();
        let delivery = delivered(playground, question).await;
        received.recv().await.unwrap();
        assert_eq!(usize::from(matches!(delivery.effect, Effect::JobFailed(_))), job_failed, "{case}");

        let answers: Vec<Message> = playground
            .messages(bot.direct_room)
            .into_iter()
            .filter(|message| message.id > question)
            .collect();
        assert_eq!(answers.len(), new_messages.len(), "{case}");
        for (answer, recorded) in answers.iter().zip(new_messages) {
            assert_eq!(answer.author, bot.user, "{case}");
            match recorded.body.as_deref() {
                Some(body) if body.ends_with("(1000000 chars)") => {
                    assert_eq!(answer.html.as_ref().map(String::len), Some(1_000_000), "{case}");
                }
                body => assert_eq!(answer.html.as_deref(), body, "{case}"),
            }
            let file = answer.attachment.as_ref();
            assert_eq!(file.map(|file| &file.name), recorded.filename.as_ref(), "{case}");
            assert_eq!(file.map(|file| &file.media_type), recorded.content_type.as_ref(), "{case}");
            assert_eq!(file.map(|file| file.size), recorded.byte_size, "{case}");
        }
    }
}

#[tokio::test]
async fn a_bot_that_is_not_there_is_met_with_silence() {
    let playground = playground();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/hook/secret", listener.local_addr().unwrap())
    };
    let bot = playground.add_bot("Gone", Some(gone.parse().unwrap()));
    let question = playground.say(playground.you(), bot.direct_room, "hi").unwrap();
    let delivery = delivered(&playground, question).await;
    let Effect::Unreachable(reason) = delivery.effect else { panic!("{delivery:?}") };
    assert!(!reason.contains("secret"), "{reason}");
    assert_eq!(delivery.status, None);
    assert_eq!(playground.messages(bot.direct_room).len(), 1);
}

#[tokio::test]
async fn a_bot_that_hangs_up_is_met_with_silence() {
    let playground = playground();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let bot = playground.add_bot("Rude", Some(hook));
    let question = playground.say(playground.you(), bot.direct_room, "hi").unwrap();
    drop(listener.accept().await.unwrap());
    assert!(matches!(delivered(&playground, question).await.effect, Effect::Unreachable(_)));
    assert_eq!(playground.messages(bot.direct_room).len(), 1);
}

#[tokio::test]
async fn bots_hear_what_other_bots_post_but_not_what_they_answer() {
    // One worker: webhooks leave in the order of their messages.
    let playground = Playground::new(Options { webhook_workers: 1, ..Options::default() });
    let server = Server::start(playground.router()).await;
    let mut ann_hook = BotServer::silent().await;
    let mut bob_hook = BotServer::start(|| Some("answered".into_response())).await;
    let ann = playground.add_bot("Ann Bot", Some(ann_hook.hook()));
    let bob = playground.add_bot("Bob Bot", Some(bob_hook.hook()));
    let pair = playground.direct_room(ann.user, bob.user).unwrap();

    post(&server, pair, &ann, "from ann").send().await.unwrap();
    assert!(bob_hook.next().await.body.contains("from ann"));
    playground
        .wait_for(pair, |message| message.plain == "answered", SOON)
        .await
        .expect("the answer is posted");
    post(&server, pair, &bob, "from bob").send().await.unwrap();
    assert!(ann_hook.next().await.body.contains("from bob"), "the answer went out before it, or instead");
}

#[tokio::test]
async fn a_name_that_a_bot_posts_as_text_mentions_nobody() {
    let playground = Playground::new(Options { webhook_workers: 1, ..Options::default() });
    let server = Server::start(playground.router()).await;
    let mut hook = BotServer::silent().await;
    let ann = playground.add_bot("Ann Bot", None);
    playground.add_bot("Bob Bot", Some(hook.hook()));
    let room = playground.shared_room();

    let forged = r#"<action-text-attachment sgid="x--y" content-type="application/vnd.campfire.mention" content="Bob Bot"></action-text-attachment>"#;
    for ignored in ["@Bob Bot hello", forged] {
        assert_eq!(post(&server, room, &ann, ignored).send().await.unwrap().status(), 201);
    }
    playground.say(playground.you(), room, "@Bob Bot hello from the page").unwrap();
    let received = hook.next().await.body;
    assert!(received.contains("from the page"), "{received}");

    // The real mention that Bob was sent works when Ann posts it.
    let payload: serde_json::Value = serde_json::from_str(&received).unwrap();
    let html = payload["message"]["body"]["html"].as_str().unwrap().replace("from the page", "from ann");
    post(&server, room, &ann, html).send().await.unwrap();
    assert!(hook.next().await.body.contains("from ann"));
}

#[tokio::test]
async fn what_does_not_fit_in_the_queue_is_dropped_and_recorded() {
    let options = Options { webhook_workers: 1, webhook_queue: 1, ..Options::default() };
    let playground = Playground::new(options);
    let mut hook = BotServer::start(|| None).await;
    let bot = playground.add_bot("Busy", Some(hook.hook()));
    let say = || playground.say(playground.you(), bot.direct_room, "hi").unwrap();
    say();
    hook.next().await;
    say();
    let third = say();
    let delivery = delivered(&playground, third).await;
    assert_eq!(delivery.effect, Effect::Dropped);
}

#[tokio::test]
async fn a_webhook_can_be_set_later() {
    let playground = playground();
    let mut hook = BotServer::silent().await;
    let bot = playground.add_bot("Late", None);
    playground.say(playground.you(), bot.direct_room, "unheard").unwrap();
    playground.set_webhook(bot.user, hook.hook()).unwrap();
    playground.say(playground.you(), bot.direct_room, "heard").unwrap();
    assert!(hook.next().await.body.contains(r#""plain":"heard""#));
}

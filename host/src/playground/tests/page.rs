//! What the browser gets, and who may ask for it.

use reqwest::{StatusCode, header::HOST};
use serde_json::{Value, json};

use super::*;

async fn served() -> (Playground, Server) {
    let playground = playground();
    let server = Server::start(playground.router()).await;
    (playground, server)
}

async fn read(server: &Server, path: &str) -> Value {
    parsed(client().get(server.at(path)).send().await.unwrap().error_for_status().unwrap()).await
}

fn say(server: &Server, room: RoomId, text: &str) -> RequestBuilder {
    client()
        .post(server.at(&format!("api/rooms/{room}/messages")))
        .header("Content-Type", "application/json")
        .body(json!({ "text": text }).to_string())
}

/// Reads the event stream until `wanted` is in it.
async fn until(stream: &mut reqwest::Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = stream.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended after {read}"));
        read.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    read
}

#[tokio::test]
async fn the_page_is_one_document_that_runs_only_its_own_script() {
    let (_playground, server) = served().await;
    let answer = client().get(server.at("")).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let page = answer.text().await.unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));
    assert!(page.contains(&format!("<style nonce=\"{nonce}\">")));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs no network");
    let again = client().get(server.at("")).send().await.unwrap();
    assert_ne!(again.headers()["content-security-policy"].to_str().unwrap(), policy);
}

#[tokio::test]
async fn the_state_has_the_rooms_and_the_notice() {
    let (playground, server) = served().await;
    let bot = playground.add_bot("Echo", None);
    let ann = playground.add_person("Ann");
    let private = playground.direct_room(ann, bot.user).unwrap();
    playground.set_notice("Answers come from the demo agent");
    let state = read(&server, "api/state").await;
    assert_eq!(state["notice"], "Answers come from the demo agent");
    assert_eq!(state["you"], playground.you().0);
    let rooms: Vec<_> = state["rooms"].as_array().unwrap().iter().map(|room| &room["name"]).collect();
    assert_eq!(rooms, ["All Talk", "Echo"]);
    assert!(!state.to_string().contains(bot.key.expose_secret()));
    let private = client().get(server.at(&format!("api/rooms/{private}/messages"))).send().await.unwrap();
    assert_eq!(private.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn markup_in_names_messages_and_answers_reaches_the_page_harmless() {
    const ATTACK: &str = "<img src=x onerror=alert(1)><script>alert(1)</script>";
    let (playground, server) = served().await;
    let hook =
        BotServer::start(|| Some(axum::response::Html(format!("answer{ATTACK}")).into_response())).await;
    let bot = playground.add_bot(ATTACK, Some(hook.hook()));
    let room = bot.direct_room;
    say(&server, room, ATTACK).send().await.unwrap().error_for_status().unwrap();
    playground.wait_for(room, |message| message.plain.starts_with("answer"), SOON).await.expect("an answer");
    playground.say(playground.you(), room, &format!("@{ATTACK} hi")).unwrap();
    playground.upload(playground.you(), room, ATTACK, "x").unwrap();
    let posted = format!("<a href='javascript:alert(1)' onclick='alert(1)'>x</a>{ATTACK}");
    post(&server, room, &bot, posted).send().await.unwrap();

    let shown = read(&server, &format!("api/rooms/{room}/messages")).await;
    let shown = shown.as_array().unwrap();
    let bodies: Vec<&str> = shown.iter().filter_map(|message| message["html"].as_str()).collect();
    assert_eq!(
        bodies[0],
        "<div>&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;alert(1)&lt;/script&gt;</div>"
    );
    assert!(bodies.contains(&"answer"), "{bodies:?}");
    assert!(bodies.iter().any(|body| body.starts_with("<a ") && body.ends_with(">x</a>")), "{bodies:?}");
    for body in bodies {
        for tag in ["<img", "<script", "onclick", "javascript:"] {
            assert!(!body.contains(tag), "{body}");
        }
    }
    // Names are data, to be shown as text.
    assert_eq!(shown.iter().find(|message| message["author"] == bot.user.0).unwrap()["name"], ATTACK);
    let page = client().get(server.at("")).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("onerror=alert"));
}

#[tokio::test]
async fn sounds_files_and_boosts_are_shown_as_such() {
    let (playground, server) = served().await;
    let bot = playground.add_bot("Echo", None);
    let room = bot.direct_room;
    post(&server, room, &bot, "/play tada").send().await.unwrap();
    let file = playground.upload(playground.you(), room, "re\"port ü.html", "<script>1</script>").unwrap();
    playground.upload(playground.you(), room, "/play tada", "x").unwrap();
    let shown = read(&server, &format!("api/rooms/{room}/messages")).await;
    assert_eq!(shown[0]["sound"], "tada");
    assert_eq!(shown[1]["attachment"]["name"], "re\"port ü.html");
    assert_eq!(shown[2]["sound"], Value::Null);

    let path = shown[1]["attachment"]["url"].as_str().unwrap();
    assert_eq!(path, format!("/attachments/{file}"));
    let answer = client().get(server.at(path)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename*=UTF-8''re%22port%20%C3%BC.html"
    );
    assert_eq!(answer.text().await.unwrap(), "<script>1</script>");
    let gone = client().get(server.at("attachments/1")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::GONE);
}

#[tokio::test]
async fn only_this_machines_names_reach_the_page() {
    let options = Options { page_hosts: vec!["hearth.example".into()], ..Options::default() };
    let playground = Playground::new(options);
    let server = Server::start(playground.router()).await;
    let bot = playground.add_bot("Echo", None);
    let status = async |host: &str, path: &str| {
        client().get(server.at(path)).header(HOST, host).send().await.unwrap().status()
    };
    for host in ["localhost:1", "127.0.0.1", "127.9.9.9:80", "[::1]:80", "a.localhost", "Hearth.Example:80"] {
        assert_eq!(status(host, "api/state").await, StatusCode::OK, "{host}");
    }
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.2", "x@y@z", ""]
    {
        for path in ["", "api/state", "events"] {
            assert_eq!(status(host, path).await, StatusCode::FORBIDDEN, "{host} {path}");
        }
    }
    let rebound = say(&server, bot.direct_room, "hi").header(HOST, "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    // Bots have their key; their server may have any name.
    let posted =
        post(&server, bot.direct_room, &bot, "hi").header(HOST, "campfire.example").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::CREATED);
    assert_eq!(playground.messages(bot.direct_room).len(), 1);
}

#[tokio::test]
async fn another_site_cannot_speak_for_the_person() {
    let (playground, server) = served().await;
    let room = playground.shared_room();
    let as_form = client()
        .post(server.at(&format!("api/rooms/{room}/messages")))
        .header("Content-Type", "text/plain")
        .body(r#"{"text":"hi"}"#);
    assert_eq!(as_form.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let cross = say(&server, room, "hi").header("Sec-Fetch-Site", "cross-site");
    assert_eq!(cross.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(playground.messages(room).len(), 0);
    let own = say(&server, room, "hi").header("Sec-Fetch-Site", "same-origin");
    assert_eq!(own.send().await.unwrap().status(), StatusCode::CREATED);
    let blank = say(&server, room, " ").send().await.unwrap();
    assert_eq!(blank.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_page_hears_what_happens_until_the_playground_closes() {
    let (playground, server) = served().await;
    let bot = playground.add_bot("Echo", Some("http://127.0.0.1:1/".parse().unwrap()));
    let mut stream = client().get(server.at("events")).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");

    say(&server, bot.direct_room, "hi <there>").send().await.unwrap();
    until(&mut stream, "hi &lt;there&gt;").await;
    until(&mut stream, "event: trouble").await;
    playground.set_notice("new");
    until(&mut stream, "event: reread").await;
    let secret = playground.direct_room(bot.user, playground.add_person("Ann")).unwrap();
    post(&server, secret, &bot, "not for you").send().await.unwrap();
    post(&server, bot.direct_room, &bot, "for you").send().await.unwrap();
    assert!(!until(&mut stream, "\"for you\"").await.contains("not for you"));
    let id = playground.messages(bot.direct_room).last().unwrap().id;
    let path = format!("{}/{id}", messages_path(bot.direct_room, &bot));
    client().delete(server.at(&path)).send().await.unwrap();
    until(&mut stream, "event: deleted").await;

    playground.close();
    while stream.chunk().await.unwrap().is_some() {}
}

//! What the browser gets, and who may ask for it.

use reqwest::{Method, StatusCode, header::HOST};
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

/// A request of the page's.
fn act(server: &Server, method: Method, path: &str, body: &Value) -> RequestBuilder {
    let request = client().request(method, server.at(path)).header("X-Hearth-Page", "1");
    request.header("Content-Type", "application/json").body(body.to_string())
}

fn say(server: &Server, room: RoomId, text: &str) -> RequestBuilder {
    act(server, Method::POST, &format!("api/rooms/{room}/messages"), &json!({ "text": text }))
}

/// Does it, and answers what came of it.
async fn done(server: &Server, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let answer = act(server, method, path, &body).send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
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
async fn the_page_runs_only_its_own_files() {
    let (_playground, server) = served().await;
    let answer = client().get(server.at("")).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
    let page = answer.text().await.unwrap();
    let mut files = page.split(['"']).filter(|word| word.starts_with('/')).collect::<Vec<_>>();
    files.dedup();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let answer = client().get(server.at(file)).send().await.unwrap().error_for_status().unwrap();
        assert_eq!(answer.headers()["content-security-policy"].to_str().unwrap(), policy, "{file}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{file}");
    }
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
    assert_eq!(state["speaker"], playground.you().0);
    let rooms: Vec<_> = state["rooms"].as_array().unwrap().iter().map(|room| &room["name"]).collect();
    assert_eq!(rooms, ["All Talk", "Echo"]);
    assert!(!state.to_string().contains(bot.key.expose_secret()));
    let path = format!("api/rooms/{private}/messages");
    assert_eq!(client().get(server.at(&path)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    // Who is in it sees it.
    assert_eq!(read(&server, &format!("{path}?as={ann}")).await, json!([]));
    let state = read(&server, &format!("api/state?as={ann}")).await;
    assert_eq!(state["rooms"][1]["name"], "Echo");
    for nobody in [bot.user, UserId(99)] {
        let answer = client().get(server.at(&format!("api/state?as={nobody}"))).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn everybody_writes_edits_boosts_and_deletes_their_own() {
    let (playground, server) = served().await;
    let mut hook = BotServer::silent().await;
    let bot = playground.add_bot("Echo", Some(hook.hook()));
    let (status, ann) = done(&server, Method::POST, "api/people", json!({ "name": " Ann " })).await;
    assert_eq!(status, StatusCode::CREATED);
    let ann = UserId(ann["id"].as_u64().unwrap());
    let (_, room) = done(
        &server,
        Method::POST,
        &format!("api/rooms?as={ann}"),
        json!({ "name": null, "members": [bot.user] }),
    )
    .await;
    let room = RoomId(room["id"].as_u64().unwrap());
    assert_eq!(playground.direct_room(ann, bot.user).unwrap(), room);
    let messages = format!("api/rooms/{room}/messages");

    let (_, said) =
        done(&server, Method::POST, &format!("{messages}?as={ann}"), json!({ "text": "hi @Echo" })).await;
    let heard: Value = serde_json::from_str(&hook.next().await.body).unwrap();
    assert_eq!((&heard["user"]["id"], &heard["user"]["name"]), (&json!(ann), &json!("Ann")));
    let message = format!("{messages}/{}", said["id"]);
    let shown = read(&server, &format!("{messages}?as={ann}")).await;
    assert_eq!(shown[0]["typed"], "hi @Echo");

    // You are not in it, and it isn't yours.
    assert_eq!(done(&server, Method::POST, &messages, json!({ "text": "x" })).await.0, StatusCode::NOT_FOUND);
    for (method, path, body) in [
        (Method::PATCH, message.clone(), json!({ "text": "x" })),
        (Method::DELETE, message.clone(), json!({})),
        (Method::POST, format!("{message}/boosts"), json!({ "content": "x" })),
    ] {
        assert_eq!(done(&server, method, &path, body).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let own = |path: &str| format!("{path}?as={ann}");
    let edited = done(&server, Method::PATCH, &own(&message), json!({ "text": "<b>bye</b>" })).await;
    assert_eq!(edited.0, StatusCode::NO_CONTENT);
    let (status, boost) =
        done(&server, Method::POST, &own(&format!("{message}/boosts")), json!({ "content": "👍" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let shown = read(&server, &own(&messages)).await;
    assert_eq!(shown[0]["html"], "<div>&lt;b&gt;bye&lt;/b&gt;</div>");
    assert_eq!(
        shown[0]["boosts"],
        json!([{ "id": boost["id"], "author": ann, "name": "Ann", "content": "👍" }])
    );
    let boost = format!("api/rooms/{room}/boosts/{}", boost["id"]);
    assert_eq!(done(&server, Method::DELETE, &boost, json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(done(&server, Method::DELETE, &own(&boost), json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(done(&server, Method::DELETE, &own(&message), json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(read(&server, &own(&messages)).await, json!([]));
}

#[tokio::test]
async fn what_the_page_adds_has_names_and_bounds() {
    let (playground, server) = served().await;
    let add = |name: String| {
        let server = &server;
        async move { done(server, Method::POST, "api/people", json!({ "name": name })).await.0 }
    };
    assert_eq!(add(" ".into()).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(add("x".repeat(61)).await, StatusCode::PAYLOAD_TOO_LARGE);
    for number in 1..100 {
        assert_eq!(add(format!("Person {number}")).await, StatusCode::CREATED);
    }
    assert_eq!(add("One more".into()).await, StatusCode::CONFLICT);
    let none = json!({ "name": null, "members": [] });
    assert_eq!(done(&server, Method::POST, "api/rooms", none).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let stranger = json!({ "name": "Lunch", "members": [4711] });
    assert_eq!(done(&server, Method::POST, "api/rooms", stranger).await.0, StatusCode::NOT_FOUND);
    let lunch = json!({ "name": "Lunch", "members": [3] });
    assert_eq!(done(&server, Method::POST, "api/rooms", lunch).await.0, StatusCode::CREATED);
    let state = read(&server, "api/state?as=3").await;
    assert_eq!(state["rooms"][1], json!({ "id": 2, "name": "Lunch", "direct": false, "members": [1, 3] }));
    assert_eq!(playground.messages(RoomId(2)), []);
}

#[tokio::test]
async fn files_go_up_and_come_down_as_no_document_of_this_site() {
    let (playground, server) = served().await;
    let room = playground.shared_room();
    let send = |name: &str, body: &'static [u8]| {
        let name = name.replace(' ', "+");
        let request = client().post(server.at(&format!("api/rooms/{room}/files?name={name}")));
        request.header("X-Hearth-Page", "1").body(body).send()
    };
    for (name, kind) in
        [("a.png", "image/png"), ("b.svg", "application/octet-stream"), ("c", "application/octet-stream")]
    {
        let answer = send(name, b"<svg onload=alert(1)>").await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let message: u64 = parsed(answer).await;
        let file = client().get(server.at(&format!("attachments/{message}"))).send().await.unwrap();
        assert_eq!(file.headers()["content-type"], kind);
        assert_eq!(file.headers()["content-security-policy"], "sandbox; default-src 'none'");
        assert_eq!(file.bytes().await.unwrap(), "<svg onload=alert(1)>");
    }
    let shown = read(&server, &format!("api/rooms/{room}/messages")).await;
    assert_eq!(
        (&shown[0]["attachment"]["shown_as"], &shown[1]["attachment"]["shown_as"]),
        (&json!("image"), &json!(null))
    );
    assert_eq!(send(" ", b"x").await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&"x".repeat(201), b"x").await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let large = vec![0; (20 << 20) + 1].leak();
    // The server may hang up before it has read all of that.
    let refused = send("large", large).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(playground.messages(room).len(), 3);
}

#[tokio::test]
async fn an_older_server_and_one_with_faults_are_a_switch_away() {
    let (playground, server) = served().await;
    let bot = playground.add_bot("Echo", None);
    let history = async || {
        client().get(server.at(&messages_path(bot.direct_room, &bot))).send().await.unwrap().status()
    };
    assert_eq!(history().await, StatusCode::OK);
    let older = json!({ "history": false, "editing": true, "boosts": true });
    assert_eq!(done(&server, Method::PUT, "api/features", older.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(history().await, StatusCode::NOT_FOUND);
    assert_eq!(read(&server, "api/state").await["features"], older);
    let fault = json!({ "fault": "error-before", "times": 2 });
    assert_eq!(done(&server, Method::POST, "api/faults", fault).await.0, StatusCode::NO_CONTENT);
    assert_eq!(read(&server, "api/state").await["faults"], 2);
    let posted = post(&server, bot.direct_room, &bot, "hi").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(done(&server, Method::DELETE, "api/faults", json!({})).await.0, StatusCode::NO_CONTENT);
    let posted = post(&server, bot.direct_room, &bot, "hi").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn the_host_behind_the_bots_is_asked_through_the_page_while_it_is_there() {
    let (playground, server) = served().await;
    let ask = async |method: Method, own: bool| {
        let request = client().request(method, server.at("host/turns/x?y=1"));
        let answer = if own { request.header("X-Hearth-Page", "1") } else { request }.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(ask(Method::GET, true).await.0, StatusCode::SERVICE_UNAVAILABLE);
    playground
        .connect(Router::new().route("/turns/{turn}", axum::routing::any(async |uri: Uri| uri.to_string())));
    assert_eq!(ask(Method::GET, true).await, (StatusCode::OK, "/turns/x?y=1".to_owned()));
    assert_eq!(ask(Method::DELETE, true).await.0, StatusCode::OK);
    assert_eq!(ask(Method::DELETE, false).await.0, StatusCode::FORBIDDEN);
    playground.disconnect();
    assert_eq!(ask(Method::GET, true).await.0, StatusCode::SERVICE_UNAVAILABLE);
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
    let path = format!("api/rooms/{room}/messages");
    let as_form =
        client().post(server.at(&path)).header("Content-Type", "text/plain").body(r#"{"text":"hi"}"#);
    assert_eq!(as_form.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    for site in ["cross-site", "same-site", "none"] {
        let cross = say(&server, room, "hi").header("Sec-Fetch-Site", site);
        assert_eq!(cross.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
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
    until(&mut stream, "event: state").await;
    let state = BuildState::Failed { why: "no".into(), words: "error: <b>".into() };
    playground.show_builds(vec![Build { plugin: "echo".into(), since: Timestamp::now(), state }]);
    assert!(until(&mut stream, "error: <b>").await.contains("event: backstage"));
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

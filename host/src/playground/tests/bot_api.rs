//! What bots can do, on the newest server, on the oldest, and on one that fails.

use reqwest::{Method, StatusCode, multipart};
use serde_json::Value;

use super::*;

async fn with_bot(options: Options) -> (Playground, Server, BotAccount) {
    let playground = Playground::new(options);
    let server = Server::start(playground.router()).await;
    let bot = playground.add_bot("Helper", None);
    (playground, server, bot)
}

async fn newest() -> (Playground, Server, BotAccount) {
    with_bot(Options::default()).await
}

fn request(server: &Server, method: Method, path: &str) -> RequestBuilder {
    client().request(method, server.at(path))
}

#[tokio::test]
async fn a_post_is_stored_raw_and_answered_with_its_place() {
    let (playground, server, bot) = newest().await;
    let html = "<p>Hello<script>alert(1)</script> <b>you</b></p>";
    let answer = post(&server, bot.direct_room, &bot, html).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let message = playground.messages(bot.direct_room).pop().unwrap();
    assert_eq!(answer.headers()["location"], server.at(&format!("messages/{}", message.id)).as_str());
    assert!(!answer.headers().contains_key("content-type"));
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    assert_eq!(message.html.as_deref(), Some(html));
    assert_eq!(message.plain, "Hello you");
    assert_eq!(message.author, bot.user);
}

#[tokio::test]
async fn what_campfire_refuses_is_refused_as_campfire_does() {
    let (playground, server, bot) = newest().await;
    let room = bot.direct_room;
    let elsewhere = playground.add_room("Elsewhere", &[playground.you()]).unwrap();
    let other = BotAccount { key: "2-000000000000".to_owned().into(), ..bot.clone() };
    let form = |body: &'static str| {
        client()
            .post(server.at(&messages_path(room, &bot)))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let cases = [
        ("blank", post(&server, room, &bot, " \n"), 422),
        ("empty", post(&server, room, &bot, ""), 422),
        ("unknown room", post(&server, RoomId(99), &bot, "x"), 404),
        ("not a member", post(&server, elsewhere, &bot, "x"), 404),
        ("bad key", post(&server, room, &other, "x"), 302),
        ("bad key, unknown room", post(&server, RoomId(99), &other, "x"), 302),
        ("invalid UTF-8", post(&server, room, &bot, &b"\xff"[..]), 500),
        ("stray percent sign", form("100%"), 400),
        (
            "no number",
            request(&server, Method::POST, &format!("rooms/x/{}/messages", bot.key.expose_secret())),
            404,
        ),
    ];
    for (case, request, expected) in cases {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), expected, "{case}");
        if expected == 302 {
            assert_eq!(answer.headers()["location"], "/session/new");
        }
    }
    assert_eq!(playground.messages(room).len(), 0);
    assert_eq!(form("a%20b").send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_file_is_posted_and_a_text_beside_it_ignored() {
    let (playground, server, bot) = newest().await;
    let file = multipart::Part::bytes(b"a,b".to_vec()).file_name("re port.csv").mime_str("text/csv").unwrap();
    let form = multipart::Form::new().text("body", "ignored").part("attachment", file);
    let path = messages_path(bot.direct_room, &bot);
    let answer = request(&server, Method::POST, &path).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let message = playground.messages(bot.direct_room).pop().unwrap();
    assert_eq!((message.html, message.plain.as_str()), (None, "re port.csv"));
    let attachment = Attachment { name: "re port.csv".into(), media_type: "text/csv".into(), size: 3 };
    assert_eq!(playground.uploaded(message.id), Some((attachment, Bytes::from_static(b"a,b"))));
    let empty = multipart::Form::new().text("body", "no file");
    let answer = request(&server, Method::POST, &path).multipart(empty).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_older_server_only_takes_posts() {
    let (playground, server, bot) =
        with_bot(Options { features: Features::oldest(), ..Options::default() }).await;
    let path = messages_path(bot.direct_room, &bot);
    assert_eq!(post(&server, bot.direct_room, &bot, "hi").send().await.unwrap().status(), 201);
    let id = playground.messages(bot.direct_room)[0].id;
    let newer = [
        (Method::GET, path.clone()),
        (Method::PATCH, format!("{path}/{id}")),
        (Method::DELETE, format!("{path}/{id}")),
        (Method::POST, format!("{path}/{id}/boosts")),
        (Method::DELETE, format!("rooms/{}/{}/boosts/1", bot.direct_room, bot.key.expose_secret())),
    ];
    for (method, path) in newer {
        let answer = request(&server, method.clone(), &path).body("x").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(playground.messages(bot.direct_room)[0].plain, "hi");
}

#[tokio::test]
async fn the_history_is_read_page_by_page() {
    let (playground, server, bot) = newest().await;
    let room = bot.direct_room;
    for number in 0..100 {
        playground.say(playground.you(), room, &number.to_string()).unwrap();
    }
    let mut next = Some(server.at(&messages_path(room, &bot)));
    let mut texts = Vec::new();
    while let Some(url) = next.take() {
        let answer = client().get(url).send().await.unwrap();
        assert_eq!(answer.headers()["x-total-count"], "100");
        next = answer.headers().get("link").map(|link| {
            let link = link.to_str().unwrap();
            assert!(link.ends_with(r#">; rel="next""#), "{link}");
            link[1..link.find('>').unwrap()].parse().unwrap()
        });
        let items: Vec<Value> = parsed(answer).await;
        let page: Vec<_> =
            items.iter().map(|item| item["body"]["plain_text"].as_str().unwrap().to_owned()).collect();
        texts.splice(0..0, page);
    }
    let all: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(texts, all);

    let ids: Vec<_> = playground.messages(room).iter().map(|message| message.id).collect();
    let after = format!("{}?after={}", messages_path(room, &bot), ids[97]);
    let answer = request(&server, Method::GET, &after).send().await.unwrap();
    assert!(!answer.headers().contains_key("link"));
    let items: Vec<Value> = parsed(answer).await;
    assert_eq!(items.len(), 2);
    let item = &items[0];
    assert_eq!(item["id"], ids[98].0);
    assert_eq!(item["body"]["html"], "<div>98</div>");
    assert_eq!(item["creator"]["name"], "You");
    assert_eq!(item["creator"]["role"], "member");
    assert_eq!(item["room"]["id"], room.0);
    assert!(item["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_bot_edits_and_deletes_its_own_messages_and_no_webhook_goes_out() {
    let (playground, server, bot) = newest().await;
    let other = playground.add_bot("Other", Some("http://127.0.0.1:1/".parse().unwrap()));
    let pair = playground.direct_room(bot.user, other.user).unwrap();
    post(&server, pair, &bot, "one").send().await.unwrap();
    let id = playground.messages(pair)[0].id;
    delivered(&playground, id).await;
    let mine = format!("{}/{id}", messages_path(pair, &bot));
    let theirs = format!("{}/{id}", messages_path(pair, &other));
    let patch = async |path: &str, body: &'static str| {
        request(&server, Method::PATCH, path).body(body).send().await.unwrap()
    };
    assert_eq!(patch(&theirs, "x").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(patch(&format!("{mine}0"), "x").await.status(), StatusCode::NOT_FOUND);
    let answer = patch(&mine, "<b>two</b>").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(parsed::<Value>(answer).await["body"]["plain_text"], "two");
    assert_eq!(patch(&mine, "").await.status(), StatusCode::OK);
    assert_eq!(playground.messages(pair)[0].html.as_deref(), Some(""));
    assert_eq!(playground.deliveries().len(), 1, "only the first version was told");

    let delete = async |path: &str| request(&server, Method::DELETE, path).send().await.unwrap().status();
    assert_eq!(delete(&theirs).await, StatusCode::FORBIDDEN);
    assert_eq!(delete(&mine).await, StatusCode::NO_CONTENT);
    assert_eq!(delete(&mine).await, StatusCode::NOT_FOUND);
    assert_eq!(playground.messages(pair).len(), 0);
}

#[tokio::test]
async fn a_boost_is_given_and_taken_back() {
    let (playground, server, bot) = newest().await;
    let id = playground.say(playground.you(), bot.direct_room, "hi").unwrap();
    let boosts = format!("{}/{id}/boosts", messages_path(bot.direct_room, &bot));
    let give = async |content: &'static str| {
        request(&server, Method::POST, &boosts).body(content).send().await.unwrap()
    };
    assert_eq!(give(" ").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer = give("👀").await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let boost = parsed::<Value>(answer).await["id"].as_u64().unwrap();
    let seen = playground.messages(bot.direct_room)[0].boosts.clone();
    assert_eq!(seen, [Boost { id: boost, author: bot.user, content: "👀".into() }]);
    let path = format!("rooms/{}/{}/boosts/{boost}", bot.direct_room, bot.key.expose_secret());
    let take = async || request(&server, Method::DELETE, &path).send().await.unwrap().status();
    assert_eq!(take().await, StatusCode::NO_CONTENT);
    assert_eq!(take().await, StatusCode::NOT_FOUND);
    assert_eq!(playground.messages(bot.direct_room)[0].boosts, []);
}

#[tokio::test]
async fn an_injected_fault_is_met_as_often_as_asked_and_then_no_more() {
    let (playground, server, bot) = newest().await;
    let try_it = async || post(&server, bot.direct_room, &bot, "hi").send().await;
    let stored = || playground.messages(bot.direct_room).len();

    playground.inject(Fault::Refuse, 2);
    playground.inject(Fault::Redirect, 1);
    playground.inject(Fault::ErrorAfterStoring(503), 1);
    for _ in 0..2 {
        let error = try_it().await.unwrap_err();
        assert!(!error.is_timeout() && error.status().is_none(), "{error:?}");
    }
    let redirected = try_it().await.unwrap();
    assert_eq!((redirected.status(), stored()), (StatusCode::FOUND, 0));
    assert_eq!(redirected.headers()["location"], "/session/new");
    assert_eq!((try_it().await.unwrap().status(), stored()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    assert_eq!((try_it().await.unwrap().status(), stored()), (StatusCode::CREATED, 2));
}

#[tokio::test]
async fn a_hanging_post_has_been_stored_or_has_not() {
    let (playground, server, bot) = newest().await;
    let impatient = post(&server, bot.direct_room, &bot, "hi").timeout(Duration::from_secs(3));
    let twin = impatient.try_clone().unwrap();
    playground.inject(Fault::HangBeforeStoring, 1);
    assert!(impatient.send().await.unwrap_err().is_timeout());
    assert_eq!(playground.messages(bot.direct_room).len(), 0);
    playground.inject(Fault::HangAfterStoring, 1);
    assert!(twin.send().await.unwrap_err().is_timeout());
    playground.wait_for(bot.direct_room, |message| message.plain == "hi", SOON).await.expect("it was stored");
}

use serde_json::json;

use super::*;

const DIRECT: &str = include_str!("../../../../tests/fixtures/campfire/payload-direct.json");
const MENTION: &str = include_str!("../../../../tests/fixtures/campfire/payload-mention.json");
const FILE: &str = include_str!("../../../../tests/fixtures/campfire/payload-user-attachment.json");
const RAW: &str = include_str!("../../../../tests/fixtures/campfire/payload-raw-request.http");

fn recorded(fixture: &str) -> Incoming {
    let recording: Value = serde_json::from_str(fixture).unwrap();
    message(recording["body_raw"].as_str().unwrap().as_bytes())
}

fn message(body: &[u8]) -> Incoming {
    match parse(body).unwrap() {
        Webhook::Message(incoming) => *incoming,
        other => panic!("not a message but {other:?}"),
    }
}

fn plain() -> Value {
    json!({"user": {"id": 1, "name": "Ann"}, "room": {"id": 2, "name": "Talk", "path": "/rooms/2/2-key/messages"},
           "message": {"id": 3, "body": {"html": "<b>hi</b>", "plain": "hi"}, "path": "/rooms/2/@3"}})
}

fn parse_value(value: &Value) -> Result<Webhook, PayloadError> {
    parse(value.to_string().as_bytes())
}

#[test]
fn the_recorded_direct_message_is_read() {
    let incoming = recorded(DIRECT);
    assert_eq!(incoming.user, Person { id: UserId(1), name: "Ann Admin".into() });
    assert_eq!(incoming.room, Place { id: RoomId(2), name: None });
    assert_eq!(incoming.message.id, MessageId(13));
    assert_eq!(incoming.message.text, "psst no mention");
    assert_eq!(incoming.message.html.as_deref(), Some("<div>psst no mention</div>"));
}

#[test]
fn the_recorded_mention_keeps_its_text_and_rich_text() {
    let incoming = recorded(MENTION);
    assert_eq!(incoming.room.name.as_deref(), Some("All Talk"));
    assert_eq!(incoming.message.text, "please deploy <prod> 🚀\nline two");
    assert!(incoming.message.html.unwrap().contains("application/vnd.campfire.mention"));
}

#[test]
fn the_recorded_file_has_its_name_as_text_and_no_rich_text() {
    let incoming = recorded(FILE);
    assert_eq!(incoming.message.text, "re port.txt");
    assert_eq!(incoming.message.html, None);
}

#[test]
fn the_body_of_the_recorded_request_is_read() {
    let (_, body) = RAW.split_once("\r\n\r\n").or_else(|| RAW.split_once("\n\n")).unwrap();
    assert_eq!(message(body.trim_end().as_bytes()).message.text, "drip 12s");
}

#[test]
fn nothing_of_the_bot_key_survives() {
    for fixture in [DIRECT, MENTION, FILE] {
        let incoming = recorded(fixture);
        let kept = format!("{incoming:?}{}", serde_json::to_string(&incoming).unwrap());
        assert!(fixture.contains("1muC7xQRVUXg"));
        assert!(!kept.contains("1muC7xQRVUXg") && !kept.contains("/rooms/"));
    }
}

#[test]
fn what_forks_add_is_passed_over() {
    let mut value = plain();
    value["event"] = json!("message.created");
    value["extra"] = json!([1, {"a": null}]);
    value["user"]["role"] = json!("admin");
    value["message"]["body"]["more"] = json!(1);
    assert_eq!(parse_value(&value), parse_value(&plain()));
}

#[test]
fn every_name_of_a_new_message_is_one_kind_and_all_else_is_other() {
    for event in [json!(null), json!("message"), json!("message_created"), json!("message.created")] {
        let mut value = plain();
        value["event"] = event;
        assert_eq!(message(value.to_string().as_bytes()).kind, "message");
    }
    for event in ["message_updated", "boost", "", "Message"] {
        let mut value = plain();
        value["event"] = json!(event);
        assert!(matches!(parse_value(&value), Ok(Webhook::Occurrence(_))), "{event}");
        value["room"] = json!(null);
        let kind = if event.is_empty() { "unknown" } else { event }.to_owned();
        assert_eq!(parse_value(&value), Ok(Webhook::Other { kind }));
    }
}

#[test]
fn what_names_no_room_is_other() {
    for body in
        [json!({}), json!({"event": null, "user": {"id": 1}}), json!({"event": 7, "room": {"id": "here"}})]
    {
        assert_eq!(parse_value(&body), Ok(Webhook::Other { kind: "unknown".to_owned() }));
    }
    let joined = json!({"event": "user_joined", "user": {"id": 1}});
    assert_eq!(parse_value(&joined), Ok(Webhook::Other { kind: "user_joined".to_owned() }));
}

#[test]
fn what_is_missing_or_null_is_empty() {
    let bare = message(br#"{"user":{"id":1,"name":null},"room":{"id":2},"message":{"id":3}}"#);
    assert_eq!((bare.user.name.as_str(), bare.room.name, bare.message.text.as_str()), ("", None, ""));
    let null = message(br#"{"user":{"id":1},"room":{"id":2,"name":null},"message":{"id":3,"body":null}}"#);
    assert_eq!(null.message.html, None);
    let renamed =
        message(br#"{"user":{"id":"1"},"room":{"id":"2"},"message":{"id":"3","body":{"plain_text":"hi"}}}"#);
    assert_eq!((renamed.message.id, renamed.message.text.as_str()), (MessageId(3), "hi"));
}

#[test]
fn nul_is_removed_from_every_text() {
    let mut value = plain();
    value["user"]["name"] = json!("A\0nn");
    value["room"]["name"] = json!("\0");
    value["message"]["body"] = json!({"html": "<b>\0h</b>", "plain": "h\0i"});
    let incoming = message(value.to_string().as_bytes());
    assert!(!format!("{incoming:?}").contains("\\0"));
    assert_eq!((incoming.user.name.as_str(), incoming.message.text.as_str()), ("Ann", "hi"));
}

#[test]
fn a_refusal_says_what_is_wrong_and_nothing_of_the_body() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut no_id = plain();
    no_id["message"]["id"] = json!("S3CRET");
    let bodies = [&b"\xffS3CRET"[..], b"S3CRET", b"\"S3CRET\"", b"[\"S3CRET\"]", b"", deep.as_bytes()];
    for body in bodies.into_iter().chain([no_id.to_string().as_bytes()]) {
        let error = parse(body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error}");
    }
    assert_eq!(parse_value(&no_id), Err(PayloadError::Field { field: "message.id" }));
    let mut negative = plain();
    negative["user"]["id"] = json!(-1);
    assert_eq!(parse_value(&negative), Err(PayloadError::Field { field: "user.id" }));
}

#[test]
fn a_secret_is_redacted_everywhere() {
    let mut value = plain();
    value["user"]["name"] = json!("k3y");
    value["room"]["name"] = json!("a k3y b");
    value["message"]["body"] = json!({"html": "<b>k3yk3y</b>", "plain": "k3y k3y"});
    let mut incoming = message(value.to_string().as_bytes());
    let before = incoming.clone();
    incoming.redact("");
    assert_eq!(incoming, before);
    incoming.redact("k3y");
    assert!(!format!("{incoming:?}").contains("k3y"));
    assert_eq!(incoming.message.html.as_deref(), Some("<b>********</b>"));
}

#[test]
fn what_was_stored_is_read_again_also_with_more_or_fewer_fields() {
    let incoming = recorded(MENTION);
    let mut stored = serde_json::to_value(&incoming).unwrap();
    assert_eq!(serde_json::from_value::<Incoming>(stored.clone()).unwrap(), incoming);
    stored["later"] = json!({"version": 2});
    stored["message"]["edited"] = json!(true);
    stored["message"].as_object_mut().unwrap().remove("html");
    assert_eq!(serde_json::from_value::<Incoming>(stored).unwrap().message.html, None);
}

#[test]
fn the_hash_tells_apart_whatever_differs() {
    let base = message(plain().to_string().as_bytes());
    let mut variants = vec![base.clone(); 7];
    variants[1].user.id = UserId(2);
    variants[2].room.id = RoomId(1);
    variants[3].message.id = MessageId(4);
    variants[4].message.html = None;
    variants[5].message.html = Some(String::new());
    (variants[6].message.text, variants[6].message.html) = ("hi<b>".into(), Some("hi</b>".into()));
    let hashes: std::collections::HashSet<_> = variants.iter().map(Incoming::content_hash).collect();
    assert_eq!(hashes.len(), variants.len());
    let mut renamed = base.clone();
    renamed.user.name = "Anna".into();
    assert_eq!(renamed.content_hash(), base.content_hash());
}

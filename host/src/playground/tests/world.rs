//! Rooms and messages by themselves.

use super::{
    super::world::messages::{Content, LARGEST_POST, MESSAGES_A_ROOM, Span, TEXT_KEPT, UPLOADS_KEPT},
    *,
};

fn world() -> (World, BotAccount, BotAccount) {
    let mut world = World::new(MessageId(1000));
    let a = world.add_bot("Ann Bot", None);
    let b = world.add_bot("Bob Bot", None);
    (world, a, b)
}

fn say(world: &mut World, room: RoomId, text: &str) -> Arc<Message> {
    let html = world.typed(room, text);
    world.create(YOU, room, Content::Html(html)).unwrap()
}

#[test]
fn every_bot_of_a_direct_room_hears_and_elsewhere_only_the_mentioned() {
    let (mut world, a, b) = world();
    let trio = world.add_room(None, &[YOU, a.user, b.user]).unwrap();
    let heard = |world: &mut World, room, text| {
        let message = say(world, room, text);
        world.audience(&message)
    };
    assert_eq!(heard(&mut world, a.direct_room, "hi"), [a.user]);
    assert_eq!(heard(&mut world, trio, "hi"), [a.user, b.user]);
    assert_eq!(heard(&mut world, ALL_TALK, "hi"), []);
    assert_eq!(heard(&mut world, ALL_TALK, "hi @bob bot"), [b.user]);
}

#[test]
fn the_author_never_hears_itself() {
    let (mut world, a, b) = world();
    let pair = world.direct_room(a.user, b.user).unwrap();
    let message = world.create(a.user, pair, Content::Html("hi".into())).unwrap();
    assert_eq!(world.audience(&message), [b.user]);
}

#[test]
fn a_name_that_was_only_typed_mentions_nobody() {
    let (mut world, a, b) = world();
    let raw = Content::Html("<div>@Bob Bot</div>".into());
    let message = world.create(a.user, ALL_TALK, raw).unwrap();
    assert_eq!(world.audience(&message), []);
    let real = Content::Html(world.signer().attachment(b.user, "Bob Bot"));
    let message = world.create(a.user, ALL_TALK, real).unwrap();
    assert_eq!(message.plain, "@Bob Bot");
    assert_eq!(world.audience(&message), [b.user]);
}

#[test]
fn a_room_keeps_its_newest_messages() {
    let (mut world, a, _) = world();
    for number in 0..=MESSAGES_A_ROOM {
        say(&mut world, a.direct_room, &number.to_string());
    }
    let kept: Vec<_> = world.messages(a.direct_room).map(|message| message.plain.clone()).collect();
    assert_eq!(kept.len(), MESSAGES_A_ROOM);
    assert_eq!(kept.first().map(String::as_str), Some("1"));
}

#[test]
fn the_text_of_all_rooms_together_is_bounded() {
    let (mut world, a, b) = world();
    let first = say(&mut world, b.direct_room, "first");
    for _ in 0..=TEXT_KEPT / (8 << 20) {
        let html = format!("<style>{}</style>", "x".repeat(8 << 20));
        world.create(YOU, a.direct_room, Content::Html(html)).unwrap();
    }
    assert!(world.text_kept <= TEXT_KEPT);
    assert!(world.messages(b.direct_room).all(|message| message.id != first.id));
    assert!(world.messages(a.direct_room).next().is_some());
}

#[test]
fn old_uploads_lose_their_contents_and_keep_their_messages() {
    let (mut world, a, _) = world();
    let bytes = Bytes::from(vec![0; LARGEST_POST]);
    let mut upload = || {
        let file =
            Content::File { name: "a.txt".into(), media_type: "text/plain".into(), bytes: bytes.clone() };
        world.create(YOU, a.direct_room, file).unwrap().id
    };
    let ids: Vec<_> = (0..8).map(|_| upload()).collect();
    assert!(world.upload(ids[0]).is_none());
    assert!(world.upload(ids[7]).is_some());
    assert_eq!(world.messages(a.direct_room).count(), 8);
    assert!(world.uploads_kept <= UPLOADS_KEPT);
}

#[test]
fn what_is_too_large_is_refused() {
    let (mut world, a, _) = world();
    let html = "x".repeat(LARGEST_POST + 1);
    let refused = world.create(YOU, a.direct_room, Content::Html(html));
    assert!(matches!(refused, Err(Error::TooLong { .. })));
    assert_eq!(world.messages(a.direct_room).count(), 0);
}

#[test]
fn only_the_author_edits_and_deletes() {
    let (mut world, a, b) = world();
    let trio = world.add_room(None, &[YOU, a.user, b.user]).unwrap();
    let id = world.create(a.user, trio, Content::Html("one".into())).unwrap().id;
    assert!(matches!(world.edit(b.user, trio, id, "x".into()), Err(Error::NotTheAuthor { .. })));
    assert!(matches!(world.delete(b.user, trio, id), Err(Error::NotTheAuthor { .. })));
    assert_eq!(world.edit(a.user, trio, id, "<b>two</b>".into()).unwrap().plain, "two");
    world.delete(a.user, trio, id).unwrap();
    assert!(matches!(world.delete(a.user, trio, id), Err(Error::UnknownMessage(_))));
    assert_eq!(world.text_kept, 0);
}

#[test]
fn boosts_come_and_go() {
    let (mut world, a, b) = world();
    let trio = world.add_room(None, &[YOU, a.user, b.user]).unwrap();
    let id = say(&mut world, trio, "hi").id;
    assert!(matches!(world.boost(a.user, trio, id, "  "), Err(Error::Blank)));
    assert!(matches!(world.boost(a.user, trio, id, &"👀".repeat(17)), Err(Error::TooLong { .. })));
    let (boost, message) = world.boost(a.user, trio, id, "👀").unwrap();
    assert_eq!(message.boosts, std::slice::from_ref(&boost));
    assert!(matches!(world.remove_boost(b.user, trio, boost.id), Err(Error::UnknownBoost(_))));
    assert_eq!(world.remove_boost(a.user, trio, boost.id).unwrap().boosts, []);
}

#[test]
fn excerpts_walk_the_room_both_ways() {
    let (mut world, a, _) = world();
    let ids: Vec<_> = (0..5).map(|n| say(&mut world, a.direct_room, &n.to_string()).id).collect();
    let look = |span| {
        let excerpt = world.excerpt(a.direct_room, span, 2);
        (excerpt.messages.iter().map(|message| message.id).collect::<Vec<_>>(), excerpt.more)
    };
    assert_eq!(look(Span::Newest), (ids[3..].to_vec(), true));
    assert_eq!(look(Span::Before(ids[3])), (ids[1..3].to_vec(), true));
    assert_eq!(look(Span::Before(ids[1])), (ids[..1].to_vec(), false));
    assert_eq!(look(Span::After(ids[2])), (ids[3..].to_vec(), false));
    assert_eq!(look(Span::After(MessageId(0))), (ids[..2].to_vec(), true));
}

#[test]
fn a_key_belongs_to_one_bot() {
    let (world, a, b) = world();
    let key = a.key.expose_secret();
    assert_eq!(world.bot_with_key(key), Some(a.user));
    assert_eq!(world.bot_with_key(b.key.expose_secret()), Some(b.user));
    assert_eq!(world.bot_with_key(&key[..key.len() - 1]), None);
    let (id, token) = key.split_once('-').unwrap();
    assert_eq!(id, a.user.to_string());
    assert!(token.len() == 12 && token.chars().all(|c| c.is_ascii_alphanumeric()));
}

#[test]
fn two_people_share_one_direct_room() {
    let (mut world, a, b) = world();
    assert_eq!(world.direct_room(YOU, a.user).unwrap(), a.direct_room);
    let pair = world.direct_room(a.user, b.user).unwrap();
    assert_eq!(world.direct_room(b.user, a.user).unwrap(), pair);
}

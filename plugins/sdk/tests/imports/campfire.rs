//! The room beyond the answer.

use std::time::Duration;

use hearth_plugin::{
    campfire,
    prelude::*,
    testing::{Action, Harness},
};

use crate::{in_room, within};

#[test]
fn history_is_asked_for_from_either_side() {
    let mut harness = Harness::new();
    let ids = [(); 5].map(|()| harness.says("Bea", "…"));
    within(&mut harness, move |event| {
        let ids_of =
            |messages: Vec<campfire::PastMessage>| messages.iter().map(|past| past.id).collect::<Vec<_>>();
        assert_eq!(ids_of(campfire::before(event.message.id, 2).unwrap()), ids[3..]);
        assert_eq!(ids_of(campfire::after(ids[0], 2).unwrap()), ids[1..3]);
        assert_eq!(ids_of(campfire::newest(1).unwrap()), [event.message.id]);
        let refused = campfire::newest(201);
        assert!(matches!(refused, Err(campfire::Error::Invalid(_))), "{refused:?}");
    });
}

#[test]
fn a_message_is_posted_edited_in_place_and_removed() {
    let mut harness = Harness::new();
    let message = within(&mut harness, |event| {
        let message = campfire::post(&text("Looking …")).unwrap().unwrap();
        campfire::edit(message, &markdown("**Found.**")).unwrap();
        assert_eq!(campfire::newest(200).unwrap().iter().find(|past| past.mine).unwrap().text, "**Found.**");
        campfire::remove(message).unwrap();
        campfire::post(&boost("👀")).unwrap();
        let refused = campfire::edit(event.message.id, &text("mine now"));
        assert!(matches!(refused, Err(campfire::Error::NotFound(_))), "{refused:?}");
        let refused = campfire::edit(message, &sound("tada"));
        assert!(matches!(refused, Err(campfire::Error::Invalid(_))), "{refused:?}");
        message
    });
    assert_eq!(
        harness.actions(),
        [
            Action::Posted { message: Some(message), part: text("Looking …") },
            Action::Edited { message, part: markdown("**Found.**") },
            Action::Removed { message },
            Action::Boosted { message: 1000, reaction: "👀".into() },
        ]
    );
}

#[test]
fn an_older_server_takes_posts_and_nothing_else() {
    within(&mut Harness::new().older_server(), |event| {
        campfire::post(&text("still here")).unwrap();
        let message = event.message.id;
        for refused in [
            campfire::newest(1).map(drop),
            campfire::edit(message, &text("x")),
            campfire::remove(message),
            campfire::boost(message, "👀"),
        ] {
            assert!(matches!(refused, Err(campfire::Error::Unsupported(_))), "{refused:?}");
        }
    });
}

#[test]
fn a_room_takes_sixty_requests_a_minute_and_more_when_it_is_over() {
    let mut harness = Harness::new();
    within(&mut harness, |_| {
        for n in 0..60 {
            campfire::post(&text(format!("{n}"))).unwrap();
        }
        let refused = campfire::post(&text("60"));
        assert!(matches!(refused, Err(campfire::Error::RateLimited(_))), "{refused:?}");
    });
    in_room(&mut harness, 8, |_| campfire::post(&text("elsewhere"))).unwrap();
    harness.advance(Duration::from_mins(1));
    within(&mut harness, |_| campfire::post(&text("60"))).unwrap();
}

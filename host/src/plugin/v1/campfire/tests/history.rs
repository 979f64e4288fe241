//! The room's past.

use super::*;

fn query(before: Option<u64>, after: Option<u64>, limit: u32) -> Query {
    Query { before, after, limit, attributes: Vec::new() }
}

async fn read(state: &mut State, query: Query) -> Result<Vec<PastMessage>, CampfireError> {
    Host::history(state, query).await.unwrap()
}

/// Fills the room up to 150 messages; their ids.
fn fill(bench: &Bench) -> Vec<u64> {
    let (you, room) = (bench.playground.you(), bench.account.direct_room);
    let said = (1..150).map(|number| bench.playground.say(you, room, &number.to_string()).unwrap().0);
    std::iter::once(bench.trigger.0).chain(said).collect()
}

#[tokio::test]
async fn as_many_messages_as_asked_for_are_read_by_as_many_requests_as_that_takes() {
    let (bench, mut state) = bench().await;
    let ids = fill(&bench);
    let cases = [
        (query(None, None, 1), 149..150, 1),
        (query(None, None, 40), 110..150, 1),
        (query(None, None, 41), 109..150, 2),
        (query(None, None, 200), 0..150, 4),
        (query(Some(ids[100]), None, 50), 50..100, 2),
        (query(Some(ids[10]), None, 200), 0..10, 1),
        (query(None, Some(ids[10]), 50), 11..61, 2),
        (query(None, Some(ids[60]), 200), 61..150, 3),
        (query(None, Some(ids[149]), 200), 0..0, 1),
    ];
    for (index, (query, expected, requests)) in cases.into_iter().enumerate() {
        // A name of its own has a rate of its own.
        state.calling.bot = format!("helper-{index}").as_str().into();
        let messages = read(&mut state, query.clone()).await.unwrap();
        let read: Vec<_> = messages.iter().map(|message| message.id).collect();
        assert_eq!(read, ids[expected], "{query:?}");
        let seat = state.seat().unwrap();
        let left = (0..PER_MINUTE).take_while(|_| seat.take(1).is_ok()).count();
        assert_eq!(PER_MINUTE - left, requests, "{query:?}");
    }
}

#[tokio::test]
async fn a_message_tells_who_wrote_what_and_whether_it_is_the_bots_own() {
    let (bench, mut state) = bench().await;
    let own = post(&mut state, Part::Markdown("**hello**".into())).await.unwrap().unwrap();
    let upload = post(&mut state, file(b"1")).await.unwrap().unwrap();
    let messages = newest(&mut state, 10).await.unwrap();
    let told: Vec<_> =
        messages.iter().map(|m| (m.id, &*m.author.name, m.mine, &*m.text, m.html.as_deref())).collect();
    assert_eq!(
        told,
        [
            (bench.trigger.0, "You", false, "hi", Some("<div>hi</div>")),
            (own, "Helper", true, "hello", Some("<p><strong>hello</strong></p>")),
            (upload, "Helper", true, "a.csv", None),
        ]
    );
    let stored = room(&bench);
    assert_eq!(messages[1].author.id, bench.account.user.0);
    assert_eq!(i64::try_from(messages[0].created_at).unwrap(), stored[0].created_at.0);
}

#[tokio::test]
async fn a_huge_message_does_not_fill_the_guest() {
    let (bench, mut state) = bench().await;
    let (you, room) = (bench.playground.you(), bench.account.direct_room);
    bench.playground.say(you, room, &"ä".repeat(1 << 20)).unwrap();
    let messages = newest(&mut state, 1).await.unwrap();
    assert!(messages[0].text.len() <= 16 << 10 && messages[0].text.ends_with("ä…"));
    assert_eq!(messages[0].html, None);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_invalid() {
    let (bench, mut state) = bench().await;
    let strange = Query { attributes: vec![("author".into(), "1".into())], ..query(None, None, 1) };
    for (query, words) in [
        (query(None, None, 0), "1 to 200"),
        (query(None, None, 201), "1 to 200"),
        (query(Some(1), Some(2), 1), "can't go together"),
        (strange, "the query's attribute `author`"),
    ] {
        let error = read(&mut state, query).await.unwrap_err();
        assert_eq!(face(&bench, &error), (CampfireErrorKind::Invalid, Sent::No));
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[tokio::test]
async fn a_long_reading_stops_where_the_minute_is_used_up() {
    let (bench, mut state) = bench().await;
    fill(&bench);
    state.seat().unwrap().take(58).unwrap();
    let error = newest(&mut state, 200).await.unwrap_err();
    assert_eq!(face(&bench, &error), (CampfireErrorKind::RateLimited, Sent::No));
}

//! Several hosts on one Redis, behind a load balancer.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth_tests::{
    claude_cli,
    cluster::{self, Cluster, Member},
    messages_api::MessagesApi,
    world::{PATIENCE, is_underway},
};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_hosts_every_acknowledged_message_is_answered_once_in_order_and_with_its_memory()
{
    cluster::run(40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_with_its_memory_on_whichever_host_is_left() {
    let mut cluster = Cluster::new(&["assistant"], "command = \"demo-agent\"").await;
    cluster.start().await;
    cluster.hosts[0].host.say("my name is Zelda").await;
    cluster.hosts[0].host.hear("Nice to meet you, Zelda").await;
    for (number, left) in [(2, 0), (3, 1)] {
        cluster.hosts[0].host.say("hello").await;
        cluster.hosts[0]
            .host
            .hear(&format!("This is message {number} of our conversation; you first said"))
            .await;
        assert!(cluster.hosts[left].host.end(Signal::TERM).await.success());
    }
    cluster.hosts[0].host.say("what is my name?").await;
    cluster.hosts[0].host.hear("Your name is Zelda").await;
    assert_eq!(cluster.hosts[0].host.answers().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_from_redis_takes_no_message_and_posts_no_answer_and_another_one_does() {
    let mut cluster = Cluster::new(&["assistant"], "command = \"demo-agent\"").await;
    cluster.start().await;
    let Member { host, way } = &cluster.hosts[0];
    host.send_webhooks_to(host.listen);
    // The agent here is through when another host has the lane and its own is not.
    host.ask("demo:slow=20000 patience").await;
    way.cut();
    assert_eq!(host.status_of("refused").await, Some(503));
    host.hear("patience").await;
    way.mend();
    host.say("and then?").await;
    host.hear("and then?").await;
    // It is found in the room.
    host.hear("refused").await;
    let answers = host.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_answers_on_another_host_once_and_remembers_where_the_first_was_killed() {
    let api = MessagesApi::start();
    let agent = format!(
        "command = [\"env\", \"ANTHROPIC_BASE_URL={}\", \"ANTHROPIC_API_KEY=sk-dummy\", '{}']",
        api.url(),
        claude_cli::path().display()
    );
    let mut cluster = Cluster::new(&["assistant"], &agent).await;
    cluster.start().await;
    let (playground, bot) = (cluster.playground.clone(), cluster.hosts[0].host.user("assistant"));
    let rooms: Vec<_> = (0..3)
        .map(|number| {
            let person = playground.add_person(&format!("Person {number}"));
            (person, playground.direct_room(person, bot).unwrap())
        })
        .collect();
    let answered = async |number: usize, words: &str| {
        let (_, room) = rooms[number];
        let answer = playground.wait_for(
            room,
            |message| message.author == bot && !is_underway(message) && message.plain.contains(words),
            PATIENCE,
        );
        assert!(answer.await.is_some(), "no answer with {words:?} in {:?}", playground.messages(room));
    };
    let say_everywhere = |text: &dyn Fn(usize) -> String| {
        for (number, (person, room)) in rooms.iter().enumerate() {
            playground.say(*person, *room, &text(number)).unwrap();
        }
    };

    say_everywhere(&|number| format!("launch code {number}"));
    for number in 0..3 {
        answered(number, &format!("launch code {number}")).await;
    }
    let asked = api.requests().len();
    say_everywhere(&|number| format!("SLOW=3000 question {number}"));
    api.arrived(asked + 3).await;
    cluster.hosts[0].host.end(Signal::KILL).await;
    for number in 0..3 {
        answered(number, &format!("question {number}")).await;
    }
    say_everywhere(&|_| "RECALL".to_owned());
    for (number, (_, room)) in rooms.iter().enumerate() {
        answered(number, "earlier=").await;
        let messages = playground.messages(*room);
        let answers: Vec<_> = messages.iter().filter(|message| message.author == bot).collect();
        assert_eq!(answers.len(), 3, "{answers:?}");
        let recalled = &answers[2].plain;
        assert!(recalled.contains(&format!("launch code {number}")), "{recalled}");
    }
}

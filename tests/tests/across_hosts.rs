//! Two hosts on one Redis: each hears what concerns the other, and one that has lost its lane says nothing more.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::{Duration, Instant};

use hearth_tests::{
    outside::{Outside, on_redis},
    proxy::Proxy,
    redis_server::RedisServer,
    world::PATIENCE,
};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Two hosts: one outside, whose way to Redis can be cut and which has answered once in the assistant's room, and one beside it.
struct Hosts {
    outside: Outside,
    beside: Outside,
    way: Proxy,
    _server: RedisServer,
    _folder: TempDir,
}

impl Hosts {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let server = RedisServer::start(folder.path());
        let way = Proxy::to(([127, 0, 0, 1], server.port()).into()).await;
        let outside = Outside::new(&on_redis(way.address, folder.path())).await;
        // A room stays where it was. A new one is the other host's if that looks for what is left at just the wrong moment.
        outside.say("hello").await;
        outside.hear("hello").await;
        let own_way = format!("127.0.0.1:{}", server.port());
        let mut beside = outside.beside(|toml| toml.replace(&way.address.to_string(), &own_way));
        beside.start().await;
        Self { outside, beside, way, _server: server, _folder: folder }
    }

    /// Webhooks go to the host beside from now on.
    fn go_beside(&self) {
        self.outside.send_webhooks_to(self.beside.listen);
    }

    fn go_outside(&self) {
        self.outside.send_webhooks_to(self.outside.listen);
    }

    /// How many turns have ended at each host.
    fn turns(&self) -> [usize; 2] {
        [&self.outside, &self.beside].map(|host| {
            std::fs::read_to_string(host.log()).unwrap_or_default().matches("the turn ended").count()
        })
    }

    /// The same once there are so many. (A log that is written tells nobody: it is looked for.)
    async fn turns_of(&self, count: usize) -> [usize; 2] {
        let ended = async {
            while self.turns().iter().sum::<usize>() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the turns end");
        self.turns()
    }
}

/// Has the host's operator stop what the assistant does in its room, and answers what the host says.
async fn stop(host: &Outside) -> String {
    let socket = hearth::operator::socket_path(&host.folder().join(".hearth"));
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "DELETE /running/assistant/{} HTTP/1.1\r\nhost: hearth\r\nconnection: close\r\n\r\n",
        host.room
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("it answers in time").unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_stops_reaches_the_host_that_runs_the_turn() {
    let hosts = Hosts::new().await;
    hosts.outside.ask("demo:slow=600000").await;
    hosts.go_beside();
    let began = Instant::now();
    hosts.outside.say("stop").await;
    hosts.outside.hear("I was stopped.").await;
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());

    // The conversation goes on where it was.
    hosts.outside.say("my name is Zelda").await;
    hosts.outside.hear("Zelda").await;
    assert_eq!(hosts.outside.answers().len(), 3, "{:?}", hosts.outside.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_at_one_host_stops_a_turn_of_another() {
    let hosts = Hosts::new().await;
    let idle = stop(&hosts.beside).await;
    assert!(idle.contains("\"stopped\":false"), "{idle}");
    hosts.outside.ask("demo:slow=600000").await;
    let stopped = stop(&hosts.beside).await;
    assert!(stopped.contains("\"stopped\":true"), "{stopped}");
    hosts.outside.hear("I was stopped.").await;
    assert_eq!(hosts.outside.answers().len(), 2, "{:?}", hosts.outside.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_stays_with_its_host_and_moves_when_that_is_gone() {
    let mut hosts = Hosts::new().await;
    let (playground, bot) = (&hosts.outside.playground, hosts.outside.user("assistant"));
    for number in 1..=5 {
        let person = playground.add_person(&format!("Person {number}"));
        let room = playground.direct_room(person, bot).unwrap();
        playground.say(person, room, "hello").unwrap();
        assert!(playground.wait_for(room, |message| message.author == bot, PATIENCE).await.is_some());
    }
    let (mut before, mut stayed) = (hosts.turns_of(6).await, 0);
    assert!(before[0] >= 5, "a new room goes to whoever takes the webhook: {before:?}");
    let mut was_outside = true;
    let (mut direct, mut across) = (Vec::new(), Vec::new());
    for round in 1..=18 {
        // To the host that has it, and to the other one.
        let goes_outside = was_outside == (round % 2 == 0);
        if goes_outside {
            hosts.go_outside();
        } else {
            hosts.go_beside();
        }
        let began = Instant::now();
        hosts.outside.say(&format!("round {round} ends")).await;
        hosts.outside.hear(&format!("round {round} ends")).await;
        if goes_outside == was_outside { &mut direct } else { &mut across }.push(began.elapsed());
        let now = hosts.turns_of(round + 6).await;
        let is_outside = now[0] > before[0];
        stayed += usize::from(is_outside == was_outside);
        (before, was_outside) = (now, is_outside);
    }
    // A machine that is busy with something else may make one late.
    assert!(stayed >= 15, "{before:?}");
    direct.sort();
    across.sort();
    println!("answered, median: {:?} where the host has it, {:?} across", direct[4], across[4]);
    assert!(across[4] < direct[4] + Duration::from_millis(700), "{direct:?} {across:?}");

    hosts.go_beside();
    hosts.outside.end(Signal::TERM).await;
    hosts.outside.say("moved").await;
    hosts.outside.hear("moved").await;
    assert_eq!(hosts.turns_of(25).await[1], before[1] + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_stopped_for_longer_than_its_lease_says_nothing_when_it_goes_on() {
    let hosts = Hosts::new().await;
    hosts.outside.ask("demo:slow=10000 patience").await;
    kill_process(hosts.outside.process(), Signal::STOP).unwrap();
    // Its agent answers meanwhile, and is not heard.
    hosts.outside.hear("patience").await;
    kill_process(hosts.outside.process(), Signal::CONT).unwrap();
    hosts.outside.logs("the lane's lease was lost").await;
    hosts.go_outside();
    hosts.outside.say("and now?").await;
    hosts.outside.hear("and now?").await;
    let answers = hosts.outside.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(hosts.turns_of(3).await.iter().sum::<usize>(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_posts_nothing_after_its_lease_and_takes_no_messages() {
    let hosts = Hosts::new().await;
    // It would be through after its lease, and before the other host can be.
    hosts.outside.ask("demo:slow=12000 patience").await;
    hosts.way.cut();
    let began = Instant::now();
    assert_eq!(hosts.outside.status_of("refused").await, Some(503));
    assert!(began.elapsed() < Duration::from_secs(7), "Campfire waits no longer: {:?}", began.elapsed());
    hosts.outside.logs("the lane's lease was lost").await;
    hosts.outside.hear("patience").await;
    // The other host may have found what was refused by now.
    assert_eq!(hosts.turns_of(2).await[0], 1);
    hosts.way.mend();
    // What was refused is found in the room.
    hosts.outside.hear("refused").await;
    let answers = hosts.outside.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_cut_off_for_less_than_its_lease_says_what_it_has_to_say() {
    let hosts = Hosts::new().await;
    // The process that answered before does, so that this takes a second and no start.
    hosts.outside.ask("demo:slow=1000 patience").await;
    hosts.way.cut();
    hosts.outside.agents_answered(2).await;
    hosts.way.mend();
    hosts.outside.hear("patience").await;
    let answers = hosts.outside.answers();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(hosts.turns_of(2).await, [2, 0]);
}

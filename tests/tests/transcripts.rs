//! Conversations that go from host to host, where hosts share a Redis and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use hearth::stage::ANY;
use hearth_tests::{
    claude_cli,
    messages_api::MessagesApi,
    outside::{Outside, kept},
    redis_server::{PASSWORD, RedisServer},
    world::PATIENCE,
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpSocket;

const DEMO: &str = "\"demo-agent\"";
/// What a host says to whom it does not remember.
const LOST: &str = "I couldn't find our earlier conversation";

/// Two hosts for the same bots, each in a folder of its own.
struct Pair {
    hosts: [Outside; 2],
    /// Where the second one shows its metrics.
    admin: SocketAddr,
    /// Keeps that port until it is there.
    _port: TcpSocket,
    server: RedisServer,
    _folder: TempDir,
}

impl Pair {
    async fn new(command: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let server = RedisServer::start(folder.path());
        let agent = format!(
            "command = {command}\n[store]\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}/0?prefix=test\"",
            server.port()
        );
        let first = Outside::with_agent(&agent).await;
        let port = kept(ANY).unwrap();
        let admin = port.local_addr().unwrap();
        let mut second =
            first.beside(|toml| toml.replace("admin = \"off\"", &format!("admin = \"{admin}\"")));
        second.start().await;
        Self { hosts: [first, second], admin, _port: port, server, _folder: folder }
    }

    /// Asks the host of this number, and answers what it says.
    async fn ask(&self, host: usize, text: &str) -> String {
        self.say(host, text).await;
        let answers = self.hosts[0].answers();
        answers.last().unwrap().clone()
    }

    /// The same for all that it says.
    async fn say(&self, host: usize, text: &str) -> Vec<String> {
        // Else the host that had the room before, and has not quite let go of it, answers this too.
        self.nobody_has_the_room().await;
        let before = self.hosts[0].answers().len();
        self.hosts[0].send_webhooks_to(self.hosts[host].listen);
        self.hosts[0].say(text).await;
        self.hosts[0].answered(before + 1).await;
        self.nobody_has_the_room().await;
        self.hosts[0].answers().split_off(before)
    }

    async fn nobody_has_the_room(&self) {
        let free = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while self.redis(&["HEXISTS", &self.key("lane"), "token"]) != ":0" {
                looks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE * 2, free).await.expect("the room is let go");
        // Nor is it left to the one that had it last, where a process waits.
        self.redis(&["HDEL", &self.key("lane"), "last"]);
    }

    /// The store's key of this kind for the room.
    fn key(&self, kind: &str) -> String {
        format!("{{test}}:{kind}:assistant:{}", self.hosts[0].room)
    }

    /// What Redis says to a command.
    fn redis(&self, words: &[&str]) -> String {
        let asked = format!("AUTH {PASSWORD}\r\n{}\r\nQUIT\r\n", words.join(" "));
        said(([127, 0, 0, 1], self.server.port()).into(), &asked).lines().nth(1).unwrap().to_owned()
    }

    /// Says in Redis how many parts the answer to the oldest message has. To what is no number none can be added.
    fn give_the_event_parts(&self, count: &str) {
        let oldest = "redis.call('ZRANGE',KEYS[1],0,0)[1]";
        let script = format!("\"return redis.call('HSET',KEYS[2]..{oldest},'parts',ARGV[1])\"");
        let set = ["EVAL", &script, "2", &self.key("queue"), "{test}:event:", count];
        assert_eq!(self.redis(&set), ":0", "it was there");
    }

    /// Where the hosts' store is, for whoever knows its password.
    fn store(&self) -> String {
        format!("127.0.0.1:{}/0?prefix=test", self.server.port())
    }

    /// What copies the hosts' store to a file of the first.
    fn copy_to_a_file(&self) -> [String; 4] {
        ["store".into(), "copy".into(), format!("redis://{}", self.store()), "sqlite:back.db".into()]
    }

    /// Has the first host go on with that file alone.
    async fn go_back_to_the_file(&mut self) {
        let redis = format!("redis://:{PASSWORD}@{}", self.store());
        let host = &mut self.hosts[0];
        let path = host.folder().join("bots.toml");
        let toml = std::fs::read_to_string(&path).unwrap();
        assert!(toml.contains(&redis));
        std::fs::write(path, toml.replace(&redis, "sqlite:back.db")).unwrap();
        host.send_webhooks_to(host.listen);
        host.start().await;
    }

    async fn end(&mut self) {
        for host in &mut self.hosts {
            host.end(Signal::TERM).await;
        }
    }

    /// What the second host has counted.
    fn metrics(&self) -> String {
        said(self.admin, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    }

    /// Waits until a host has logged these words so often, and finds them no more often. (What is posted may be seen before
    /// what was logged before it.)
    async fn logs(&self, host: usize, words: &str, times: usize) {
        let count = || std::fs::read_to_string(self.hosts[host].log()).unwrap().matches(words).count();
        let logged = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while count() < times {
                looks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, logged).await.expect("it is logged");
        assert_eq!(count(), times, "{words} on host {host}");
    }

    /// The files of the assistant's transcripts on a host.
    fn transcripts(&self, host: usize) -> Vec<PathBuf> {
        let below = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let projects = below(self.hosts[host].folder().join(".hearth/agents/assistant/config/projects"));
        projects.flat_map(|project| below(project.path())).map(|file| file.path()).collect()
    }
}

/// Everything that a server says to this.
fn said(server: SocketAddr, asked: &str) -> String {
    let mut connection = TcpStream::connect(server).unwrap();
    connection.write_all(asked.as_bytes()).unwrap();
    let mut said = String::new();
    connection.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_goes_from_host_to_host_and_back_is_remembered_as_a_whole() {
    let mut pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    let counted = pair.ask(0, "two").await;
    assert!(counted.contains("message 2"), "{counted}");

    let named = pair.ask(1, "what is my name?").await;
    assert!(named.contains("Your name is Zelda"), "{named}");
    pair.ask(1, "my name is Yara").await;
    let metrics = pair.metrics();
    for (outcome, count) in [("laid-down", 1), ("sent", 2)] {
        let counted = format!("hearth_transcripts_total{{bot=\"assistant\",outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&counted), "{counted} in {metrics}");
    }
    // The first host's process still waits, and knows of none of that.
    let named = pair.ask(0, "what is my name?").await;
    assert!(named.contains("Your name is Yara"), "{named}");
    let counted = pair.ask(0, "six").await;
    assert!(counted.contains("message 6"), "{counted}");

    pair.hosts[0].end(Signal::KILL).await;
    let counted = pair.ask(1, "seven").await;
    assert!(counted.contains("message 7"), "{counted}");
    pair.hosts[1].end(Signal::TERM).await;
    pair.hosts[0].start().await;
    let counted = pair.ask(0, "eight").await;
    assert!(counted.contains("message 8"), "{counted}");
    let recalled = pair.ask(0, "what did I say?").await;
    assert!(["Zelda", "six", "seven", "eight"].iter().all(|text| recalled.contains(text)), "{recalled}");

    pair.logs(0, "was laid down", 2).await;
    pair.logs(1, "was laid down", 2).await;
    for host in [0, 1] {
        assert_eq!(pair.transcripts(host).len(), 1, "each has one file of it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stays_is_asked_again_without_a_start_and_sends_only_what_is_new() {
    let pair = Pair::new(DEMO).await;
    pair.ask(0, "one").await;
    let processes = pair.hosts[0].agents();
    assert_eq!(processes.len(), 1, "it waits");
    for text in ["two", "three"] {
        pair.ask(0, text).await;
        assert_eq!(pair.hosts[0].agents(), processes);
    }
    assert_eq!(pair.redis(&["LLEN", &pair.key("transcript-pieces")]), ":3");
    pair.logs(0, "was laid down", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_killed_in_a_turn_is_followed_by_one_that_knows_what_was_said_before() {
    let mut pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    pair.hosts[0].ask("demo:slow=8000 patience").await;
    pair.hosts[0].end(Signal::KILL).await;
    pair.hosts[0].hear("patience").await;
    let named = pair.ask(1, "what is my name?").await;
    assert!(named.contains("Your name is Zelda"), "{named}");
    // Its file has a question without an answer, and is not what the store has.
    pair.hosts[0].start().await;
    let counted = pair.ask(0, "four").await;
    assert!(counted.contains("message 4"), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_no_longer_in_redis_as_a_whole_is_said_to_be_lost_unless_its_file_is_there() {
    let pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    assert_eq!(pair.redis(&["DEL", &pair.key("transcript-pieces")]), ":1");
    let named = pair.ask(0, "what is my name?").await;
    assert!(named.contains("Your name is Zelda"), "its own process and file are current: {named}");

    assert_eq!(pair.redis(&["DEL", &pair.key("transcript-pieces")]), ":1");
    let said = pair.say(1, "what is my name?").await;
    assert!(said[0].contains(LOST) && said[1].contains("You haven't told me"), "{said:?}");
    let said = pair.say(0, "my name is Yara").await;
    assert!(said.len() == 1 && said[0].contains("Yara"), "the new conversation is everybody's: {said:?}");

    // As it is with the conversations of a host that had a file for its store.
    for kind in ["transcript", "transcript-pieces"] {
        assert_eq!(pair.redis(&["DEL", &pair.key(kind)]), ":1");
    }
    let named = pair.ask(0, "what is my name?").await;
    assert!(named.contains("Your name is Yara"), "{named}");
    let named = pair.ask(1, "what is my name?").await;
    assert!(named.contains("Your name is Yara"), "it was sent: {named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_too_long_stays_with_its_host() {
    let pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    let file = pair.transcripts(0).remove(0);
    let mut transcript = std::fs::File::options().append(true).open(&file).unwrap();
    writeln!(transcript, "{{\"type\":\"noise\",\"text\":\"{}\"}}", "x".repeat(32 << 20)).unwrap();
    for _ in 0..2 {
        let named = pair.ask(0, "what is my name?").await;
        assert!(named.contains("Your name is Zelda"), "{named}");
    }
    assert_eq!(pair.redis(&["EXISTS", &pair.key("transcript-pieces")]), ":0");
    let said = pair.say(1, "what is my name?").await;
    assert!(said[0].contains(LOST) && said[1].contains("You haven't told me"), "{said:?}");
    let said = pair.say(0, "what is my name?").await;
    assert!(
        said.len() == 1 && said[0].contains("You haven't told me"),
        "there is one conversation: {said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_can_not_write_a_transcript_down_waits_and_forgets_nothing() {
    let pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    let config = pair.hosts[1].folder().join(".hearth/agents/assistant/config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("projects"), "in the way").unwrap();
    pair.hosts[0].send_webhooks_to(pair.hosts[1].listen);
    pair.hosts[0].say("what is my name?").await;
    pair.hosts[1].logs("can't be written").await;
    std::fs::remove_file(config.join("projects")).unwrap();
    pair.hosts[0].hear("Your name is Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_goes_back_to_a_file_remembers_what_another_one_answered() {
    let mut pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    pair.ask(1, "my name is Yara").await;
    pair.end().await;
    let copy = pair.copy_to_a_file();
    let copy = copy.each_ref().map(String::as_str);
    let host = &pair.hosts[0];
    let config = host.folder().join(".hearth/agents/assistant/config");
    let planned = host.hearth(&[&copy[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("transcripts\t1") && planned.contains("Nothing was written"), "{planned}");

    // Neither without a place for them, nor with a bot that would have one elsewhere.
    std::fs::rename(config.join("projects"), config.join("away")).unwrap();
    std::fs::write(config.join("projects"), "in the way").unwrap();
    let refused = host.hearth_fails(&copy).await;
    assert!(refused.contains("can't be written") && refused.contains("nothing is left at"), "{refused}");
    std::fs::remove_file(config.join("projects")).unwrap();
    std::fs::rename(config.join("away"), config.join("projects")).unwrap();
    let (session, hash) = ("00000000-0000-0000-0000-000000000007", "A".repeat(43));
    let foreign = "{test}:transcript:..:7";
    pair.redis(&["HSET", foreign, "session", session, "bytes", "1", "hash", &hash, "pieces", "1"]);
    let refused = host.hearth_fails(&copy).await;
    assert!(refused.contains("a bot can't be named \"..\""), "{refused}");
    assert_eq!(pair.redis(&["DEL", foreign]), ":1");
    assert!(!host.folder().join(".hearth/back.db").exists());

    let copied = host.hearth(&copy).await;
    assert!(copied.contains("transcripts\t1") && !copied.contains("can't be had"), "{copied}");
    assert_eq!(pair.transcripts(0).len(), 1, "the newer one is in the place of the older");
    pair.go_back_to_the_file().await;
    pair.hosts[0].say("what is my name?").await;
    pair.hosts[0].hear("Your name is Yara").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_can_not_be_had_for_a_file_is_said_to_be_lost_and_no_older_one_taken_for_it() {
    let mut pair = Pair::new(DEMO).await;
    pair.ask(0, "my name is Zelda").await;
    pair.ask(1, "my name is Yara").await;
    pair.end().await;
    assert_eq!(pair.redis(&["DEL", &pair.key("transcript-pieces")]), ":1");
    let copy = pair.copy_to_a_file();
    let copied = pair.hosts[0].hearth(&copy.each_ref().map(String::as_str)).await;
    assert!(copied.contains("transcripts\t0") && copied.contains("can't be had: 1."), "{copied}");
    pair.go_back_to_the_file().await;
    pair.hosts[0].say("what is my name?").await;
    pair.hosts[0].hear("You haven't told me").await;
    let answers = pair.hosts[0].answers();
    assert!(answers.iter().any(|answer| answer.contains(LOST)), "{answers:?}");
}

/// The `[agent] command` of the real CLI, which asks `api` and nobody else.
fn real(api: &MessagesApi) -> String {
    format!(
        "[\"env\", \"ANTHROPIC_BASE_URL={}\", \"ANTHROPIC_API_KEY=sk-dummy\", '{}']",
        api.url(),
        claude_cli::path().display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_paid_for_when_its_host_was_killed_is_given_by_another() {
    let api = MessagesApi::start();
    let mut pair = Pair::new(&real(&api)).await;
    pair.hosts[0].ask("SLOW=8000 the launch code is 4711").await;
    api.arrived(1).await;
    // Its transcript is taken, and its answer is not.
    pair.give_the_event_parts("none");
    pair.hosts[0].logs("the store can't do what a turn needs").await;
    pair.hosts[0].end(Signal::KILL).await;
    pair.give_the_event_parts("0");
    pair.hosts[0].hear("4711").await;
    assert_eq!(api.requests().len(), 1, "nothing was asked again");
    pair.logs(1, "an earlier agent has answered this", 1).await;
    let recalled = pair.ask(1, "RECALL").await;
    assert!(recalled.contains("4711"), "{recalled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_goes_on_with_a_conversation_that_it_began_on_another_host() {
    let api = MessagesApi::start();
    let mut pair = Pair::new(&real(&api)).await;
    let told = ["one fish", "two fish", "red fish", "blue fish", "old fish", "new fish"];
    // To the other host and back, to a process that waits and to one that was left behind; and again after a restart.
    for (number, (host, text)) in [0, 0, 1, 1, 0, 1].into_iter().zip(told).enumerate() {
        if number == 5 {
            for host in &mut pair.hosts {
                host.end(Signal::TERM).await;
                host.start().await;
            }
        }
        pair.ask(host, text).await;
        let requests = api.requests();
        assert_eq!(requests.len(), number + 1, "every message is answered once");
        let heard = requests.last().unwrap().user_texts();
        let heard: Vec<_> =
            told.iter().filter(|text| heard.iter().any(|heard| heard.contains(**text))).collect();
        assert_eq!(heard, told[..=number].iter().collect::<Vec<_>>(), "host {host} knows all that was said");
    }
    pair.logs(0, "was laid down", 1).await;
    pair.logs(1, "was laid down", 2).await;
    for host in [0, 1] {
        assert_eq!(pair.transcripts(host).len(), 1, "the CLI goes on in the file that was laid down");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_goes_on_with_what_another_host_answered_after_a_move_back_to_a_file() {
    let api = MessagesApi::start();
    let mut pair = Pair::new(&real(&api)).await;
    pair.ask(0, "one fish").await;
    pair.ask(1, "two fish").await;
    pair.end().await;
    let copy = pair.copy_to_a_file();
    pair.hosts[0].hearth(&copy.each_ref().map(String::as_str)).await;
    pair.go_back_to_the_file().await;
    pair.hosts[0].say("red fish").await;
    pair.hosts[0].answered(3).await;
    let requests = api.requests();
    let heard = requests.last().unwrap().user_texts();
    for text in ["one fish", "two fish", "red fish"] {
        assert!(heard.iter().any(|heard| heard.contains(text)), "{text} is not in {heard:?}");
    }
}

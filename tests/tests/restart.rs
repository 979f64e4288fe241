//! Restarts that Campfire does not notice, and a store that can't be written.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    process::Stdio,
    time::Duration,
};

use hearth::store::{SqliteStore, Store};
use hearth_tests::{
    outside::{Outside, SURVIVE},
    world::PATIENCE,
};
use rustix::process::{Signal, kill_process};

/// Passes its standard input on as systemd does: as file descriptor 3, named by two variables.
const PASS: [&str; 4] =
    ["sh", "-c", "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"", "pass"];
fn input(socket: impl Into<OwnedFd>) -> Stdio {
    Stdio::from(socket.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_during_a_restart_waits_for_the_next_host() {
    let mut outside = Outside::new("").await;
    outside.end(Signal::TERM).await;
    let socket = TcpListener::bind(outside.listen).unwrap();
    outside.start_by(&PASS, input(socket.try_clone().unwrap())).await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    for restart in ["first", "second"] {
        assert!(outside.end(Signal::TERM).await.success());
        let text = format!("what is my name? ({restart})");
        let waiting = outside.playground.say(outside.playground.you(), outside.room, &text).unwrap();
        outside.start_by(&PASS, input(socket.try_clone().unwrap())).await;
        let delivered =
            outside.playground.wait_for_delivery(|delivery| delivery.message == waiting, PATIENCE).await;
        assert_eq!(delivered.unwrap().status, Some(204), "{restart}");
    }
    outside.end(Signal::TERM).await;
    drop(socket);
    // What another test starts just now has it open until it is the program it is to be.
    let closed = async {
        while TcpStream::connect(outside.listen).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("no process holds the socket any more");
    outside.start().await;
    outside.hear("Your name is Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_while_turns_may_end_is_taken_and_answered_by_the_next_host() {
    let mut outside = Outside::new("shutdown-grace = \"60s\"").await;
    let notices = outside.folder().join("notices");
    let manager = tokio::net::UnixDatagram::bind(&notices).unwrap();
    outside.end(Signal::TERM).await;
    let variable = format!("NOTIFY_SOCKET={}", notices.display());
    outside.start_by(&["env", &variable], Stdio::null()).await;
    assert_eq!(notice(&manager).await, "READY=1");

    outside.ask("demo:slow=10000 patience").await;
    kill_process(outside.process(), Signal::TERM).unwrap();
    assert_eq!(notice(&manager).await, "STOPPING=1");
    outside.say("my name is Zelda").await;
    outside.ended().await;
    assert_eq!(outside.answers().len(), 1, "{:?}", outside.answers());
    outside.start().await;
    outside.hear("Zelda").await;
}

async fn notice(manager: &tokio::net::UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let length = tokio::time::timeout(PATIENCE, manager.recv(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_a_wrong_kind_is_refused_with_the_line_to_write() {
    let mut outside = Outside::new("").await;
    outside.end(Signal::TERM).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let sockets: [OwnedFd; 5] = [
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        UnixListener::bind(outside.folder().join("unix")).unwrap().into(),
        UnixDatagram::unbound().unwrap().into(),
        connection.into(),
        std::fs::File::open("/dev/null").unwrap().into(),
    ];
    for socket in sockets {
        let output = outside.run_by(&PASS, &["run"], Stdio::from(socket)).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("LISTEN_FDS") && said.contains("ListenStream="), "{said}");
    }
    let two = ["sh", "-c", "export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$@\"", "pass"];
    let output = outside.run_by(&two, &["run"], Stdio::null()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("2 sockets were passed"), "{said}");
    // They are for another process.
    let other = ["sh", "-c", "export LISTEN_FDS=2 LISTEN_PID=1; exec \"$@\"", "pass"];
    outside.start_by(&other, Stdio::null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_and_the_host_recovers_with_it() {
    let mut outside = Outside::new("").await;
    outside.end(Signal::TERM).await;
    outside.start_by(&SURVIVE, Stdio::null()).await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    for round in 1..=2 {
        outside.fill_disk(true);
        for number in 1..=3 {
            let text = format!("refused {round}.{number}");
            assert_eq!(outside.status_of(&text).await, Some(503), "{text}");
        }
        outside.fill_disk(false);
        outside.say(&format!("demo:slow=1 round {round}")).await;
        outside.hear(&format!("round {round}")).await;
        // What was refused is found in the room.
        outside.hear(&format!("refused {round}.3")).await;
    }
    let answers = outside.answers();
    assert_eq!(answers.len(), 9, "{answers:?}");
    for text in ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"] {
        let count = answers.iter().filter(|answer| answer.contains(&format!("refused {text}"))).count();
        assert_eq!(count, 1, "{text}: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_full_disk_does_not_take_is_kept_until_it_does() {
    let mut outside = Outside::new("").await;
    outside.end(Signal::TERM).await;
    outside.start_by(&SURVIVE, Stdio::null()).await;
    outside.ask("demo:slow=10000 patience").await;
    // One that starts on a full disk can't write its answer down.
    outside.agent_runs().await;
    outside.fill_disk(true);
    outside.agents_answered(1).await;
    assert!(outside.answers().is_empty(), "what is not recorded is not sent");
    outside.fill_disk(false);
    outside.hear("patience").await;
    assert!(outside.end(Signal::TERM).await.success());
    assert_eq!(outside.answers().len(), 1, "{:?}", outside.answers());
    let store = SqliteStore::open(&outside.folder().join(".hearth/hearth.db")).unwrap();
    let journal = store.journal(None, 10).await.unwrap();
    assert_eq!((journal.len(), journal[0].attempt), (1, 1), "the agent was asked once: {journal:?}");
}

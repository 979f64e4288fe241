//! Plugins that misbehave: the room gets one short sentence, the log the cause, and the other bots notice nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    convert::Infallible,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use axum::{Router, body::Body, extract::Path, response::Redirect, routing::get};
use futures_util::stream;
use hearth::{id::RoomId, plugin::LoadError, store::Store as _};
use hearth_tests::{
    binary,
    crooked::{CLEAN, Crooked, described},
    log,
    workbench::Workbench,
    world::World,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Whom to tell what, and what the journal's cause then has in it: the setting, if it is a limit. The hostile bot, the roomy one
/// and the hasty one are the same guest, which has more memory in the second and less time in the third.
const MISDEEDS: [(&str, &str, &str); 12] = [
    ("hostile", "trap", "unreachable"),
    ("hostile", "trap later", "unreachable"),
    ("hostile", "recurse", "call stack exhausted"),
    ("hasty", "loop", "`compute` in [bots.hasty.limits]"),
    ("hostile", "memory", "`memory` in [bots.hostile.limits]"),
    ("hostile", "host calls", "`host-calls` in [bots.hostile.limits]"),
    ("hostile", "refuse", "secret-looking-cause"),
    ("hostile", "many", "33 parts"),
    ("hostile", "huge", "a text of 307200 bytes"),
    ("hostile", "nothing", "an empty prompt"),
    ("roomy", "huger", "a text of 104857600 bytes"),
    ("tables", "hello", "`tables` in [bots.tables.limits]"),
];

/// The hostile bot, with these lines in its table, and one beside it.
fn bots(more: &str) -> String {
    format!(
        "[bots.hostile]\nplugin = '{}'\n{more}\n[bots.echo]\nplugin = \"echo\"\n",
        binary::guest("hostile").display()
    )
}

/// Nobody else notices anything.
async fn echo_answers(world: &World) {
    assert_eq!(world.ask(world.room("echo"), "still there?").await.plain, "still there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_is_one_sentence_in_the_room_and_a_cause_in_the_journal() {
    let folder = TempDir::new().unwrap();
    let tables = Crooked {
        module: "(table 1 funcref)",
        on_message: "(loop
              (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))
            unreachable"
            .to_owned(),
        ..Crooked::default()
    };
    let hostile = binary::guest("hostile");
    // Only the hasty bot is to run out of time, on whatever machine.
    let mut world = World::new(&format!(
        "{}[bots.roomy]\nplugin = '{}'\nlimits = {{ memory = \"256MiB\", compute = \"20s\" }}\n\
         [bots.hasty]\nplugin = '{}'\nlimits = {{ compute = \"300ms\" }}\n\
         [bots.tables]\nplugin = '{}'\nlimits = {{ compute = \"20s\" }}\n",
        bots("limits = { memory = \"16MiB\", compute = \"20s\" }"),
        hostile.display(),
        hostile.display(),
        tables.write(folder.path(), "tables").display()
    ))
    .await;
    for (bot, misdeed, _) in MISDEEDS {
        let answer = world.ask(world.room(bot), misdeed).await;
        assert!(answer.plain.starts_with("Something is wrong with my code"), "{misdeed}: {}", answer.plain);
        assert!(!answer.plain.contains("secret-looking-cause"), "{}", answer.plain);
        echo_answers(&world).await;
    }
    for bot in ["hostile", "roomy"] {
        assert_eq!(world.ask(world.room(bot), "well").await.plain, "well behaved");
    }
    world.drained().await;
    for bot in ["hostile", "roomy", "hasty", "tables"] {
        let misdeeds = MISDEEDS.iter().filter(|(whose, ..)| *whose == bot).count();
        let answers = misdeeds + usize::from(["hostile", "roomy"].contains(&bot));
        assert_eq!(world.answers(world.room(bot)).len(), answers, "one sentence each");
    }

    world.stop().await;
    let store = world.store().await;
    for bot in ["hostile", "roomy", "hasty", "tables"] {
        let journal = store.journal(Some(&bot.into()), 1000).await.unwrap();
        let misdeeds = MISDEEDS.iter().filter(|(whose, ..)| *whose == bot);
        for (row, (_, misdeed, cause)) in journal.iter().rev().zip(misdeeds) {
            assert_eq!(row.outcome, "plugin-failed", "{misdeed}");
            let told = row.details["cause"].as_str().unwrap();
            assert!(told.contains(cause), "{misdeed}: {told}");
            assert_eq!(row.details["plugin"]["name"], if bot == "tables" { "crooked" } else { "hostile" });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_the_log_is_cut_and_counted_and_the_bot_still_answers() {
    log::keep();
    let world = World::new(&bots("limits = { log-lines = 7 }")).await;
    assert_eq!(world.ask(world.room("hostile"), "log").await.plain, "logged");
    echo_answers(&world).await;
    let floods = |words| log::lines_with(words).into_iter().filter(|line| line.contains("bot=hostile"));
    assert_eq!(floods("line ").count(), 7);
    let dropped: Vec<_> = floods("dropped=493").collect();
    assert!(dropped.len() == 1 && dropped[0].contains("`log-lines`"), "{dropped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_not_granted_can_be_had() {
    let world = World::new(&bots("grants = [\"kv\", \"campfire\", \"schedule\", \"clock\"]")).await;
    // The bot grants it all, and the plugin did not ask for it.
    let answer = world.ask(world.room("hostile"), "grab").await.plain;
    assert_eq!(answer, "kv: denied; campfire: denied; schedule: denied; secret: denied; clock: denied");
}

// === Requests ===

/// A name of this machine that is not `localhost`, and leads to an address that is not public.
fn inside_name() -> String {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    let inside = hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        let is_inside = match address {
            IpAddr::V4(address) => address.is_loopback() || address.is_private(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
        };
        let mut names = words.filter(|name| *name != "localhost" && !name.ends_with(".localhost"));
        if is_inside { names.next().map(str::to_owned) } else { None }
    });
    inside.expect("/etc/hosts has a name for this machine besides localhost, as systems are installed")
}

/// A server that the bot may reach. It drips, and it redirects to where the bot may not go: `/to/<authority>`.
async fn server() -> (SocketAddr, JoinHandle<()>) {
    async fn drip() -> Body {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, Infallible>("x"), ()))
        });
        Body::from_stream(drops)
    }
    async fn redirect(Path(authority): Path<String>) -> Redirect {
        Redirect::temporary(&format!("http://{authority}/secrets"))
    }
    let router = Router::new().route("/drip", get(drip)).route("/to/{authority}", get(redirect));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_where_a_bot_may_not_go_reach_nobody_and_the_plugin_is_told_why() {
    let (peer, server) = server().await;
    // Whoever connects to it got through.
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let name = inside_name();
    let world = World::new(&bots(&format!(
        "[bots.hostile.http.\"{peer}\"]\nprivate = true\nplain = true\n\
         [bots.hostile.http.\"{name}:{port}\"]\nplain = true\n"
    )))
    .await;
    let room = world.room("hostile");
    let (metadata, local) = ("169.254.169.254", format!("localhost:{port}"));
    let unlisted = |name: &str| format!("`{name}` is not among the servers");
    let private = format!("`{name}:{port}` has ");
    let denied = "HttpErrorKind::Denied, sent Sent::No: ";
    let denied_behind = "HttpErrorKind::Denied, sent Sent::Maybe: after a redirect: ";
    let late = "HttpErrorKind::TimedOut, sent Sent::Maybe: ";
    for (url, kind, told) in [
        (format!("http://{peer}/drip"), late, "it took longer than 500ms".to_owned()),
        (format!("http://{metadata}/latest/meta-data/"), denied, unlisted(metadata)),
        (format!("http://{local}/"), denied, unlisted(&local)),
        (format!("http://127.1:{port}/"), denied, unlisted(&format!("127.0.0.1:{port}"))),
        (format!("http://{name}:{port}/"), denied, private.clone()),
        (format!("http://{peer}/to/{metadata}"), denied_behind, unlisted(metadata)),
        (format!("http://{peer}/to/{local}"), denied_behind, unlisted(&local)),
        (format!("http://{peer}/to/{name}:{port}"), denied_behind, private),
    ] {
        let (answer, told) = (world.ask(room, &url).await.plain, format!("{kind}{told}"));
        assert!(answer.starts_with(&told), "{url}: {answer}\ninstead of {told}");
        echo_answers(&world).await;
    }
    assert_eq!(inside.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    server.abort();
}

// === Bots beside it ===

#[tokio::test(flavor = "multi_thread")]
async fn rooms_full_of_loops_do_not_hold_up_the_bot_beside_them() {
    // More of them than one bot may run at once.
    const LOOPS: usize = 20;
    let world = World::new(&bots("limits = { compute = \"60s\", call-time = \"60s\" }")).await;
    let bot = world.user("hostile");
    let mut rooms = Vec::new();
    for number in 0..LOOPS {
        let person = world.playground.add_person(&format!("Person {number}"));
        let room = world.playground.direct_room(person, bot).unwrap();
        world.say_as(person, room, "loop").await;
        rooms.push(room);
    }
    for _ in 0..5 {
        echo_answers(&world).await;
    }
    let answered = |room: &RoomId| world.playground.messages(*room).len() > 1;
    assert!(!rooms.iter().any(answered), "the loops ended before the other bot had answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_its_plugin_says_so_and_the_others_run() {
    let world =
        World::new("[bots.broken]\nplugin = \"no-such-plugin\"\n[bots.echo]\nplugin = \"echo\"\n").await;
    let answer = world.ask(world.room("broken"), "hello").await;
    assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    assert_eq!(world.ask(world.room("echo"), "hello").await.plain, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_cannot_describe_itself_says_so_and_the_others_run() {
    let folder = TempDir::new().unwrap();
    let looping = Crooked { describe: described("(loop (br 0))"), ..Crooked::default() };
    let looping = looping.write(folder.path(), "looping");
    let world = World::new(&format!(
        "[bots.looping]\nplugin = '{}'\n[bots.echo]\nplugin = \"echo\"\n",
        looping.display()
    ))
    .await;
    let answer = world.ask(world.room("looping"), "hello").await;
    assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    echo_answers(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_a_tool_schema_that_is_none_says_so_and_the_others_run() {
    log::keep();
    let world = World::new(&format!(
        "[bots.toolbox]\nplugin = '{}'\nsettings.tools = [{{ name = \"crooked\", description = \"x\", input-schema = '{}' }}]\n\
         [bots.echo]\nplugin = \"echo\"\n",
        binary::guest("toolbox").display(),
        r#"{"type": "object", "properties": 7}"#
    ))
    .await;
    let answer = world.ask(world.room("toolbox"), "hello").await;
    assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    echo_answers(&world).await;
    let logged = log::lines_with("can't be offered");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].contains("crooked") && logged[0].contains("no JSON Schema"), "{logged:?}");
}

// === Loading ===

/// Why the plugin at this path, or by this name, is refused.
async fn refused(plugin: &str, more: &str) -> LoadError {
    let loaded = Workbench::load(&format!("plugin = '{plugin}'\n{more}")).await;
    loaded.err().unwrap_or_else(|| panic!("{plugin} was loaded"))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_plugin_are_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let whole = std::fs::read(binary::repository().join("plugins/dist/echo.wasm")).unwrap();
    let half = &whole[..whole.len() / 2];
    // A component in which one export has another name.
    let incomplete = replaced(&whole, b"format-reply", b"format-rexly");
    let crowd = wat::parse_str(format!(
        "(component (core module $m) {})",
        "(core instance (instantiate $m))".repeat(65)
    ))
    .unwrap();
    let cases: [(&str, &[u8], &str); 7] = [
        ("incomplete.wasm", &incomplete, "does not fit the interface"),
        ("module.wasm", b"\0asm\x01\0\0\0", "hearth:bot/handler"),
        ("text.wasm", b"not wasm at all", "not WebAssembly"),
        ("empty.wasm", b"", "not WebAssembly"),
        ("half.wasm", half, "hearth build"),
        ("component.wasm", b"\0asm\x0d\0\x01\0", "hearth:bot/handler"),
        ("crowd.wasm", &crowd, "made of 65 core instances, and a plugin may have 64"),
    ];
    for (name, content, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = refused(path.to_str().unwrap(), "").await.to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let missing = refused(folder.path().join("none.wasm").to_str().unwrap(), "").await;
    assert!(matches!(missing, LoadError::Missing(_)), "{missing}");
}

/// `bytes` with every `from` made `to`, which is as long.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_owned();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&place| bytes[place..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Writes a number into the description: its name's length is at 68, the list of what it wants at 80 and 84, its schema's
/// presence, address and length at 88, 92 and 96.
fn says(numbers: &[(u32, u32)]) -> String {
    let stores =
        numbers.iter().map(|(at, number)| format!("(i32.store (i32.const {at}) (i32.const {number}))"));
    described(&stores.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_that_are_none_are_refused_with_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("traps", described("unreachable"), "unreachable"),
        ("loops", described("(loop (br 0))"), "computed for more than 5s"),
        ("recurses", described("(call $recurse)"), "call stack exhausted"),
        ("nameless", says(&[(68, 0)]), "its name is empty"),
        // Zeros are wants of `kv`.
        ("greedy", says(&[(80, CLEAN), (84, 17)]), "it asks for 17 capabilities"),
        ("grasping", says(&[(80, CLEAN), (84, 8_000_000)]), "handed the host a value"),
        // The name's bytes as a capability.
        ("inventive", says(&[(80, 16), (84, 1)]), "`describe` failed"),
        ("boundless", says(&[(68, 0x7fff_ffff)]), "`describe` failed"),
        (
            "wordy",
            says(&[(88, 1), (92, CLEAN), (96, 65_537)]),
            "the schema of its settings can't be used: it has 65537 bytes",
        ),
        (
            "vague",
            says(&[(88, 1), (92, 16), (96, 7)]),
            "the schema of its settings can't be used: it is no JSON",
        ),
    ];
    for (name, describe, expected) in cases {
        let pages = 4_000;
        let module = "(func $recurse (call $recurse))";
        let guest = Crooked { pages, module, describe, ..Crooked::default() };
        let error = refused(guest.write(folder.path(), name).to_str().unwrap(), "").await.to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("raise"), "no setting would help: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_are_refused_with_their_place() {
    let error = refused("assistant", "settings = { persona = 7 }").await.to_string();
    assert!(error.contains("[bots.x.settings]") && error.contains("/persona"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_not_granted_what_it_needs_is_refused_with_the_line_to_add() {
    let grants = "grants = [\"kv\"]";
    let error = refused(binary::guest("reminders").to_str().unwrap(), grants).await;
    assert!(matches!(&error, LoadError::NotGranted { bot, .. } if bot == "x"), "{error}");
    assert!(error.to_string().ends_with("write `grants = [\"kv\",\"schedule\"]` there"), "{error}");
}

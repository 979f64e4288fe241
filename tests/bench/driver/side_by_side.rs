//! What is measured for Hearth and the peer in one run, in turns.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::{
    Bench,
    bare::Bare,
    campfire::Campfire,
    figure::{Better, Figure, Side, milliseconds, quantile},
    hearth::{Cli, Disk, Hearth, Setup, asking},
    load::{Door, Writer},
    peer::Peer,
    process::Process,
};

/// Between two messages of one writer, so that a host is done with the one before: a person would wait longer.
pub(crate) const PAUSE: Duration = Duration::from_millis(60);
/// How many webhooks a second are acknowledged.
const RATE: u32 = 500;

fn setup<'a>(bench: &Bench, cli: Cli, disk: Disk, warm: usize) -> Setup<'a> {
    Setup { cli, disk, warm, bots: vec![asking(bench)] }
}

/// A room that nobody wrote in before.
pub(crate) fn fresh_room() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(100_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The answers' times of that many messages of a conversation that goes on, in milliseconds.
pub(crate) async fn conversation(writer: &mut Writer, messages: usize) -> Vec<f64> {
    writer.ask().await;
    let mut times = Vec::new();
    for _ in 0..messages {
        tokio::time::sleep(PAUSE).await;
        times.push(milliseconds(writer.ask().await.answered));
    }
    times
}

/// One message after the other, on the real CLI: cold, warm, the peer, and the CLI by itself.
pub(crate) async fn real_turns(bench: &mut Bench) {
    let cold = Hearth::start(bench, setup(bench, Cli::Real, Disk::Real, 0)).await;
    let warm = Hearth::start(bench, setup(bench, Cli::Real, Disk::Real, 8)).await;
    let peer = Peer::start(bench, Cli::Real).await;
    warm.writer(bench, fresh_room()).ask().await;
    let bare = Bare::as_in(bench, &warm);

    let title = "A message answered, real CLI, a process started for it";
    let mut cold_turn = Figure::new(title, "ms", Better::Lower);
    let title = "The next message of a conversation, real CLI";
    let mut warm_turn = Figure::new(title, "ms", Better::Lower).goal(45.0);
    let messages = if bench.arguments.quick { 4 } else { 8 };
    for _ in 0..bench.rounds(5) {
        bench.noise.sample();
        let session = bare.begin().await;
        let mut alone = Vec::new();
        for _ in 0..messages {
            tokio::time::sleep(PAUSE).await;
            alone.push(milliseconds(bare.turn(&session).await));
        }
        let by_cold = conversation(&mut cold.writer(bench, fresh_room()), messages).await;
        let by_peer = conversation(&mut peer.writer(bench, fresh_room()), messages).await;
        let by_warm = conversation(&mut warm.writer(bench, fresh_room()), 2 * messages).await;
        cold_turn.add(Side::Bare, quantile(&alone, 0.5));
        cold_turn.add(Side::Hearth, quantile(&by_cold, 0.5));
        cold_turn.add(Side::Peer, quantile(&by_peer, 0.5));
        warm_turn.add(Side::Peer, quantile(&by_peer, 0.5));
        warm_turn.add(Side::Hearth, quantile(&by_warm, 0.5));
    }
    // The goal is what the CLI takes by itself and 5 ms.
    let goal = cold_turn.of(Side::Bare).map(|bare| bare.median + 5.0);
    cold_turn.goal = goal;
    bench.report.add(cold_turn);
    bench.report.add(warm_turn);
}

/// One message after the other, on a CLI that answers at once: what is left is the host.
pub(crate) async fn stub_turns(bench: &mut Bench) {
    let disk = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Real, 8)).await;
    let memory = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Memory, 8)).await;
    let cold = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Memory, 0)).await;
    let peer = Peer::start(bench, Cli::Stub).await;

    let figure = |title| Figure::new(title, "ms", Better::Lower);
    let mut durable = figure("A message answered, stub CLI, durably on this disk").goal(2.0);
    let mut in_memory = figure("… with Hearth's data in memory, where a flush costs nothing").goal(2.0);
    let mut started = figure("… and with a process started for it");
    let mut cpu = figure("CPU of the host for it, agents left out");
    let messages = if bench.arguments.quick { 15 } else { 40 };
    for _ in 0..bench.rounds(5) {
        bench.noise.sample();
        for (figure, hearth) in [(&mut durable, &disk), (&mut in_memory, &memory), (&mut started, &cold)] {
            let times = conversation(&mut hearth.writer(bench, fresh_room()), messages).await;
            figure.add(Side::Hearth, quantile(&times, 0.5));
        }
        let times = conversation(&mut peer.writer(bench, fresh_room()), messages).await;
        for figure in [&mut durable, &mut in_memory, &mut started] {
            figure.add(Side::Peer, quantile(&times, 0.5));
        }
        for (side, process, door) in
            [(Side::Hearth, &disk.process, &disk.doors[0]), (Side::Peer, &peer.process, &peer.door)]
        {
            cpu.add(side, cpu_of_turns(&bench.campfire, process, door, 8 * messages).await);
        }
    }
    for figure in [durable, in_memory, started, cpu] {
        bench.report.add(figure);
    }
}

/// Milliseconds of CPU of a host for each message, without pauses between them.
async fn cpu_of_turns(campfire: &Campfire, process: &Process, door: &Door, messages: usize) -> f64 {
    let mut writer = Writer::new(campfire, door, fresh_room());
    writer.ask().await;
    let before = process.usage().cpu;
    for _ in 0..messages {
        writer.ask().await;
    }
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let messages = messages as f64;
    1e3 * (process.usage().cpu - before) / messages
}

/// 8 and 32 rooms at once on the stub.
pub(crate) async fn stub_rooms(bench: &mut Bench) {
    let seconds = if bench.arguments.quick { 2 } else { 4 };
    for rooms in [8, 32] {
        let disk = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Real, 32)).await;
        let memory = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Memory, 32)).await;
        let peer = Peer::start(bench, Cli::Stub).await;
        let title = format!("{rooms} rooms at once, stub CLI, durably on this disk");
        let mut durable = Figure::new(title, "turns/s", Better::Higher).goal(600.0);
        let title = format!("{rooms} rooms at once, stub CLI, Hearth's data in memory");
        let mut in_memory = Figure::new(title, "turns/s", Better::Higher).goal(600.0);
        for _ in 0..bench.rounds(3) {
            bench.noise.sample();
            let span = Duration::from_secs(seconds);
            let rate = at_once(&bench.campfire, &disk.doors[0], rooms, span).await;
            durable.add(Side::Hearth, rate);
            in_memory.add(Side::Hearth, at_once(&bench.campfire, &memory.doors[0], rooms, span).await);
            let rate = at_once(&bench.campfire, &peer.door, rooms, span).await;
            durable.add(Side::Peer, rate);
            in_memory.add(Side::Peer, rate);
        }
        bench.report.add(durable);
        bench.report.add(in_memory);
    }
}

/// 8 and 32 rooms at once on the real CLI, and the memory that takes.
pub(crate) async fn real_rooms(bench: &mut Bench) {
    let counts: &[u32] = if bench.arguments.quick { &[8] } else { &[8, 32] };
    for &rooms in counts {
        let warm = Hearth::start(bench, setup(bench, Cli::Real, Disk::Real, 32)).await;
        let cold = Hearth::start(bench, setup(bench, Cli::Real, Disk::Real, 0)).await;
        let peer = Peer::start(bench, Cli::Real).await;
        let mut idle = Figure::new("Memory of the host, idle", "MB", Better::Lower);
        idle.add(Side::Hearth, warm.process.usage().memory / 1e6);
        idle.add(Side::Peer, peer.process.usage().memory / 1e6);

        let title = format!("{rooms} rooms at once, real CLI");
        let mut turns = Figure::new(title, "turns/s", Better::Higher);
        if rooms == 8 {
            turns.goal = Some(30.0);
        }
        let title = format!("{rooms} rooms at once, real CLI, a process started for each message");
        let mut started = Figure::new(title, "turns/s", Better::Higher);
        let title = format!("Memory of the host with {rooms} rooms, agents left out");
        let mut memory = Figure::new(title, "MB", Better::Lower);
        let title = format!("Memory of the host and its agents after {rooms} rooms");
        let mut together = Figure::new(title, "MB", Better::Lower);
        let span = Duration::from_secs(if bench.arguments.quick { 4 } else { 8 });
        for _ in 0..if bench.arguments.quick { 1 } else { 2 } {
            bench.noise.sample();
            turns.add(Side::Hearth, at_once(&bench.campfire, &warm.doors[0], rooms, span).await);
            memory.add(Side::Hearth, warm.process.usage().memory / 1e6);
            together.add(Side::Hearth, warm.process.memory_with_started() / 1e6);
            let by_peer = at_once(&bench.campfire, &peer.door, rooms, span).await;
            turns.add(Side::Peer, by_peer);
            memory.add(Side::Peer, peer.process.usage().memory / 1e6);
            together.add(Side::Peer, peer.process.memory_with_started() / 1e6);
            if rooms == 8 {
                started.add(Side::Hearth, at_once(&bench.campfire, &cold.doors[0], rooms, span).await);
                started.add(Side::Peer, by_peer);
            }
        }
        if rooms == 8 {
            let bare = Bare::as_in(bench, &warm);
            // What the machine gives at best: as many at once as there are cores, and twice as many.
            for at_once in [2, 4] {
                started.add(Side::Bare, bare_at_once(&bare, at_once, span).await);
            }
            bench.report.add(idle);
            bench.report.add(started);
        }
        bench.report.add(turns);
        bench.report.add(memory);
        bench.report.add(together);
    }
}

async fn bare_at_once(bare: &Bare, count: usize, span: Duration) -> f64 {
    let sessions = join_all((0..count).map(|_| bare.begin())).await;
    let began = Instant::now();
    let runs = sessions.iter().map(async |session| {
        let mut turns = 0_u32;
        while began.elapsed() < span {
            bare.turn(session).await;
            turns += 1;
        }
        turns
    });
    let turns: u32 = join_all(runs).await.into_iter().sum();
    f64::from(turns) / began.elapsed().as_secs_f64()
}

/// Messages answered a second, with that many rooms each of which writes again once it is answered. Each has been answered
/// before.
pub(crate) async fn at_once(campfire: &Campfire, door: &Door, rooms: u32, span: Duration) -> f64 {
    let mut writers: Vec<_> = (0..rooms).map(|_| Writer::new(campfire, door, fresh_room())).collect();
    join_all(writers.iter_mut().map(Writer::ask)).await;
    let began = Instant::now();
    // Each answers what it has begun, so that nothing of this round is left for the next.
    let runs = writers.iter_mut().map(async |writer| {
        let mut answers = 0_u32;
        while began.elapsed() < span {
            writer.ask().await;
            answers += 1;
        }
        answers
    });
    let answers: u32 = join_all(runs).await.into_iter().sum();
    f64::from(answers) / began.elapsed().as_secs_f64()
}

/// How soon webhooks are acknowledged that come at a fixed rate, each answered by the stub.
pub(crate) async fn acknowledgements(bench: &mut Bench) {
    let figure = |title: &str| Figure::new(title, "ms", Better::Lower);
    let mut middle = figure(&format!("Acknowledged at {RATE} webhooks/s, p50"));
    let mut late = figure(&format!("Acknowledged at {RATE} webhooks/s, p99")).goal(10.0);
    let mut answered =
        Figure::new("… of which are answered when the last is acknowledged", "%", Better::Higher);
    let mut refused = Figure::new("… and which are not taken", "%", Better::Lower);
    let span = Duration::from_secs(if bench.arguments.quick { 2 } else { 5 });
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        // One by one, and anew in each round: what one has not answered keeps it busy for long.
        let hearth = Hearth::start(bench, setup(bench, Cli::Stub, Disk::Real, 32)).await;
        let by_hearth = flood(&bench.campfire, &hearth.doors[0], span).await;
        drop(hearth);
        let peer = Peer::start(bench, Cli::Stub).await;
        let by_peer = flood(&bench.campfire, &peer.door, span).await;
        drop(peer);
        for (side, flood) in [(Side::Hearth, by_hearth), (Side::Peer, by_peer)] {
            middle.add(side, quantile(&flood.times, 0.5));
            late.add(side, quantile(&flood.times, 0.99));
            answered.add(side, 100.0 * flood.answers);
            refused.add(side, 100.0 * flood.refused);
        }
    }
    for figure in [middle, late, answered, refused] {
        bench.report.add(figure);
    }
}

struct Flood {
    /// From the intended time of each webhook to its acknowledgement, in milliseconds.
    times: Vec<f64>,
    /// The share of the messages that were answered.
    answers: f64,
    /// The share that was not acknowledged, or not with 204.
    refused: f64,
}

/// Webhooks at their times, whether those before are acknowledged or not, over 32 rooms.
async fn flood(campfire: &Campfire, door: &Door, span: Duration) -> Flood {
    const ROOMS: u32 = 32;
    let rooms: Vec<_> = (0..ROOMS).map(|_| fresh_room()).collect();
    for &room in &rooms {
        Writer::new(campfire, door, room).ask().await;
    }
    let posts = campfire.posts();
    let began = tokio::time::Instant::now();
    let webhooks = RATE * u32::try_from(span.as_secs()).expect("it is short");
    let mut sent = Vec::new();
    for (number, &room) in (0..webhooks).zip(rooms.iter().cycle()) {
        let intended = began + Duration::from_secs(1) * number / RATE;
        tokio::time::sleep_until(intended).await;
        let door = door.clone();
        sent.push(tokio::spawn(async move {
            let is_taken = door.send(room, "hello").await.is_ok_and(|status| status == 204);
            (milliseconds(intended.elapsed()), is_taken)
        }));
    }
    let ended: Vec<_> = join_all(sent).await.into_iter().map(|ended| ended.expect("it ends")).collect();
    let times = ended.iter().map(|(time, _)| *time).collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let share = |count: usize| count as f64 / f64::from(webhooks);
    let answers = share(usize::try_from(campfire.posts() - posts).expect("there are few"));
    Flood { times, answers, refused: share(ended.iter().filter(|(_, is_taken)| !is_taken).count()) }
}

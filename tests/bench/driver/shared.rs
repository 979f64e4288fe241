//! Hosts that share a store in a Redis: what it adds to a message, what several hosts do with it, and what it takes of the
//! Redis. README's "Capacity" reckons with these.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hearth_tests::redis_server::{PASSWORD, RedisServer};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::{
    Bench,
    capacity::{Measured, middle},
    figure::{Better, Figure, Side, milliseconds, quantile},
    hearth::{Cli, Disk, Hearth, Setup, asking, folder_on},
    load::Writer,
    side_by_side::{PAUSE, at_once, conversation, fresh_room},
};

/// How many hosts there are at most.
const HOSTS: u32 = 3;
/// Turns that one of them runs at once, and how long the agent takes for one: not the machine's cores are measured.
const IN_FLIGHT: u32 = 8;
const AGENT: Duration = Duration::from_millis(250);
/// What a host comes to of what that would be at best.
const NEARLY: f64 = 0.9;
/// Rooms that wait for their turn, and for how long that is looked at.
const WAITING: u32 = 500;
const LOOKED_AT: Duration = Duration::from_secs(8);
/// Messages of a conversation of the real CLI.
const CONVERSATION: u32 = 4;

/// A Redis that flushes each write, as one does that loses nothing.
struct Redis {
    server: RedisServer,
    connection: MultiplexedConnection,
    _folder: TempDir,
}

/// What a Redis has done so far.
struct Done {
    /// Scripts that were called; each is a round trip of a host.
    scripts: f64,
    /// Commands, those of scripts too.
    commands: f64,
    /// CPU of its one thread that does all this, in seconds.
    cpu: f64,
    /// Bytes that came and went.
    traffic: f64,
    /// Bytes of its append-only file, which only grows for as short a time as this.
    file: f64,
    /// Bytes of its memory.
    memory: f64,
}

/// All of it.
pub(crate) async fn hosts_on_redis(bench: &mut Bench) {
    let mut redis = Redis::start(bench).await;
    added(bench, &redis).await;
    elsewhere(bench, &redis).await;
    more_hosts(bench, &redis).await;
    let [_, _, message, traffic, _, kept] = by_message(bench, &mut redis).await;
    let (room, agent) = conversations(bench, &mut redis).await;
    let (host, leases) = waiting(bench, &mut redis).await;
    bench.report.capacity = Some(Measured { message, traffic, kept, room, host, leases, agent });
}

impl Redis {
    async fn start(bench: &Bench) -> Self {
        let folder = folder_on(bench, Disk::Real);
        let server = RedisServer::start_flushing(folder.path(), "always");
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port());
        let client = redis::Client::open(url).expect("it is a URL");
        let connection = client.get_multiplexed_async_connection().await.expect("it takes connections");
        Self { server, connection, _folder: folder }
    }

    /// A host whose store this is, with these lines of `[host]`. Those with one name share it.
    async fn host(&self, bench: &Bench, name: &str, cli: Cli, keys: &str) -> Hearth {
        let setup = Setup { cli, disk: Disk::Real, warm: 64, bots: vec![asking(bench)] };
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}?prefix={name}", self.server.port());
        Hearth::start_with(bench, setup, &format!("{keys}\n[store]\nurl = \"{url}\"")).await
    }

    /// Milliseconds of CPU of its main thread each second, from now on for some time.
    async fn busy(&mut self) -> f64 {
        let before = self.done().await;
        tokio::time::sleep(LOOKED_AT).await;
        1e3 * (self.done().await.cpu - before.cpu) / LOOKED_AT.as_secs_f64()
    }

    async fn done(&mut self) -> Done {
        let mut info = redis::cmd("INFO");
        let info: String =
            info.arg("everything").query_async(&mut self.connection).await.expect("it answers");
        let fields: HashMap<_, _> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let field =
            |name: &str| fields.get(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
        let calls = |value: &str| value.strip_prefix("calls=")?.split(',').next()?.parse::<f64>().ok();
        let commands = fields.iter().filter(|(name, _)| name.starts_with("cmdstat_"));
        Done {
            scripts: fields.get("cmdstat_evalsha").and_then(|value| calls(value)).unwrap_or_default(),
            commands: commands.filter_map(|(_, value)| calls(value)).sum(),
            cpu: field("used_cpu_user_main_thread") + field("used_cpu_sys_main_thread"),
            traffic: field("total_net_input_bytes") + field("total_net_output_bytes"),
            file: field("aof_current_size"),
            memory: field("used_memory"),
        }
    }
}

/// A message answered, beside a host whose store is a file.
async fn added(bench: &mut Bench, redis: &Redis) {
    let setup = Setup { cli: Cli::Stub, disk: Disk::Real, warm: 64, bots: vec![asking(bench)] };
    let file = Hearth::start(bench, setup).await;
    let shared = redis.host(bench, "added", Cli::Stub, "").await;
    let title = "A message answered, stub CLI, with the store in a Redis that flushes each write";
    let mut answered = Figure::new(title, "ms", Better::Lower);
    let mut more = Figure::new("… which is more than with the store in a file", "ms", Better::Lower);
    let title = "32 rooms at once, stub CLI, with the store in a Redis";
    let mut rate = Figure::new(title, "turns/s", Better::Higher);
    let messages = if bench.arguments.quick { 15 } else { 40 };
    for _ in 0..bench.rounds(5) {
        bench.noise.sample();
        let by_file = conversation(&mut file.writer(bench, fresh_room()), messages).await;
        let by_redis = conversation(&mut shared.writer(bench, fresh_room()), messages).await;
        answered.add(Side::Hearth, quantile(&by_redis, 0.5));
        more.add(Side::Hearth, quantile(&by_redis, 0.5) - quantile(&by_file, 0.5));
    }
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        rate.add(Side::Hearth, at_once(&bench.campfire, &shared.doors[0], 32, span(bench)).await);
    }
    for figure in [answered, more, rate] {
        bench.report.add(figure);
    }
}

/// A message of a conversation that is at home on one host, taken by another.
async fn elsewhere(bench: &mut Bench, redis: &Redis) {
    let home = redis.host(bench, "elsewhere", Cli::Stub, "").await;
    let other = redis.host(bench, "elsewhere", Cli::Stub, "").await;
    let title = "Added to a message that another host takes than the one that has its conversation";
    let mut more = Figure::new(title, "ms", Better::Lower).goal(5.0);
    let mut at_home = Figure::new("… and is answered by the one that has it", "%", Better::Higher);
    let messages = if bench.arguments.quick { 15 } else { 40 };
    for _ in 0..bench.rounds(5) {
        bench.noise.sample();
        let doors = vec![home.doors[0].clone(), other.doors[0].clone()];
        let mut writer = Writer::across(&bench.campfire, doors, fresh_room());
        // The first message makes it the home, the second only puts the doors in turn.
        writer.ask().await;
        writer.ask().await;
        // A turn is counted a little after its answer is there.
        tokio::time::sleep(PAUSE).await;
        let before = home.counter("hearth_turns_total", "").await;
        let (mut taken_at_home, mut taken_elsewhere) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            for times in [&mut taken_at_home, &mut taken_elsewhere] {
                tokio::time::sleep(PAUSE).await;
                times.push(milliseconds(writer.ask().await.answered));
            }
        }
        tokio::time::sleep(PAUSE).await;
        let answered = home.counter("hearth_turns_total", "").await - before;
        more.add(Side::Hearth, quantile(&taken_elsewhere, 0.5) - quantile(&taken_at_home, 0.5));
        at_home.add(Side::Hearth, 100.0 * answered / f64::from(2 * messages));
    }
    bench.report.add(more);
    bench.report.add(at_home);
}

/// Turns a second with one host after the other joining.
async fn more_hosts(bench: &mut Bench, redis: &Redis) {
    let keys = format!("turns-in-flight = {IN_FLIGHT}");
    for count in 1..=HOSTS {
        let name = format!("hosts-{count}");
        let hosts = join_all((0..count).map(|_| redis.host(bench, &name, Cli::Stub, &keys))).await;
        let title = format!(
            "{count} host{} on a Redis, {IN_FLIGHT} turns at once on each, an agent that takes {} ms",
            if count == 1 { "" } else { "s" },
            AGENT.as_millis()
        );
        let at_best = f64::from(count * IN_FLIGHT) / AGENT.as_secs_f64();
        let mut rate = Figure::new(title, "turns/s", Better::Higher).goal(NEARLY * at_best);
        for _ in 0..bench.rounds(3) {
            bench.noise.sample();
            rate.add(Side::Hearth, across(bench, &hosts, 3 * HOSTS * IN_FLIGHT, span(bench)).await);
        }
        bench.report.add(rate);
    }
}

/// Messages answered a second, with that many rooms each of which writes again once it is answered, to the hosts in turn.
async fn across(bench: &Bench, hosts: &[Hearth], rooms: u32, span: Duration) -> f64 {
    let words = format!("AFTER={}", AGENT.as_millis());
    let writers = (0..rooms).map(|room| {
        let mut doors: Vec<_> = hosts.iter().map(|host| host.doors[0].clone()).collect();
        doors.rotate_left(room as usize % hosts.len());
        Writer::across(&bench.campfire, doors, fresh_room())
    });
    let mut writers: Vec<_> = writers.collect();
    join_all(writers.iter_mut().map(Writer::ask)).await;
    let began = Instant::now();
    let runs = writers.iter_mut().map(async |writer| {
        let mut answers = 0_u32;
        loop {
            writer.ask_with(&words).await;
            // What is answered later is left out: the rooms that are through leave places free.
            if began.elapsed() > span {
                return answers;
            }
            answers += 1;
        }
    });
    let answers: u32 = join_all(runs).await.into_iter().sum();
    f64::from(answers) / span.as_secs_f64()
}

/// What a message takes of the Redis; answers the middle of each figure.
async fn by_message(bench: &mut Bench, redis: &mut Redis) -> [f64; 6] {
    let stub = redis.host(bench, "taken", Cli::Stub, "").await;
    let rooms: Vec<_> = (0..16).map(|_| fresh_room()).collect();
    write(bench, &stub, &rooms, 4).await;
    let titles = [
        ("Scripts of Redis called for each message answered, stub CLI", ""),
        ("… commands, those of scripts too", ""),
        ("… CPU of its main thread", "ms"),
        ("… bytes to and from it", "KB"),
        ("… bytes of its append-only file", "KB"),
        ("… and bytes of its memory, for as long as the message is kept", "KB"),
    ];
    let mut figures = titles.map(|(title, unit)| Figure::new(title, unit, Better::Lower));
    let messages = if bench.arguments.quick { 16 } else { 64 };
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        let before = redis.done().await;
        let turns = write(bench, &stub, &rooms, messages).await;
        let after = redis.done().await;
        for (figure, taken) in figures.iter_mut().zip([
            after.scripts - before.scripts,
            after.commands - before.commands,
            1e3 * (after.cpu - before.cpu),
            (after.traffic - before.traffic) / 1e3,
            (after.file - before.file) / 1e3,
            (after.memory - before.memory) / 1e3,
        ]) {
            figure.add(Side::Hearth, taken / turns);
        }
    }
    let middles = figures.each_ref().map(middle);
    for figure in figures {
        bench.report.add(figure);
    }
    middles
}

/// What conversations of the real CLI take: memory of the Redis, and of the host's machine. Answers both, in kilobytes.
async fn conversations(bench: &mut Bench, redis: &mut Redis) -> (f64, f64) {
    const ROOMS: usize = 8;
    let hearth = redis.host(bench, "conversations", Cli::Real, "").await;
    let title = format!("Memory of Redis for a room with {CONVERSATION} messages, real CLI");
    let mut room = Figure::new(title, "KB", Better::Lower);
    let mut agent = Figure::new("Memory of an agent that waits, real CLI", "MB", Better::Lower);
    for _ in 0..if bench.arguments.quick { 1 } else { 2 } {
        bench.noise.sample();
        let before = redis.done().await.memory;
        let rooms: Vec<_> = (0..ROOMS).map(|_| fresh_room()).collect();
        let turns = write(bench, &hearth, &rooms, CONVERSATION as usize).await;
        let kept = redis.done().await.memory - before;
        room.add(Side::Hearth, f64::from(CONVERSATION) * kept / turns / 1e3);
        let memory = hearth.process.memory_with_started() - hearth.process.usage().memory;
        let agents = u32::try_from(hearth.agents().len()).unwrap_or(u32::MAX).max(1);
        agent.add(Side::Hearth, memory / f64::from(agents) / 1e6);
    }
    let middles = (middle(&room), 1e3 * middle(&agent));
    bench.report.add(room);
    bench.report.add(agent);
    middles
}

/// What hosts take of the Redis that have nothing to do, and rooms that wait for their turn: leases are renewed, and each host
/// looks for what others have left. Answers milliseconds of CPU each second, for a host and for 1,000 rooms.
async fn waiting(bench: &mut Bench, redis: &mut Redis) -> (f64, f64) {
    let figure = |title| Figure::new(title, "ms", Better::Lower);
    let mut idle = figure("CPU of the main thread of Redis each second for a host with nothing to do");
    // It has things of its own to do.
    let by_itself = redis.busy().await;
    let hosts = join_all((0..HOSTS).map(|_| redis.host(bench, "idle", Cli::Stub, ""))).await;
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        idle.add(Side::Hearth, (redis.busy().await - by_itself) / f64::from(HOSTS));
    }
    drop(hosts);

    let keys = format!("turns-in-flight = {IN_FLIGHT}\nshutdown-grace = \"1s\"");
    let hearth = redis.host(bench, "waiting", Cli::Stub, &keys).await;
    let words = format!("AFTER={}", 20 * LOOKED_AT.as_millis());
    for _ in 0..WAITING {
        let status = hearth.doors[0].send(fresh_room(), &words).await.expect("the webhook arrives");
        assert_eq!(status, 204, "the webhook is acknowledged");
    }
    let mut rooms = figure("… and for 1,000 rooms that wait, one host");
    let mut further = figure("… and for a further host beside these rooms");
    let for_a_thousand = 1e3 / f64::from(WAITING);
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        let alone = redis.busy().await;
        let others = join_all((1..HOSTS).map(|_| redis.host(bench, "waiting", Cli::Stub, &keys))).await;
        let together = redis.busy().await;
        drop(others);
        rooms.add(Side::Hearth, for_a_thousand * (alone - by_itself - middle(&idle)));
        further.add(Side::Hearth, (together - alone) / f64::from(HOSTS - 1));
    }
    let middles = (middle(&idle), middle(&rooms));
    for figure in [idle, rooms, further] {
        bench.report.add(figure);
    }
    middles
}

/// Has that many messages answered in each of the rooms; answers how many that were.
#[expect(clippy::cast_precision_loss, reason = "there are few")]
async fn write(bench: &Bench, hearth: &Hearth, rooms: &[u64], messages: usize) -> f64 {
    /// Rooms that are written in at once.
    const AT_ONCE: usize = 16;
    for rooms in rooms.chunks(AT_ONCE) {
        let writers = rooms.iter().map(async |room| {
            let mut writer = hearth.writer(bench, *room);
            for _ in 0..messages {
                writer.ask().await;
            }
        });
        join_all(writers).await;
    }
    // The last turns are not over with their answers.
    tokio::time::sleep(PAUSE).await;
    (rooms.len() * messages) as f64
}

fn span(bench: &Bench) -> Duration {
    Duration::from_secs(if bench.arguments.quick { 2 } else { 4 })
}

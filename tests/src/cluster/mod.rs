//! Several hosts on one Redis, behind a load balancer; and everything that can go wrong with them, at random and at once,
//! while numbers are said in many rooms. What must hold then: every number that was acknowledged is answered once and in
//! order, each answer remembers all of the conversation, whichever hosts it was on, and nothing is left running.
//!
//! The choices are those of a seed, which is printed at the start and with every failure. `HEARTH_CLUSTER_SEED` gives it
//! back, `HEARTH_CLUSTER_SECONDS` makes a run longer or shorter. How the choices meet depends on the machine, so the same
//! seed makes the same trouble, and not quite the same run.

mod balancer;
mod memory;
mod trouble;

use std::{process::Stdio, time::Duration};

use hearth::playground::{Features, Options, Playground};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use self::{
    balancer::Balancer,
    memory::{Recollection, remembers},
};
use crate::{
    chance::{self, Chance},
    chaos::{
        Profile, print,
        verdict::{Fault, fault, judge, nothing_runs, settle},
    },
    outside::{DEMO, Outside, on_redis},
    proxy::Proxy,
    redis_server::{PASSWORD, RedisServer},
    stream::{Manner, Record, places, speak},
    world::PATIENCE,
};

/// How many hosts there are.
const HOSTS: usize = 3;
/// Whose rooms these are: two for each time a bot is named.
const BOTS: &[&str] = &[
    "assistant",
    "assistant",
    "echo",
    "assistant",
    "assistant",
    "assistant",
    "echo",
    "assistant",
    "assistant",
    "assistant",
];
/// The agent takes its time over some of the words, so that much happens during turns.
const MANNER: Manner = Manner {
    words: &["and no more", "demo:slow=400", "demo:slow=1500 please", "<b>1 < 2</b> & \"so on\"", "ünï 🚀 ✓"],
    thought: 300..4_000,
    unanswered: 6,
};
/// A lane holds whatever a slow machine makes wait.
const HOST: &str = "queue-limit = 10000\nshutdown-grace = \"20s\"";
/// How many webhooks are on their way at once, so that no room waits for another's.
const WEBHOOKS: usize = 32;
/// How long a host waits until it is started again that found no Redis.
const AGAIN: Duration = Duration::from_millis(300);

/// Hosts on one Redis, each on a way of its own, and a load balancer in front of them.
pub struct Cluster {
    /// The Campfire of all.
    pub playground: Playground,
    /// The hosts.
    pub hosts: Vec<Member>,
    balancer: Balancer,
    redis: RedisServer,
    /// Redis' own.
    _folder: TempDir,
}

/// A host of a cluster.
pub struct Member {
    /// The host.
    pub host: Outside,
    /// Its way to Redis.
    pub way: Proxy,
}

/// Runs it for so many seconds, unless `HEARTH_CLUSTER_SECONDS` says something else.
///
/// # Panics
/// If something does not hold; the message has the seed.
pub async fn run(seconds: u64) {
    let seed = chance::seed("HEARTH_CLUSTER_SEED");
    let time = Duration::from_secs(chance::number("HEARTH_CLUSTER_SECONDS").unwrap_or(seconds));
    print(&format!("HEARTH_CLUSTER_SEED={seed}, for {time:?}"));
    let mut cluster = Cluster::new(&["assistant", "echo"], DEMO).await;
    if let Err(Fault(fault)) = storm(&mut cluster, Chance::new(seed), time).await {
        let folders: Vec<_> = cluster.hosts.iter().map(|member| member.host.folder().to_owned()).collect();
        cluster.hosts.iter_mut().for_each(|member| member.host.keep());
        panic!(
            "HEARTH_CLUSTER_SEED={seed} HEARTH_CLUSTER_SECONDS={}; what is left is in {folders:?}\n{fault}",
            time.as_secs(),
        );
    }
}

/// Whatever failed is put back until it is answered, and no post is left in doubt.
fn profile() -> Profile {
    Profile { seconds: 0, bots: BOTS, features: Features::newest(), looks_up: true, puts_back: true }
}

async fn storm(cluster: &mut Cluster, mut chance: Chance, time: Duration) -> Result<(), Fault> {
    cluster.start().await;
    let rooms = places(&cluster.hosts[0].host, BOTS);
    let bots = rooms.iter().map(|place| place.bot).collect();
    let (record, listener) = Record::new(&cluster.playground, bots);
    let until = Instant::now() + time;
    let speakers: Vec<_> = rooms
        .iter()
        .map(|room| tokio::spawn(speak(record.clone(), room.clone(), MANNER, chance.split(), until)))
        .collect();
    let troubles = cluster.suffers(&mut chance, until).await?;
    print(&format!("{troubles:?}"));
    for speaker in speakers {
        speaker.await.map_err(|error| Fault(error.to_string()))?;
    }

    let (mut tally, listed) = settle(&cluster.hosts[0].host, &record, profile()).await?;
    judge(&record, profile(), &listed, &mut tally)?;
    let assistant = cluster.hosts[0].host.user("assistant");
    let recollection = Recollection::judge(&record, assistant)?;
    let talkative: Vec<_> = rooms.iter().filter(|room| room.bot == assistant).collect();
    // Each host but the last one ends, and whoever is left knows all that any of them was told.
    for asked in 0..HOSTS {
        for room in &talkative {
            remembers(&cluster.playground, &record, room, asked).await?;
        }
        cluster.hosts[asked].ends().await?;
    }
    listener.abort();
    cluster.leave_nothing().await?;
    print(&format!("{tally:#?}\n{recollection}"));
    Ok(())
}

// === impl Cluster ===

impl Cluster {
    /// One of these bots, each of the plugin of that name and one of them the `assistant`, and the lines of an `[agent]`. No
    /// host is started yet.
    ///
    /// # Panics
    /// If there is no Redis (`tests/run` installs it), or no port is free.
    pub async fn new(bots: &[&str], agent: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // Whatever was acknowledged outlives it.
        let redis = RedisServer::start_flushing(folder.path(), "always");
        let server = ([127, 0, 0, 1], redis.port()).into();
        let way = Proxy::to(server).await;
        let store = on_redis(format_args!("{}/0?prefix=cluster", way.address), folder.path());
        let keys = format!("{HOST}\n{store}");
        let options =
            Options { webhook_read_timeout: PATIENCE, webhook_workers: WEBHOOKS, ..Options::default() };
        let mut hosts = vec![Member { host: Outside::with(bots, &keys, "", agent, options).await, way }];
        for _ in 1..HOSTS {
            let (first, way) = (&hosts[0], Proxy::to(server).await);
            let host = first
                .host
                .beside(|toml| toml.replace(&first.way.address.to_string(), &way.address.to_string()));
            hosts.push(Member { host, way });
        }
        let balancer = Balancer::before(hosts.iter().map(|member| member.host.listen)).await;
        let playground = hosts[0].host.playground.clone();
        Self { playground, hosts, balancer, redis, _folder: folder }
    }

    /// Starts all hosts, and has the load balancer send them webhooks.
    ///
    /// # Panics
    /// If one does not come up.
    pub async fn start(&mut self) {
        for member in &mut self.hosts {
            member.host.start().await;
        }
        self.hosts[0].host.send_webhooks_to(self.balancer.address);
    }

    /// Looks for what hosts that have ended should not have left, and for what they should not have logged.
    async fn leave_nothing(&mut self) -> Result<(), Fault> {
        let mut faults = String::new();
        for member in &mut self.hosts {
            nothing_runs(&member.host).await?;
            member.host.log_ended().await;
            let log = std::fs::read_to_string(member.host.log()).expect("it has logged");
            for secret in member.host.secrets().chain([PASSWORD]).filter(|secret| log.contains(secret)) {
                fault(&mut faults, format_args!("{secret} is in {}", member.host.log().display()));
            }
            for line in log.lines().filter(|line| line.contains("panicked")) {
                fault(&mut faults, format_args!("{}: {line}", member.host.log().display()));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Fault(faults)) }
    }
}

// === impl Member ===

impl Member {
    /// Starts the host again. One that finds no Redis ends, and is started by whoever watches over it until it finds one.
    async fn starts(&mut self) {
        while !self.host.comes_up(&[], Stdio::null()).await {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Ends the host as an operator does.
    async fn ends(&mut self) -> Result<(), Fault> {
        let status = self.host.end(Signal::TERM).await;
        if status.success() { Ok(()) } else { Err(Fault(format!("a host ended badly: {status}"))) }
    }
}

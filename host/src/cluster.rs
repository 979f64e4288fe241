//! The hosts that share a store: each says every few seconds, and when something changes, how it is, and any of them can
//! tell which are there and where they differ.
//!
//! - A host is there as long as it says so: one that was killed is not seen any more within [`PRESENT`].
//! - What hosts run of a bot is the same if plugin and settings have the same content: generations are counted by each host
//!   on its own.
//! - What a host says is bounded; what does not fit is counted.
//!
//! What goes wrong: a host that can't reach the store goes on as it is, and is not seen meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    id::{BotName, Host, HostId, LaneKey, Timestamp},
    lane::{Lanes, Phase},
    plugin::bounded,
    reload::{BotStatus, Reloader},
    store::{PRESENCE_BYTES, Shared, Store, StoreError},
};

/// How often a host says that it is there.
const BEAT: Duration = Duration::from_secs(5);
/// How soon it says what has changed.
const LOOK: Duration = Duration::from_secs(1);
/// For how long it is taken to be there after that. A call of the store may take five seconds, and one may fail.
pub const PRESENT: Duration = Duration::from_secs(20);
/// How long a host that ends may take to say so.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many of its lanes with a turn a host names.
const LANES: usize = 100;
/// How much it says of why something was refused, in bytes.
const CAUSE_BYTES: usize = 500;

/// A host, as it said last that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostNow {
    /// Which.
    #[serde(flatten)]
    pub host: Host,
    /// Of its Hearth.
    pub version: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Where its dashboard is, if it has one.
    pub admin: Option<String>,
    /// Whether turns may begin there.
    pub phase: Phase,
    /// What it runs, by the bots' names.
    pub bots: Vec<BotStatus>,
    /// How many bots are not among them, for want of space.
    pub left_out: usize,
    /// How many lanes have a turn there.
    pub running: usize,
    /// Those of them that began first.
    pub lanes: Vec<RunningLane>,
    /// Its agents' processes.
    pub agents: Agents,
}

/// A lane with a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningLane {
    /// Which.
    #[serde(flatten)]
    pub lane: LaneKey,
    /// Since when.
    pub since: Timestamp,
}

/// How many processes a host has for its agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agents {
    /// At work.
    pub busy: usize,
    /// Waiting for a message.
    pub warm: usize,
    /// What those that wait have of the memory, in bytes, as far as it was measured.
    pub memory: u64,
}

/// The hosts of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The one that was asked; none if no host runs there.
    pub here: Option<HostId>,
    /// By name, then the one that began first. Empty if the store is a single host's own.
    pub hosts: Vec<HostNow>,
    /// Of which bots they do not run the same.
    pub mixed: Vec<Mixed>,
}

/// A bot that is not the same on all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// Which.
    pub bot: BotName,
    /// What runs of it, what most hosts run first.
    pub variants: Vec<Variant>,
    /// The same as a sentence.
    pub says: String,
}

/// What some hosts run of a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// What it is; none if they run nothing of it.
    pub content: Option<Content>,
    /// Who runs it.
    pub hosts: Vec<Host>,
}

/// A plugin with its settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// The plugin's own name.
    pub plugin: String,
    /// Its own version.
    pub version: String,
    /// Of its file.
    pub hash: String,
    /// The hash of the bot's settings.
    pub settings: String,
}

/// Says how a host is.
pub struct Announcer {
    /// To whom.
    pub store: Arc<dyn Store>,
    /// Which it is.
    pub host: Host,
    /// When it began.
    pub started_at: Timestamp,
    /// Where its dashboard listens.
    pub admin: Option<SocketAddr>,
    /// What it does.
    pub lanes: Lanes,
    /// What it runs.
    pub reloader: Reloader,
    /// Where it counts how many it is one of.
    pub seen: Seen,
}

/// How many hosts share the store, as far as this one knows. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<AtomicUsize>);

// === impl RunningLane ===

impl RunningLane {
    /// Those of a host, the one that began first first.
    pub fn all(lanes: &Lanes) -> Vec<Self> {
        let running = lanes.running().into_iter();
        let mut running: Vec<_> = running.map(|(lane, since)| Self { lane, since }).collect();
        running.sort_by(|one, other| (one.since, &one.lane).cmp(&(other.since, &other.lane)));
        running
    }
}

// === impl Announcer ===

impl Announcer {
    /// Says how the host is until `ended`, then that it is gone. Returns at once if nobody shares the store.
    pub async fn run(self, ended: CancellationToken) {
        let Some(shared) = self.store.shared() else {
            self.seen.0.store(1, Ordering::Relaxed);
            return;
        };
        let mut said: Option<(HostNow, Instant)> = None;
        let mut failing = false;
        let announcing = async {
            loop {
                let now = self.look();
                let is_due = said.as_ref().is_none_or(|(said, at)| *said != now || at.elapsed() >= BEAT);
                if is_due {
                    match self.announce(shared, &now).await {
                        Ok(hosts) => {
                            self.seen.0.store(hosts, Ordering::Relaxed);
                            (said, failing) = (Some((now, Instant::now())), false);
                        }
                        Err(error) => {
                            self.seen.0.store(0, Ordering::Relaxed);
                            if !failing {
                                tracing::warn!(%error, "other hosts don't see this one");
                            }
                            failing = true;
                        }
                    }
                }
                // Not more often, whatever changes.
                sleep(LOOK).await;
            }
        };
        ended.run_until_cancelled(announcing).await;
        if !matches!(timeout(FAREWELL, shared.withdraw(self.host.id)).await, Ok(Ok(()))) {
            tracing::debug!("other hosts see this one for some seconds more");
        }
    }

    async fn announce(&self, shared: &dyn Shared, now: &HostNow) -> Result<usize, StoreError> {
        let at = Timestamp::now();
        shared.announce(self.host.id, &written(now.clone(), PRESENCE_BYTES), at, at.after(PRESENT)).await
    }

    fn look(&self) -> HostNow {
        let agents = self.lanes.agents();
        let mut lanes = RunningLane::all(&self.lanes);
        let running = lanes.len();
        lanes.truncate(LANES);
        HostNow {
            host: self.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            admin: self.admin.map(|admin| reachable(admin, &self.host.name)),
            phase: self.lanes.phase(),
            bots: self.reloader.status().bots,
            left_out: 0,
            running,
            lanes,
            agents: Agents {
                busy: agents.busy,
                warm: agents.waiting.len(),
                memory: agents.waiting.iter().filter_map(|agent| agent.memory).sum(),
            },
        }
    }
}

/// Where a listener is reached, if it is on every address of a machine.
fn reachable(listener: SocketAddr, name: &str) -> String {
    if listener.ip().is_unspecified() { format!("{name}:{}", listener.port()) } else { listener.to_string() }
}

/// What a host says, in no more bytes than this.
fn written(mut now: HostNow, limit: usize) -> String {
    for bot in &mut now.bots {
        if let Some(refused) = &mut bot.refused {
            refused.cause = bounded(&refused.cause, CAUSE_BYTES).into_owned();
        }
    }
    loop {
        // These are strings and numbers; serialising them can't fail.
        let text = serde_json::to_string(&now).unwrap_or_default();
        if text.len() <= limit || now.bots.is_empty() {
            return text;
        }
        let kept = now.bots.len() - now.bots.len().div_ceil(8);
        now.left_out += now.bots.len() - kept;
        now.bots.truncate(kept);
    }
}

// === impl Cluster ===

impl Cluster {
    /// The hosts that share the store; none if nobody can. `here` is the one that asks.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn of(store: &dyn Store, here: Option<HostId>) -> Result<Self, StoreError> {
        let Some(shared) = store.shared() else { return Ok(Self { here, ..Self::default() }) };
        let said = shared.present(Timestamp::now()).await?;
        let mut hosts: Vec<HostNow> = said.iter().filter_map(|said| read(said)).collect();
        hosts.sort_by(|one, other| {
            (&one.host.name, one.started_at, one.host.id).cmp(&(
                &other.host.name,
                other.started_at,
                other.host.id,
            ))
        });
        let mixed = mixed(&hosts);
        Ok(Self { here, hosts, mixed })
    }
}

fn read(said: &str) -> Option<HostNow> {
    serde_json::from_str(said)
        .inspect_err(|error| tracing::warn!(%error, "a host of another version can't be understood"))
        .ok()
}

/// The bots of which open hosts do not run the same. One that is still loading, or about to end, says nothing about what is
/// wanted.
fn mixed(hosts: &[HostNow]) -> Vec<Mixed> {
    let open: Vec<_> = hosts.iter().filter(|host| host.phase == Phase::Open && host.left_out == 0).collect();
    let names: BTreeSet<_> = open.iter().flat_map(|host| &host.bots).map(|bot| &bot.bot).collect();
    let of_bot = |name: &BotName| {
        let mut variants: BTreeMap<Option<Content>, Vec<Host>> = BTreeMap::new();
        for host in &open {
            let bot = host.bots.iter().find(|bot| bot.bot == *name);
            variants.entry(bot.and_then(Content::of)).or_default().push(host.host.clone());
        }
        if variants.len() < 2 {
            return None;
        }
        let mut variants: Vec<_> =
            variants.into_iter().map(|(content, hosts)| Variant { content, hosts }).collect();
        variants.sort_by_key(|variant| std::cmp::Reverse(variant.hosts.len()));
        let says = sentence(name, &variants, open.len());
        Some(Mixed { bot: name.clone(), variants, says })
    };
    names.into_iter().filter_map(of_bot).collect()
}

fn sentence(bot: &BotName, variants: &[Variant], all: usize) -> String {
    let same_code = |content: &Content| {
        let others = variants.iter().filter_map(|variant| variant.content.as_ref());
        others.filter(|other| other.hash == content.hash).count() > 1
    };
    let part = |variant: &Variant| {
        let count = variant.hosts.len();
        let run = if count == 1 { "runs" } else { "run" };
        match &variant.content {
            None => format!("{count} {run} nothing of it"),
            Some(content) => {
                let settings = if same_code(content) {
                    format!(" with settings {}", content.settings)
                } else {
                    String::new()
                };
                format!("{count} {run} {} {} {}{settings}", content.plugin, content.version, content.hash)
            }
        }
    };
    let parts: Vec<_> = variants.iter().map(part).collect();
    format!("{bot} is not the same on all {all} hosts: {}", parts.join("; "))
}

impl Content {
    fn of(bot: &BotStatus) -> Option<Self> {
        let running = bot.running.as_ref()?;
        Some(Self {
            plugin: running.plugin.clone(),
            version: running.version.clone(),
            hash: running.hash.clone(),
            settings: running.settings.clone(),
        })
    }
}

// === impl Seen ===

impl Seen {
    /// How many, this one included; none while the store can't be reached.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;

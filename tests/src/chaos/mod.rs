//! Everything that can go wrong, at random and at once, while numbers are said in many rooms; and what must hold then:
//! every number that was acknowledged is answered once, in order, and nothing is left running.
//!
//! The choices are those of a seed, which is printed at the start and with every failure. `HEARTH_CHAOS_SEED` gives it
//! back, `HEARTH_CHAOS_SECONDS` makes a run longer or shorter. How the choices meet depends on the machine, so the same
//! seed makes the same trouble, and not quite the same run.
//!
//! Some troubles end a turn without an answer, by design: a Campfire that refuses the bot's key, an agent that is killed,
//! a message that was begun three times when the host was killed. They are listed by `hearth events failed`; in the end
//! each is put back and must be answered then.

pub(crate) mod verdict;

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use hearth::playground::{Fault as CampfireFault, Features, Options};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::time::Instant;

use self::verdict::{Fault, judge, nothing_left, settle};
use crate::{
    chance::{self, Chance},
    clock::Clock,
    outside::Outside,
    stream::{Manner, Record, places, speak},
    world::PATIENCE,
};

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// For how long numbers are said, in seconds.
    pub seconds: u64,
    /// Whose rooms these are: two for each time a bot is named.
    pub bots: &'static [&'static str],
    /// What the Campfire can do.
    pub features: Features,
    /// Whether the host finds out by itself what became of a post: nothing is uncertain in the end.
    pub looks_up: bool,
    /// Whether what failed is put back until it is answered. If not, being listed is enough.
    pub puts_back: bool,
}

/// How often each trouble came.
type Troubles = BTreeMap<String, u64>;

/// The agent takes its time over some of the words, so that much happens during turns. Whatever waits, more is said.
const MANNER: Manner = Manner {
    words: &[
        "and no more",
        "demo:slow=400",
        "demo:slow=900 please",
        "<b>1 < 2</b> & \"so on\"",
        "ünï 🚀 ✓",
        "?",
    ],
    thought: 100..1_600,
    unanswered: usize::MAX,
};
/// Between two troubles, in milliseconds.
const REST: std::ops::Range<u64> = 100..900;
/// How long a host lives at least: a turn that meets three ends of its host is given up.
const LIFE: Duration = Duration::from_secs(4);
/// The furthest that the clock is off, in seconds.
const OFF: u64 = 6 * 3600;
/// How long a post may take, which is short since many will not be answered.
const CAMPFIRE: &str = "timeout = \"2s\"";
/// A lane holds whatever a slow machine makes wait.
const HOST: &str = "queue-limit = 10000\nshutdown-grace = \"20s\"";

/// For how long a run is that may be long: `HEARTH_CHAOS_SECONDS`, or this.
///
/// # Panics
/// If that is no number.
#[must_use]
pub fn seconds_or(usual: u64) -> u64 {
    chance::number("HEARTH_CHAOS_SECONDS").unwrap_or(usual)
}

/// Runs a profile.
///
/// # Panics
/// If something does not hold; the message has the seed.
pub async fn run(profile: Profile) {
    let seed = chance::seed("HEARTH_CHAOS_SEED");
    let time = Duration::from_secs(profile.seconds);
    print(&format!("HEARTH_CHAOS_SEED={seed}, for {time:?}"));
    let options =
        Options { webhook_read_timeout: PATIENCE, features: profile.features, ..Options::default() };
    let mut names = profile.bots.to_vec();
    names.sort_unstable();
    names.dedup();
    let outside = Outside::set(&names, HOST, CAMPFIRE, options).await;
    let mut chaos = Chaos { clock: Clock::new(outside.folder()), outside, troubles: Troubles::new() };
    if let Err(Fault(fault)) = chaos.run(profile, Chance::new(seed), time).await {
        chaos.outside.keep();
        panic!(
            "HEARTH_CHAOS_SEED={seed} HEARTH_CHAOS_SECONDS={}: {:?}; what is left is in {}\n{fault}",
            time.as_secs(),
            chaos.troubles,
            chaos.outside.folder().display(),
        );
    }
}

#[expect(clippy::print_stdout, reason = "what a run did is of interest in itself")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

/// A host in trouble.
struct Chaos {
    outside: Outside,
    clock: Clock,
    troubles: Troubles,
}

impl Chaos {
    async fn run(&mut self, profile: Profile, mut chance: Chance, time: Duration) -> Result<(), Fault> {
        self.start().await;
        let places = places(&self.outside, profile.bots);
        let bots = places.iter().map(|place| place.bot).collect();
        let (record, listener) = Record::new(&self.outside.playground, bots);
        let until = Instant::now() + time;
        let speakers: Vec<_> = places
            .into_iter()
            .map(|place| tokio::spawn(speak(record.clone(), place, MANNER, chance.split(), until)))
            .collect();
        self.trouble(chance, until).await;
        for speaker in speakers {
            speaker.await.map_err(|error| Fault(error.to_string()))?;
        }

        let (mut tally, listed) = settle(&self.outside, &record, profile).await?;
        // A host that was started again at the end may have had nothing to answer yet.
        if !self.outside.loads().await {
            return Err(Fault(
                "it was not seen that plugins were loaded, which most troubles wait for".into(),
            ));
        }
        let status = self.outside.end(Signal::TERM).await;
        if !status.success() {
            return Err(Fault(format!("the host ended badly: {status}")));
        }
        judge(&record, profile, &listed, &mut tally)?;
        nothing_left(&self.outside).await?;
        listener.abort();
        print(&format!("{tally:#?}\n{:#?}", self.troubles));
        Ok(())
    }

    /// Starts the host, with a clock that can be set, and so that a full disk does not end it.
    async fn start(&mut self) {
        let script = format!("trap '' XFSZ; export {}; exec \"$@\"", self.clock.variables());
        self.outside.start_by(&["sh", "-c", &script, "chaos"], Stdio::null()).await;
    }

    /// Makes trouble until then. In the end the host runs, with a disk and with the right time.
    async fn trouble(&mut self, mut chance: Chance, until: Instant) {
        let mut started = Instant::now();
        while Instant::now() < until {
            tokio::time::sleep(chance.time(REST)).await;
            match chance.number(0..16) {
                // Mostly a host that works; on a slow machine none would get that far otherwise.
                0..=2
                    if started.elapsed() > LIFE
                        && (self.outside.has_loaded() || chance.number(0..8) == 0) =>
                {
                    self.restart(&mut chance).await;
                    started = Instant::now();
                }
                0..=5 => self.kill_agent(&mut chance),
                6..=11 => self.break_campfire(&mut chance),
                // The limit that stands for a full disk also holds for files in memory, which loading a plugin makes.
                12..=13 if self.outside.has_loaded() => self.fill_disk(&mut chance).await,
                _ => {
                    let off = chance.number(0..2 * OFF);
                    self.clock.set(off.cast_signed() - OFF.cast_signed());
                    self.count("clock jumps");
                }
            }
        }
        self.clock.set(0);
    }

    async fn restart(&mut self, chance: &mut Chance) {
        if chance.number(0..4) == 0 {
            self.count("restarts");
            self.outside.end(Signal::TERM).await;
        } else {
            self.count("kills");
            self.outside.end(Signal::KILL).await;
        }
        tokio::time::sleep(chance.time(0..700)).await;
        self.start().await;
    }

    fn kill_agent(&mut self, chance: &mut Chance) {
        let agent = chance.one(&self.outside.agents()).and_then(Pid::from_raw);
        // One that has just gone is no trouble.
        if agent.is_some_and(|agent| kill_process(agent, Signal::KILL).is_ok()) {
            self.count("killed agents");
        }
    }

    fn break_campfire(&mut self, chance: &mut Chance) {
        let faults = [
            CampfireFault::Refuse,
            CampfireFault::HangBeforeStoring,
            CampfireFault::HangAfterStoring,
            CampfireFault::ErrorAfterStoring(500),
            CampfireFault::Redirect,
        ];
        let Some(fault) = chance.one(&faults) else { return };
        let times = u32::try_from(chance.number(1..3)).unwrap_or(1);
        self.outside.playground.inject(fault, times);
        *self.troubles.entry(format!("{fault:?}")).or_default() += u64::from(times);
    }

    async fn fill_disk(&mut self, chance: &mut Chance) {
        self.count("full disks");
        let process = self.outside.process();
        let files_may_have = |bytes| {
            let limit = Rlimit { current: bytes, maximum: None };
            prlimit(Some(process), Resource::Fsize, limit).expect("the host's limits can be set");
        };
        files_may_have(Some(0));
        tokio::time::sleep(chance.time(100..1_500)).await;
        files_may_have(None);
    }

    fn count(&mut self, trouble: &str) {
        *self.troubles.entry(trouble.to_owned()).or_default() += 1;
    }
}

//! Plugin files and bots.toml that are replaced all the time, some of them by what is broken, while bots are spoken to; and
//! what must hold then: every message is answered once and in order, by the generation that was current when its turn
//! began, from the decision over the tools to the format; and the host needs no more for it than at the beginning.
//!
//! The choices are those of a seed, which is printed at the start and with every failure. `HEARTH_SOAK_SEED` gives it
//! back, `HEARTH_SOAK_SECONDS` makes the run longer or shorter.

mod builds;
mod history;
mod storm;
mod usage;

use std::{sync::Arc, time::Duration};

use hearth::playground::{Features, Options};
use rustix::process::Signal;
use tokio::time::Instant;

use self::{builds::Builds, history::History, storm::Storm, usage::Usage};
use crate::{
    chance::{self, Chance},
    chaos::{
        Profile, print,
        verdict::{Fault, judge, nothing_left, settle},
    },
    outside::Outside,
    stream::{Manner, Place, Record, places, speak},
    world::PATIENCE,
};

/// Who is spoken to, each in two direct rooms and two with a name.
const BOTS: [&str; 4] = ["assistant", "second", "third", "fourth"];
/// Half of it is about tools. In the rest the agent takes so long that the code is another one when it answers.
const MANNER: Manner = Manner {
    words: &[
        "which build, demo:tool build",
        "which build, demo:tool add {\"a\": 2, \"b\": 3} demo:tool build",
        "which build, demo:slow=400",
        "which build, demo:slow=1200",
    ],
    thought: 100..1_600,
    unanswered: 3,
};
/// A lane holds whatever a slow machine makes wait.
const HOST: &str = "queue-limit = 10000\nshutdown-grace = \"20s\"";

/// Replaces files for so many seconds, unless `HEARTH_SOAK_SECONDS` says something else.
///
/// # Panics
/// If something does not hold; the message has the seed.
pub async fn run(seconds: u64) {
    let seed = chance::seed("HEARTH_SOAK_SEED");
    let time = Duration::from_secs(chance::number("HEARTH_SOAK_SECONDS").unwrap_or(seconds));
    print(&format!("HEARTH_SOAK_SEED={seed}, for {time:?}"));
    let options = Options { webhook_read_timeout: PATIENCE, ..Options::default() };
    let mut outside = Outside::set(&BOTS, HOST, "", options).await;
    if let Err(Fault(fault)) = soak(&mut outside, Chance::new(seed), time).await {
        outside.keep();
        panic!(
            "HEARTH_SOAK_SEED={seed} HEARTH_SOAK_SECONDS={}; what is left is in {}\n{fault}",
            time.as_secs(),
            outside.folder().display(),
        );
    }
}

/// Nothing fails here: no message is put back, and none may be listed.
fn profile() -> Profile {
    Profile { seconds: 0, bots: &BOTS, features: Features::newest(), looks_up: true, puts_back: false }
}

async fn soak(outside: &mut Outside, mut chance: Chance, time: Duration) -> Result<(), Fault> {
    let mut storm = Storm::new(outside.folder(), Builds::new(outside.folder()), chance.split());
    outside.start().await;
    storm.is_over(outside).await?;
    let rooms = places(outside, &[BOTS, BOTS].concat());
    let bots = rooms.iter().map(|place| place.bot).collect();
    let (record, listener) = Record::new(&outside.playground, bots);

    // What a host needs, it has by the end of the first part.
    blow(outside, &mut storm, &record, &rooms, &mut chance, time / 3).await?;
    let before = Usage::of(outside);
    blow(outside, &mut storm, &record, &rooms, &mut chance, time * 2 / 3).await?;
    let after = before.is_kept(outside).await?;

    let (mut tally, listed) = settle(outside, &record, profile()).await?;
    let status = outside.end(Signal::TERM).await;
    if !status.success() {
        return Err(Fault(format!("the host ended badly: {status}")));
    }
    outside.log_ended().await;
    listener.abort();
    judge(&record, profile(), &listed, &mut tally)?;
    let history = History::read(&outside.log());
    let proven = history.judge(outside, &record, &storm.builds).await?;
    nothing_left(outside).await?;
    print(&format!("{tally:#?}\n{proven:#?}\n{:#?}\nbefore {before:#?}\nafter {after:#?}", storm.troubles));
    Ok(())
}

/// Replaces files for some time while the bots are spoken to. In the end all is answered, and the files are right.
async fn blow(
    outside: &Outside,
    storm: &mut Storm,
    record: &Arc<Record>,
    rooms: &[Place],
    chance: &mut Chance,
    time: Duration,
) -> Result<(), Fault> {
    let until = Instant::now() + time;
    let speakers: Vec<_> = rooms
        .iter()
        .map(|room| tokio::spawn(speak(record.clone(), room.clone(), MANNER, chance.split(), until)))
        .collect();
    storm.rage(until).await;
    for speaker in speakers {
        speaker.await.map_err(|error| Fault(error.to_string()))?;
    }
    storm.is_over(outside).await?;
    let (_, failed) = settle(outside, record, profile()).await?;
    if failed.is_empty() { Ok(()) } else { Err(Fault(format!("these were not answered: {failed:?}"))) }
}

//! What must hold when it is quiet again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    time::Duration,
};

use hearth::{id::MessageId, operator::Failure};
use tokio::time::Instant;

use super::Profile;
use crate::{
    outside::Outside,
    stream::{Record, Sent},
    world::PATIENCE,
};

/// How long nothing may happen while something is still to be answered.
const STILLNESS: Duration = PATIENCE.saturating_mul(3);
/// How often what failed is put back.
const ROUNDS: u32 = 12;
/// How often is looked whether the last process has gone; nobody tells, since it is not our child.
const LOOK: Duration = Duration::from_millis(20);
/// How many failures can be listed.
const LISTED: usize = 1_000;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: usize,
    acknowledged: usize,
    answered: usize,
    /// Answered, though it was not acknowledged.
    recovered: usize,
    /// Marked as perhaps in the room: that are there, and that are not.
    uncertain: (usize, usize),
    /// Answered after they were put back.
    put_back: usize,
    /// Sentences about a trouble.
    sentences: usize,
}

/// Why a run was no success.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) String);

/// Waits until it is quiet, and sees to it that what failed is answered, if that is to be.
///
/// # Errors
/// If something is neither answered nor listed.
pub(crate) async fn settle(
    outside: &Outside,
    record: &Record,
    profile: Profile,
) -> Result<(Tally, BTreeSet<u64>), Fault> {
    let mut tally = Tally::default();
    let mut listed = BTreeSet::new();
    for round in 0..ROUNDS {
        let failures = quiet(outside, record).await?;
        let counts = counts(record);
        let numbers = numbers(record);
        let number = |failure: &Failure| numbers.get(failure.message.as_ref()?).map(|sent| sent.number);
        let is_answered =
            |failure: &Failure| number(failure).is_some_and(|number| counts.contains_key(&number));
        let (there, missing): (Vec<_>, Vec<_>) = failures.iter().partition(|failure| is_answered(failure));
        if round == 0 {
            let uncertain =
                |failures: &[&Failure]| failures.iter().filter(|failure| failure.uncertain > 0).count();
            tally.uncertain = (uncertain(&there), uncertain(&missing));
            if profile.looks_up && tally.uncertain != (0, 0) {
                let doubts: Vec<_> = failures.iter().filter(|failure| failure.uncertain > 0).collect();
                return Err(Fault(format!("the room's history could have told about these: {doubts:#?}")));
            }
        }
        listed.extend(missing.iter().filter_map(|failure| number(failure)));
        if missing.is_empty() || !profile.puts_back {
            tally.put_back = if profile.puts_back { listed.len() } else { 0 };
            return Ok((tally, listed));
        }
        for failure in missing {
            let event = failure.event.to_string();
            let mut arguments = vec!["events", "retry", &event];
            if failure.uncertain > 0 {
                arguments.push("--anyway");
            }
            outside.hearth(&arguments).await;
        }
    }
    Err(Fault(format!(
        "after {ROUNDS} rounds there is still something that fails: {:#?}",
        outside.failures().await
    )))
}

/// Waits until everything that was acknowledged is answered or listed as a failure; answers the list.
async fn quiet(outside: &Outside, record: &Record) -> Result<Vec<Failure>, Fault> {
    let (mut before, mut since) = ((0, 0, 0), Instant::now());
    loop {
        let heard = record.answers().len();
        let failures = outside.failures().await;
        if failures.len() >= LISTED {
            return Err(Fault(format!("more failed than can be listed ({LISTED})")));
        }
        let (counts, listed) =
            (counts(record), failures.iter().map(|failure| failure.message).collect::<BTreeSet<_>>());
        let open: Vec<_> = record
            .sent()
            .into_iter()
            .filter(|sent| {
                sent.acknowledged
                    && !counts.contains_key(&sent.number)
                    && !listed.contains(&Some(sent.message))
            })
            .collect();
        if open.is_empty() {
            return Ok(failures);
        }
        let state = (open.len(), heard, failures.len());
        if state != before {
            (before, since) = (state, Instant::now());
        }
        if since.elapsed() > STILLNESS {
            return Err(Fault(format!(
                "acknowledged, but neither answered nor listed within {STILLNESS:?}: {open:#?}"
            )));
        }
        // What fails is told nowhere else than in the list, so that is read now and then, too.
        let _ = tokio::time::timeout(Duration::from_secs(1), record.more(heard)).await;
    }
}

/// Holds everything that was said against everything that was answered; the host has ended by now.
///
/// # Errors
/// If something was lost, said twice, in a wrong place or out of order.
pub(crate) fn judge(
    record: &Record,
    profile: Profile,
    listed: &BTreeSet<u64>,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let mut faults = String::new();
    let sent: BTreeMap<u64, Sent> = record.sent().into_iter().map(|sent| (sent.number, sent)).collect();
    let answers = record.answers();
    let counts = counts(record);
    let mut last = BTreeMap::new();
    for answer in &answers {
        let Some(number) = answer.number else { continue };
        match sent.get(&number) {
            Some(sent) if (sent.room, sent.bot) == (answer.room, answer.bot) => {}
            other => fault(&mut faults, format_args!("{answer:?} answers {other:?}")),
        }
        if sent.get(&number).is_none_or(|sent| !sent.acknowledged) || listed.contains(&number) {
            continue;
        }
        let before = last.insert(answer.room, number);
        if before.is_some_and(|before| before > number) {
            fault(&mut faults, format_args!("{number} is answered after {before:?} in room {}", answer.room));
        }
    }
    for sent in sent.values() {
        let count = counts.get(&sent.number).copied().unwrap_or(0);
        let may_be_missing = !sent.acknowledged || (listed.contains(&sent.number) && !profile.puts_back);
        if count > 1 || (count == 0 && !may_be_missing) {
            fault(&mut faults, format_args!("{sent:?} has {count} answers"));
        }
    }
    tally.sent = sent.len();
    tally.acknowledged = sent.values().filter(|sent| sent.acknowledged).count();
    tally.answered =
        sent.values().filter(|sent| sent.acknowledged && counts.contains_key(&sent.number)).count();
    tally.recovered =
        sent.values().filter(|sent| !sent.acknowledged && counts.contains_key(&sent.number)).count();
    tally.sentences = answers.iter().filter(|answer| answer.number.is_none()).count();
    if faults.is_empty() { Ok(()) } else { Err(Fault(faults)) }
}

/// Looks for what a host that has ended should not have left, and into the file of its store.
///
/// # Errors
/// If there is something, or the file is broken.
pub(crate) async fn nothing_left(outside: &Outside) -> Result<(), Fault> {
    nothing_runs(outside).await?;
    // A backup is checked for its integrity.
    let copy = outside.folder().join("copy.db");
    outside.hearth(&["backup", copy.to_str().expect("its path is text")]).await;
    Ok(())
}

/// Looks for processes, temporary folders and a socket that a host that has ended should not have left.
///
/// # Errors
/// If there is something.
pub(crate) async fn nothing_runs(outside: &Outside) -> Result<(), Fault> {
    let mut faults = String::new();
    // A host's guard goes after its host, once it has seen that nothing is left to do.
    let deadline = Instant::now() + PATIENCE;
    let mut left = processes_of(outside.folder());
    while !left.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        left = processes_of(outside.folder());
    }
    for process in left {
        fault(&mut faults, format_args!("a process still runs: {process}"));
    }
    for folder in outside.temporary() {
        fault(&mut faults, format_args!("a temporary folder is left: {}", folder.display()));
    }
    let socket = hearth::operator::socket_path(&outside.folder().join(".hearth"));
    if socket.exists() {
        fault(&mut faults, format_args!("a socket is left: {}", socket.display()));
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault(faults)) }
}

/// The processes that have to do with a folder: by their arguments, their environment or where they work.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().expect("its path is text");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes
        .filter(|process| process.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit()))
        .filter_map(|process| {
            let arguments = std::fs::read(process.join("cmdline")).unwrap_or_default();
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            let place = std::fs::read_link(process.join("cwd")).unwrap_or_default();
            let texts =
                [arguments, environment].map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
            let belongs = texts.iter().any(|text| text.contains(name)) || place.starts_with(folder);
            belongs.then(|| format!("{} {}", process.display(), texts[0]))
        })
        .collect()
}

/// How often each number was answered.
fn counts(record: &Record) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for number in record.answers().iter().filter_map(|answer| answer.number) {
        *counts.entry(number).or_default() += 1;
    }
    counts
}

fn numbers(record: &Record) -> BTreeMap<MessageId, Sent> {
    record.sent().into_iter().map(|sent| (sent.message, sent)).collect()
}

pub(crate) fn fault(faults: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(faults, "{what}").expect("a String takes what is written");
}

//! Which generation ran when, as the log has it; and whether turns ran those.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Bound,
    path::Path,
};

use hearth::{
    id::{BotName, MessageId, Timestamp},
    store::{JOURNAL_ROWS, JournalRow, SqliteStore, Store},
};
use serde_json::Value;

use super::{
    BOTS,
    builds::{Builds, named},
};
use crate::{
    chaos::verdict::{Fault, fault},
    outside::Outside,
    stream::Record,
};

/// The generations of all bots, by bot and number.
pub(super) struct History(BTreeMap<(String, u64), Published>);

/// A generation that was put in place between these times, in milliseconds and ISO 8601, which can be compared as texts.
struct Published {
    hash: String,
    not_before: String,
    not_after: String,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Proven {
    generations: usize,
    turns: usize,
    /// While which a newer generation was put in place.
    overtaken: usize,
    /// Calls of tools that say which build they are of.
    calls: usize,
}

impl History {
    /// Reads a host's log.
    ///
    /// # Panics
    /// If it is no log.
    pub(super) fn read(log: &Path) -> Self {
        let log = fs::read_to_string(log).expect("there is a log");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let loaded =
            lines.filter(|line| line["message"].as_str().is_some_and(|told| told.starts_with("loaded;")));
        let published = loaded.map(|line| {
            let text = |key: &str| line[key].as_str().expect("the line has this").to_owned();
            let plugin = text("plugin");
            let hash = plugin.split_once('(').and_then(|(_, hash)| hash.strip_suffix(')'));
            let published = Published {
                hash: hash.expect("a plugin is shown with its hash").to_owned(),
                not_before: milliseconds(&text("since")),
                not_after: milliseconds(&text("timestamp")),
            };
            ((text("bot"), line["generation"].as_u64().expect("a number")), published)
        });
        Self(published.collect())
    }

    /// Holds the journal of a host that has ended against this, and against what the rooms were answered.
    ///
    /// # Errors
    /// If a turn did not run, from its beginning to its end, what was current at its beginning.
    pub(super) async fn judge(
        &self,
        outside: &Outside,
        record: &Record,
        builds: &Builds,
    ) -> Result<Proven, Fault> {
        let store = SqliteStore::open(&outside.folder().join(".hearth/hearth.db"));
        let store = store.map_err(|error| Fault(error.to_string()))?;
        let said: BTreeMap<MessageId, u64> =
            record.sent().into_iter().map(|sent| (sent.message, sent.number)).collect();
        let answers: BTreeMap<u64, String> =
            record.answers().into_iter().filter_map(|answer| Some((answer.number?, answer.text))).collect();
        let mut proven = Proven::default();
        let (mut faults, mut found) = (String::new(), BTreeSet::<u64>::new());
        for bot in BOTS {
            let rows = store.journal(Some(&BotName::from(bot)), JOURNAL_ROWS).await;
            for row in rows.map_err(|error| Fault(error.to_string()))? {
                let calls = store.tool_calls(&row.turn).await.map_err(|error| Fault(error.to_string()))?;
                let message = row.details["about"]["message"].as_u64().map(MessageId);
                let number = message.and_then(|message| said.get(&message));
                let answer = number.and_then(|number| answers.get(number)).map(String::as_str);
                let outputs =
                    calls.iter().filter(|call| call.tool == "build").map(|call| call.output.as_str());
                let outputs: Vec<_> = outputs.collect();
                proven.turns += 1;
                proven.calls += outputs.len();
                found.extend(number);
                let first_call = calls.iter().map(|call| call.started_at).min();
                let told = outputs.into_iter().chain(answer).collect::<Vec<_>>();
                match self.check(&row, first_call, &told, builds) {
                    Ok(overtaken) => proven.overtaken += usize::from(overtaken),
                    Err(Fault(what)) => fault(&mut faults, format_args!("{what}: {row:#?} {told:#?}")),
                }
            }
        }
        store.close().await;
        proven.generations = self.0.len();
        let rows = usize::try_from(JOURNAL_ROWS).unwrap_or(usize::MAX);
        // Of a longer run the journal shows the end.
        if proven.turns < rows && found.len() != answers.len() {
            let missing: Vec<_> = answers.keys().filter(|number| !found.contains(number)).collect();
            fault(&mut faults, format_args!("the journal knows nothing of {missing:?}"));
        }
        if proven.overtaken == 0 || proven.calls == 0 {
            fault(&mut faults, format_args!("nothing was proven: {proven:?}"));
        }
        if faults.is_empty() { Ok(proven) } else { Err(Fault(faults)) }
    }

    /// Whether a turn ran what was current when it began, by the journal, by `told` (what it answered and what its calls
    /// of tools did), and by the time of the first of those; answers whether it was overtaken.
    fn check(
        &self,
        row: &JournalRow,
        first_call: Option<Timestamp>,
        told: &[&str],
        builds: &Builds,
    ) -> Result<bool, Fault> {
        let fault = |what: &str| Err(Fault(what.to_owned()));
        let plugin = &row.details["plugin"];
        let (bot, number) = (row.lane.bot.to_string(), plugin["generation"].as_u64().unwrap_or_default());
        let Some(published) = self.0.get(&(bot.clone(), number)) else {
            return fault("that generation was never put in place");
        };
        if plugin["hash"].as_str() != Some(&published.hash) {
            return fault("that generation had other content");
        }
        let began = milliseconds(&row.started_at.iso_8601());
        let ended = milliseconds(&row.ended_at.iso_8601());
        let used = first_call.map_or(ended.clone(), |call| milliseconds(&call.iso_8601()));
        if published.not_before > used {
            return fault("that generation came later");
        }
        let later = (Bound::Excluded((bot.clone(), number)), Bound::Included((bot, u64::MAX)));
        let next = self.0.range(later).next().map(|(_, next)| next);
        if next.is_some_and(|next| next.not_after < began) {
            return fault("another generation was in place when the turn began");
        }
        let Some(build) = builds.name(&published.hash) else { return fault("that is no build of these") };
        // The agent also quotes what it was first asked in this room.
        let own = |told: &&str| match (told.split_once("you first said"), told.rsplit_once("formatted by")) {
            (Some((own, _)), Some((_, formatted))) => format!("{own} {formatted}"),
            _ => (*told).to_owned(),
        };
        let told: Vec<_> = told.iter().map(own).collect();
        let names: Vec<_> = told.iter().flat_map(|told| named(told)).collect();
        // The decision and the format at least.
        if names.len() < 2 || names.iter().any(|name| *name != build) {
            return fault("not everything in that turn was of its generation");
        }
        Ok(next.is_some_and(|next| next.not_before < ended))
    }
}

/// A time cut to milliseconds.
fn milliseconds(time: &str) -> String {
    time.chars().take("2026-01-01T00:00:00.000".len()).collect()
}

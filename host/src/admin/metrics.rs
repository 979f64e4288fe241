//! What is counted, and how it is told: Prometheus's text format.
//!
//! Lower floors count with the `metrics` facade, by name; here is what each name means, once. What is a state and not a
//! sum (which generation runs, how many lanes work, what the process uses) is looked up when it is asked for. Labels have few values: bots of the configuration, and
//! words of ours.
//!
//! The recorder belongs to the process, so hosts of one process count together. It is installed when the first of them
//! is to be observed; until then nothing is counted and nothing is kept.

use std::{fmt::Write, sync::OnceLock, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::process::Process;
use crate::{cluster::Seen, lane::Lanes, plugin::Roster};

/// How often measured values become buckets, if nobody asks. Until then each takes some bytes.
pub(super) const UPKEEP: Duration = Duration::from_secs(5);

/// The one sum of parts. The facade's counters take whole numbers only, so a gauge adds it up.
const COST: &str = "hearth_agent_cost_usd_total";

/// What is counted: name, unit, meaning.
const COUNTERS: [(&str, Unit, &str); 16] = [
    (
        "hearth_webhooks_total",
        Unit::Count,
        "Webhooks that were answered, by status; those for no bot count as bot \"-\".",
    ),
    ("hearth_messages_refused_total", Unit::Count, "Messages that were refused because their lane was full."),
    (
        "hearth_messages_found_total",
        Unit::Count,
        "Messages that never arrived and were found in their rooms' histories.",
    ),
    (
        "hearth_loops_cut_total",
        Unit::Count,
        "Messages of bots that were left out because bots had answered each other for too long.",
    ),
    (
        "hearth_leases_lost_total",
        Unit::Count,
        "Rooms that were lost to another host, or might have been: the store could not be reached in time.",
    ),
    ("hearth_turns_total", Unit::Count, "Turns that ended, by outcome."),
    (
        "hearth_agent_tries_total",
        Unit::Count,
        "Messages that agents were asked, by process: warm if it had answered that room before, spare if it was started ahead, or cold.",
    ),
    (
        "hearth_tool_calls_total",
        Unit::Count,
        "Calls of plugins' tools, by outcome: done, or the kind of trouble.",
    ),
    (
        "hearth_posts_total",
        Unit::Count,
        "Parts of answers by what became of them: posted, uncertain or failed.",
    ),
    (
        "hearth_posts_looked_up_total",
        Unit::Count,
        "Parts of answers that were looked for in their rooms' histories, by result.",
    ),
    ("hearth_reloads_total", Unit::Count, "Attempts to put a bot's plugin in place, by outcome."),
    ("hearth_agent_tokens_total", Unit::Count, "Tokens that agents used, by kind."),
    (
        "hearth_transcripts_total",
        Unit::Count,
        "Transcripts between hosts that share a store, by outcome: sent, laid-down, too-long to be sent, or lost.",
    ),
    (
        "hearth_transcript_bytes_total",
        Unit::Bytes,
        "What of transcripts was sent to the store or laid down from there, compressed, by way.",
    ),
    (
        "hearth_store_commits_total",
        Unit::Count,
        "Transactions of the store, each of all writes that had gathered.",
    ),
    (
        "hearth_store_flushes_total",
        Unit::Count,
        "Flushes of the store's log to the disk, each for all that waited for one.",
    ),
];

/// What is measured, in seconds: name, meaning, the buckets' upper bounds.
const HISTOGRAMS: [(&str, &str, &[f64]); 6] = [
    (
        "hearth_turn_wait_seconds",
        "A message's waiting until its turn may run, behind those of other rooms.",
        MINUTES,
    ),
    ("hearth_turn_duration_seconds", "From a turn's begin until its answer is posted.", MINUTES),
    (
        "hearth_agent_duration_seconds",
        "From the agent's being asked to its answer, waiting for a start included.",
        MINUTES,
    ),
    ("hearth_agent_start_wait_seconds", "Waiting until the agent's process could be started.", MINUTES),
    (
        "hearth_plugin_call_duration_seconds",
        "One call of a plugin, what it waits for included.",
        MICROSECONDS,
    ),
    (
        "hearth_transcript_duration_seconds",
        "Sending what is new of a transcript to the store that hosts share, or laying one down from there, by way.",
        MICROSECONDS,
    ),
];

/// 10 ms to 15 minutes.
const MINUTES: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];
/// 10 µs to a minute.
const MICROSECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0,
    30.0, 60.0,
];

/// The recorder of this process, installed if it was not. None if another one is.
pub(super) fn recorder() -> Option<&'static PrometheusHandle> {
    static INSTALLED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    INSTALLED.get_or_init(install).as_ref()
}

fn install() -> Option<PrometheusHandle> {
    let builder = HISTOGRAMS.iter().try_fold(PrometheusBuilder::new(), |builder, (name, _, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)
    });
    let recorder = match builder {
        Ok(builder) => builder.build_recorder(),
        Err(error) => {
            tracing::error!(%error, "nothing is counted");
            return None;
        }
    };
    let handle = recorder.handle();
    if let Err(error) = metrics::set_global_recorder(recorder) {
        tracing::error!(%error, "nothing is counted");
        return None;
    }
    for (name, unit, meaning) in COUNTERS {
        describe_counter!(name, unit, meaning);
    }
    describe_gauge!(COST, Unit::Count, "What agents said that they cost, in US dollars.");
    for (name, meaning, _) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, meaning);
    }
    Some(handle)
}

/// Lets what may happen once a year begin at 0: a counter that comes into being with a 1 has not grown, to Prometheus.
fn begin_at_zero(roster: &Roster) {
    for seat in roster.seats() {
        let bot = || seat.bot.name.to_string();
        counter!("hearth_messages_refused_total", "bot" => bot()).increment(0);
        counter!("hearth_webhooks_total", "bot" => bot(), "status" => "503").increment(0);
        counter!("hearth_leases_lost_total", "bot" => bot()).increment(0);
        counter!("hearth_transcripts_total", "bot" => bot(), "outcome" => "lost").increment(0);
        for outcome in ["posted", "uncertain", "failed"] {
            counter!("hearth_posts_total", "bot" => bot(), "outcome" => outcome).increment(0);
        }
    }
}

/// Everything, as Prometheus reads it.
pub(super) fn exposition(lanes: &Lanes, roster: &Roster, seen: &Seen) -> String {
    begin_at_zero(roster);
    let counted = recorder().map(PrometheusHandle::render).unwrap_or_default();
    let mut text = counted.replace(&format!("# TYPE {COST} gauge"), &format!("# TYPE {COST} counter"));
    let mut state = |name: &str, kind: &str, meaning: &str, samples: &[(String, f64)]| {
        if samples.is_empty() {
            return;
        }
        // Writing to a text can't fail.
        let _ = writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    state("hearth_build_info", "gauge", "Which Hearth this is; always 1.", &[(version, 1.0)]);
    #[expect(clippy::cast_precision_loss, reason = "no host has 2^53 lanes or generations")]
    {
        let active = (String::new(), lanes.busy() as f64);
        state("hearth_lanes_active", "gauge", "Lanes that have work or wait to go on.", &[active]);
        let hosts = (String::new(), seen.count() as f64);
        let meaning = "Hosts that share the store, this one included; 0 while it is not known.";
        state("hearth_hosts", "gauge", meaning, &[hosts]);
        let mut generations: Vec<_> = roster
            .seats()
            .into_iter()
            .map(|seat| {
                let number = seat.generation.map_or(0, |generation| generation.number);
                (format!("{{bot=\"{}\"}}", seat.bot.name), number as f64)
            })
            .collect();
        generations.sort_by(|one, other| one.0.cmp(&other.0));
        state(
            "hearth_plugin_generation",
            "gauge",
            "The generation of the bot's plugin that runs; 0 while none can be loaded.",
            &generations,
        );
    }
    for (name, kind, meaning, value) in Process::look().measures() {
        state(name, kind, meaning, &[(String::new(), value)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_dollars_is_told_as_a_counter_with_its_parts() {
        recorder().unwrap();
        metrics::gauge!(COST, "bot" => "tester").increment(0.25);
        metrics::gauge!(COST, "bot" => "tester").increment(0.5);
        metrics::histogram!("hearth_turn_duration_seconds", "bot" => "tester")
            .record(Duration::from_millis(30));
        let text = recorder().unwrap().render();
        assert!(text.contains("hearth_agent_cost_usd_total{bot=\"tester\"} 0.75"), "{text}");
        assert!(
            text.contains("# TYPE hearth_agent_cost_usd_total gauge"),
            "what is replaced is there: {text}"
        );
        assert!(text.contains("hearth_turn_duration_seconds_bucket{bot=\"tester\",le=\"0.05\"} 1"), "{text}");
        assert!(text.contains("# HELP hearth_turn_duration_seconds From a turn's begin"), "{text}");
    }

    #[test]
    fn whatever_is_counted_somewhere_means_something_here() {
        let described: Vec<_> = COUNTERS
            .iter()
            .map(|(name, ..)| *name)
            .chain(HISTOGRAMS.iter().map(|(name, ..)| *name))
            .chain([COST])
            .collect();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut counted = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.extension().is_none_or(|extension| extension != "rs")
                    || path.ends_with("admin/metrics.rs")
                {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for way in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
                    for (at, _) in text.match_indices(way) {
                        let name = text[at + way.len()..].split('"').next().unwrap();
                        assert!(described.contains(&name), "{name} in {}", path.display());
                        counted += 1;
                    }
                }
            }
        }
        assert!(counted >= described.len(), "every one of them is counted somewhere");
    }
}

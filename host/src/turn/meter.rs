//! What turns add to the counters. What these mean stands in `admin::metrics`.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::{
    agent::Report,
    id::BotName,
    store::{JournalRow, PartState},
};

/// A turn that ended.
pub(super) fn turn(row: &JournalRow) {
    let bot = row.lane.bot.to_string();
    let milliseconds = u64::try_from(row.ended_at.0 - row.started_at.0).unwrap_or_default();
    counter!("hearth_turns_total", "bot" => bot.clone(), "outcome" => row.outcome.clone()).increment(1);
    histogram!("hearth_turn_duration_seconds", "bot" => bot).record(Duration::from_millis(milliseconds));
}

/// What an agent took and used.
pub(super) fn agent(bot: &BotName, report: &Report) {
    let bot = || bot.to_string();
    let (usage, timings) = (&report.usage, &report.timings);
    histogram!("hearth_agent_duration_seconds", "bot" => bot()).record(timings.total);
    histogram!("hearth_agent_start_wait_seconds", "bot" => bot()).record(timings.gate);
    if let Some(cost) = usage.cost_usd {
        // A counter of the facade takes whole numbers only.
        gauge!("hearth_agent_cost_usd_total", "bot" => bot()).increment(cost);
    }
    for (kind, tokens) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache-read", usage.cache_read_tokens),
        ("cache-creation", usage.cache_creation_tokens),
    ] {
        counter!("hearth_agent_tokens_total", "bot" => bot(), "kind" => kind).increment(tokens);
    }
}

/// A tool call that ended: in the word of its trouble, if there was one.
pub(super) fn tool_call(bot: &BotName, trouble: Option<&'static str>) {
    let outcome = trouble.unwrap_or("done");
    counter!("hearth_tool_calls_total", "bot" => bot.to_string(), "outcome" => outcome).increment(1);
}

/// What became of a conversation's transcript between hosts, in a word.
pub(super) fn transcript(bot: &BotName, outcome: &'static str) {
    counter!("hearth_transcripts_total", "bot" => bot.to_string(), "outcome" => outcome).increment(1);
}

/// A transcript that went one way: as many compressed bytes, in this time.
pub(super) fn transcript_moved(bot: &BotName, way: &'static str, bytes: usize, time: Duration) {
    let (bot, bytes) = (bot.to_string(), u64::try_from(bytes).unwrap_or(u64::MAX));
    counter!("hearth_transcript_bytes_total", "bot" => bot.clone(), "way" => way).increment(bytes);
    histogram!("hearth_transcript_duration_seconds", "bot" => bot, "way" => way).record(time);
}

/// A part of an answer that came to an end.
pub(super) fn post(bot: &BotName, state: PartState) {
    let outcome = match state {
        PartState::Planned | PartState::Unsent => return,
        PartState::Posted(_) => "posted",
        PartState::Uncertain => "uncertain",
        PartState::Failed => "failed",
    };
    counter!("hearth_posts_total", "bot" => bot.to_string(), "outcome" => outcome).increment(1);
}

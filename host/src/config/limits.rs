//! `[bots.<name>.limits]`: what one call of a plugin may use.

use std::{ops::RangeInclusive, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    check::{Checked, Checks},
    located::Located,
    units::{DurationText, MIB, MINUTE, Size},
};

const MEMORY: RangeInclusive<u64> = MIB..=256 * MIB;
const TABLES: RangeInclusive<i64> = 1_000..=200_000;
const COMPUTE: RangeInclusive<Duration> = Duration::from_millis(10)..=MINUTE;
const CALL_TIME: RangeInclusive<Duration> = Duration::from_millis(10)..=MINUTE;
const HOST_CALLS: RangeInclusive<i64> = 10..=1_000_000;
const LOG_LINES: RangeInclusive<i64> = 0..=10_000;

/// `[bots.<name>.limits]`: what one call of the plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `memory`: linear memory in bytes; also what one value that it hands to the host may take there. Default 64 MiB,
    /// 1 to 256 MiB.
    pub memory: usize,
    /// `tables`: elements of all its tables. Default 100,000 (interpreters have tens of thousands), 1,000 to 200,000.
    pub tables: usize,
    /// `compute`: how long its own code runs; waiting for the host is not in it. Default 2 s, 10 ms to 60 s.
    pub compute: Duration,
    /// `call-time`: wall clock of one call, waiting for the host included. Default 30 s, 10 ms to 60 s.
    pub call_time: Duration,
    /// `host-calls`: how often it may call the host. Default 1,000, 10 to 1,000,000.
    pub host_calls: u32,
    /// `log-lines`: how many lines it may log. Default 100, 0 to 10,000.
    pub log_lines: u32,
}

/// What one call of the plugin may use.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawLimits {
    /// Memory, 1MiB to 256MiB; what it hands to the host in one piece counts as much again.
    memory: Located<Size>,
    /// Elements of all its tables, which hold the functions it calls by pointer, 1,000 to 200,000.
    #[schemars(range(min = *TABLES.start(), max = *TABLES.end()))]
    tables: Located<i64>,
    /// Time in which its own code runs, 10ms to 60s. Waiting for the host is not in it.
    compute: Located<DurationText>,
    /// Time by the clock, 10ms to 60s. Waiting for the host is in it: for a slow server, say.
    call_time: Located<DurationText>,
    /// How often it may call the host, 10 to 1,000,000.
    #[schemars(range(min = *HOST_CALLS.start(), max = *HOST_CALLS.end()))]
    host_calls: Located<i64>,
    /// How many lines it may log, 0 to 10,000. Further ones are counted and dropped.
    #[schemars(range(min = *LOG_LINES.start(), max = *LOG_LINES.end()))]
    log_lines: Located<i64>,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            memory: "64MiB".into(),
            tables: 100_000.into(),
            compute: "2s".into(),
            call_time: "30s".into(),
            host_calls: 1_000.into(),
            log_lines: 100.into(),
        }
    }
}

// === the checks ===

impl Checks<'_> {
    pub(super) fn limits(&mut self, raw: &RawLimits) -> Checked<Limits> {
        let memory = self.size("memory", &raw.memory, MEMORY);
        let tables = self.number("tables", &raw.tables, TABLES);
        let compute = self.duration("compute", &raw.compute, COMPUTE);
        let call_time = self.duration("call-time", &raw.call_time, CALL_TIME);
        let host_calls = self.number("host-calls", &raw.host_calls, HOST_CALLS);
        let log_lines = self.number("log-lines", &raw.log_lines, LOG_LINES);
        Ok(Limits {
            memory: memory?,
            tables: tables?,
            compute: compute?,
            call_time: call_time?,
            host_calls: host_calls?,
            log_lines: log_lines?,
        })
    }
}

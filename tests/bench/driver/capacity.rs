//! What hosts that share a Redis come to, reckoned from what was measured of one, and what breaks first.

use crate::figure::{Figure, Side};

/// What is taken for granted; the README says so too.
///
/// A turn is as long as a model takes that thinks and calls a tool or two.
const TURN_SECONDS: f64 = 10.0;
/// `turns-in-flight` and `[agent.warm] processes`, where bots.toml says nothing.
const IN_FLIGHT: f64 = 32.0;
const WARM: f64 = 8.0;
/// Rooms for each host.
const ROOMS: f64 = 1_000.0;
/// What is said over a day, as a share of what could be.
const AVERAGE: f64 = 0.1;
const DAY_SECONDS: f64 = 86_400.0;
/// Of how many hosts there is a column.
const HOSTS: [u32; 3] = [10, 100, 1_000];
/// As many hosts are looked through for what is too many.
const MOST: u32 = 100_000;

/// What one host and its Redis take. Times are milliseconds, sizes kilobytes.
pub(crate) struct Measured {
    /// CPU of Redis' main thread for a message.
    pub(crate) message: f64,
    /// Bytes to and from Redis for a message.
    pub(crate) traffic: f64,
    /// Memory of Redis for a message, as long as it is kept.
    pub(crate) kept: f64,
    /// Memory of Redis for a room with a conversation, its messages included.
    pub(crate) room: f64,
    /// CPU of Redis' main thread each second for a host with nothing to do.
    pub(crate) host: f64,
    /// The same for the leases of 1,000 rooms.
    pub(crate) leases: f64,
    /// Memory of an agent of the real CLI.
    pub(crate) agent: f64,
}

/// The middle of what was measured; nothing of what was not.
pub(crate) fn middle(figure: &Figure) -> f64 {
    figure.of(Side::Hearth).map_or(0.0, |summary| summary.median.max(0.0))
}

impl Measured {
    /// The table, and from how many hosts on one Redis is too little.
    pub(crate) fn table(&self) -> String {
        let row = |title: &str, of: &dyn Fn(f64) -> String| {
            let cells: Vec<_> = HOSTS.iter().map(|hosts| of(f64::from(*hosts))).collect();
            format!("| {title} | {} |", cells.join(" | "))
        };
        let columns: Vec<_> =
            HOSTS.iter().map(|hosts| format!("{} hosts", rounded(f64::from(*hosts)))).collect();
        let lines = [
            format!("| | {} |", columns.join(" | ")),
            "|---|--:|--:|--:|".to_owned(),
            row("Messages answered a second, at most", &|hosts| rounded(messages(hosts))),
            row("Redis: its main thread, at most", &|hosts| {
                format!("{} %", rounded(100.0 * self.busy(hosts)))
            }),
            row("Redis: traffic, at most", &|hosts| bytes(messages(hosts) * self.traffic) + "/s"),
            row("Redis: memory for conversations", &|hosts| bytes(hosts * ROOMS * self.room)),
            row("Redis: memory for the messages of a day", &|hosts| {
                bytes(AVERAGE * messages(hosts) * DAY_SECONDS * self.kept)
            }),
            row("Agents: processes, at most", &|hosts| rounded(hosts * (IN_FLIGHT + WARM))),
            row("Agents: memory for them", &|hosts| bytes(hosts * (IN_FLIGHT + WARM) * self.agent)),
        ];
        let full = (1..MOST).find(|hosts| self.busy(f64::from(*hosts)) >= 1.0);
        let full = full.map(|hosts| {
            let hosts = f64::from(hosts);
            format!(
                "\n\nThe main thread of one Redis is full with {} hosts, at {} messages a second.",
                rounded(hosts),
                rounded(messages(hosts))
            )
        });
        lines.join("\n") + &full.unwrap_or_default()
    }

    /// The share of a second that Redis' main thread works when all hosts do.
    fn busy(&self, hosts: f64) -> f64 {
        let leases = hosts * IN_FLIGHT / 1e3 * self.leases;
        (messages(hosts) * self.message + hosts * self.host + leases) / 1e3
    }
}

/// A second, with as many turns as may run on each host.
fn messages(hosts: f64) -> f64 {
    hosts * IN_FLIGHT / TURN_SECONDS
}

/// With two digits that say something.
fn rounded(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.1}");
    }
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    let digits = format!("{:.0}", (value / unit).round() * unit);
    let separated = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    separated.collect::<Vec<_>>().join(",")
}

/// So many kilobytes.
fn bytes(kilobytes: f64) -> String {
    let units = ["KB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (kilobytes, 0);
    while value >= 1e3 && unit + 1 < units.len() {
        (value, unit) = (value / 1e3, unit + 1);
    }
    format!("{} {}", rounded(value), units[unit])
}

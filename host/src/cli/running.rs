//! `hearth status` and `hearth reload`: what a running host does, and those that share its store, in words.

use super::{
    table::{self, Cell, Row},
    terminal::{self, paint, style},
};
use crate::{
    cluster::{Cluster, HostNow, Mixed},
    id::Host,
    lane::Phase,
    operator::{BotNow, Now},
    plugin::Compiler,
    reload::{BotStatus, Outcome, Reloaded},
};

/// Prints what runs.
pub(super) fn show_status(now: &Now) {
    let cluster = &now.cluster;
    if let Some(config) = &now.config {
        let header = ["bot", "generation", "plugin", "hash", "since", "busy", "state"];
        table::print(header, now.bots.iter().map(bot));
        for (bot, rooms) in &now.gone {
            odd(&format!("{bot} is gone from bots.toml, and messages wait for it in {rooms} of its rooms."));
        }
        if let Some(refused) = &config.refused {
            let cause = format!("Since {}: {}", refused.at.iso_8601(), refused.cause);
            terminal::print(&paint(style::BAD, &cause));
        }
        restart(&config.restart);
    } else {
        terminal::note("No host runs here; these share the store.");
    }
    if now.config.is_none() || cluster.hosts.len() > 1 {
        show_cluster(cluster);
    }
    show_lanes(now);
}

fn show_cluster(cluster: &Cluster) {
    if cluster.here.is_some() {
        terminal::print("");
    }
    let header = ["host", "state", "version", "since", "turns", "agents", "memory", "dashboard"];
    table::print(header, cluster.hosts.iter().map(|host| host_row(host, cluster)));
    terminal::print("");
    let header = ["bot", "host", "generation", "plugin", "hash", "since"];
    let mut rows: Vec<_> =
        cluster.hosts.iter().flat_map(|host| host.bots.iter().map(move |bot| (host, bot))).collect();
    rows.sort_by(|(_, one), (_, other)| one.bot.cmp(&other.bot));
    table::print(header, rows.into_iter().map(|(host, bot)| variant(host, bot, &cluster.mixed)));
    for host in cluster.hosts.iter().filter(|host| host.left_out > 0) {
        odd(&format!("{} runs {} more bots.", host.host.label(), host.left_out));
    }
    for mixed in &cluster.mixed {
        odd(&format!("{}.", mixed.says));
    }
}

fn show_lanes(now: &Now) {
    let here = now.running.iter().map(|lane| (None, lane));
    let elsewhere = now.cluster.hosts.iter().filter(|host| Some(host.host.id) != now.cluster.here);
    let elsewhere = elsewhere.flat_map(|host| host.lanes.iter().map(move |lane| (Some(&host.host), lane)));
    let lanes: Vec<_> = here.chain(elsewhere).collect();
    if lanes.is_empty() {
        return;
    }
    terminal::print("");
    table::print(
        ["at work", "room", "host", "since"],
        lanes.into_iter().map(|(host, running)| {
            let lane = &running.lane;
            let host = host.map_or_else(|| "this one".to_owned(), Host::label);
            let [bot, room, host] = [lane.bot.to_string(), lane.room.to_string(), host].map(Cell::from);
            [bot, room, host, Cell::time(running.since)]
        }),
    );
}

fn host_row(host: &HostNow, cluster: &Cluster) -> Row<8> {
    let (phase, style) = match host.phase {
        Phase::Opening => ("opening", style::ODD),
        Phase::Open => ("open", style::GOOD),
        Phase::Closing => ("closing", style::ODD),
    };
    let name = if cluster.here == Some(host.host.id) { style::NAME } else { anstyle::Style::new() };
    let agents = &host.agents;
    [
        Cell::styled(host.host.label(), name),
        Cell::styled(phase, style),
        host.version.clone().into(),
        Cell::time(host.started_at),
        host.running.to_string().into(),
        format!("{} busy, {} warm", agents.busy, agents.warm).into(),
        format!("{} MiB", agents.memory >> 20).into(),
        host.admin.clone().unwrap_or_default().into(),
    ]
    .into()
}

fn variant(host: &HostNow, bot: &BotStatus, mixed: &[Mixed]) -> Row<6> {
    let is_mixed = mixed.iter().any(|mixed| mixed.bot == bot.bot);
    let [generation, plugin, hash, since] = generation(bot);
    let hash = if is_mixed { Cell { style: style::ODD, ..hash } } else { hash };
    notes(bot, [bot.bot.to_string().into(), host.host.label().into(), generation, plugin, hash, since].into())
}

fn bot(bot: &BotNow) -> Row<7> {
    let state = match bot.pauses.as_slice() {
        [] if bot.status.running.is_none() => Cell::styled("no plugin", style::BAD),
        [] => Cell::styled("open", style::GOOD),
        pauses if pauses.iter().any(|pause| pause.scope.room.is_none()) => Cell::styled("paused", style::ODD),
        pauses => Cell::styled(format!("paused in {} rooms", pauses.len()), style::ODD),
    };
    let [generation, plugin, hash, since] = generation(&bot.status);
    let cells = [
        bot.status.bot.to_string().into(),
        generation,
        plugin,
        hash,
        since,
        bot.busy.to_string().into(),
        state,
    ];
    notes(&bot.status, cells.into())
}

/// Number, plugin, hash, since when.
fn generation(bot: &BotStatus) -> [Cell; 4] {
    match &bot.running {
        Some(running) => [
            running.generation.to_string().into(),
            format!("{} {}", running.plugin, running.version).into(),
            running.hash.clone().into(),
            Cell::time(running.since),
        ],
        None => [Cell::styled("none", style::BAD), Cell::default(), Cell::default(), Cell::default()],
    }
}

fn notes<const N: usize>(status: &BotStatus, mut row: Row<N>) -> Row<N> {
    let bot = &status.bot;
    if status.running.as_ref().is_some_and(|running| running.compiler == Compiler::Winch) {
        let words =
            format!("{bot}: compiled by Winch, which is quick and makes slower code; Cranelift's follows");
        row = row.noting(Cell::styled(words, style::FAINT));
    }
    if let Some(refused) = &status.refused {
        let content = refused.content.as_ref().map_or_else(String::new, |content| format!(" ({content})"));
        let words = format!("{bot}: refused{content} at {}: {}", refused.at.iso_8601(), refused.cause);
        row = row.noting(Cell::styled(words, style::BAD));
    }
    if !status.quarantined.is_empty() {
        let words = format!(
            "{bot}: kept out, since it failed again and again: {} (`hearth reload --lift {bot}` lets it in)",
            status.quarantined.join(", ")
        );
        row = row.noting(Cell::styled(words, style::ODD));
    }
    row
}

/// Prints what a reload came to.
pub(super) fn show_reloaded(reloaded: &Reloaded) {
    for (bot, outcome) in &reloaded.bots {
        let (style, words) = match outcome {
            Outcome::Unchanged => (style::FAINT, format!("  {bot}: unchanged")),
            Outcome::Live(generation) => (style::GOOD, format!("✓ {bot}: generation {generation} runs")),
            Outcome::Removed => (style::GOOD, format!("✓ {bot}: removed")),
            Outcome::Refused(cause) => (style::BAD, format!("✗ {bot}: {cause}")),
        };
        terminal::print(&paint(style, &words));
    }
    if let Some(cause) = &reloaded.config {
        terminal::print(&paint(style::BAD, &format!("✗ {cause}")));
    }
    restart(&reloaded.restart);
}

/// Whether all that was asked for could be done.
pub(super) fn is_whole(reloaded: &Reloaded) -> bool {
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    reloaded.config.is_none() && !reloaded.bots.values().any(refused)
}

fn restart(keys: &[String]) {
    if !keys.is_empty() {
        odd(&format!("! changed, and read at the next start only: {}", keys.join(", ")));
    }
}

fn odd(words: &str) {
    terminal::print(&paint(style::ODD, words));
}

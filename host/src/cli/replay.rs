//! `hearth replay`: turns of the journal again, on the plugin that served them or on another build.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use hyper::Method;
use miette::{IntoDiagnostic, Report, miette};
use serde::Serialize;

use super::{desk::Desk, operate::Ways, table, terminal};
use crate::{
    config::{Bot, Salvage},
    id::{BotName, TurnId},
    operator::TurnTold,
    plugin::{Generation, Loader},
    progress::Progress,
    rehearsal::replay::{Replayed, replay},
    serve::COMPILED,
    store::JournalRow,
};

/// Which turns, and on what.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["turn", "last"]))]
pub(super) struct Replay {
    /// The turn, as rooms and logs name it.
    turn: Option<String>,
    /// The last so many turns instead, up to 1000.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: Option<u32>,
    /// Only this bot's.
    #[arg(long, requires = "last")]
    bot: Option<String>,
    /// A build to run them on; without it, the one that served them.
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    #[command(flatten)]
    ways: Ways,
}

/// What came of a turn, for scripts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    turn: TurnId,
    bot: BotName,
    /// `same`, or what differs; why it can't be run again.
    verdict: String,
    replayed: Option<Replayed>,
}

/// The code that turns run on, loaded once.
struct Builds {
    loader: Loader,
    salvage: Salvage,
    plugin: Option<PathBuf>,
    loaded: HashMap<(BotName, String), Result<Arc<Generation>, String>>,
}

// === impl Replay ===

impl Replay {
    /// Runs them again, and says what is other than then. 1 if anything is, or can't be told.
    pub(super) async fn run(self, config: &Path) -> Result<ExitCode, Report> {
        let desk = self.ways.desk(config)?;
        let loader = Loader::new().into_diagnostic()?.keeping(&desk.place.data_dir.join(COMPILED));
        let salvage = Salvage::without_secrets(config)?;
        let plugin = self.plugin.as_ref().map(std::path::absolute).transpose().into_diagnostic()?;
        let mut builds = Builds { loader, salvage, plugin, loaded: HashMap::new() };
        let turns = self.turns(&desk).await?;
        let mut told = Vec::with_capacity(turns.len());
        for turn in turns {
            told.push(again(&desk, &mut builds, &turn).await?);
        }
        let is_same = told.iter().all(|told| told.replayed.as_ref().is_some_and(Replayed::is_same));
        match (self.last, told.as_slice()) {
            (None, [one]) => self.ways.show(one, || one.show())?,
            _ => self.ways.show(&told, || show_all(&told))?,
        }
        Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The turns' ids, oldest first.
    async fn turns(&self, desk: &Desk) -> Result<Vec<String>, Report> {
        if let Some(turn) = &self.turn {
            return Ok(vec![turn.clone()]);
        }
        let query = [("bot", self.bot.clone()), ("limit", self.last.map(|last| last.to_string()))];
        let rows: Vec<JournalRow> = desk.ask(Method::GET, &["turns"], &query).await?;
        if rows.is_empty() {
            let whose = self.bot.as_ref().map_or_else(String::new, |bot| format!(" of {bot}"));
            return Err(miette!("the journal has no turn{whose}"));
        }
        Ok(rows.into_iter().rev().map(|row| row.turn.to_string()).collect())
    }
}

async fn again(desk: &Desk, builds: &mut Builds, turn: &str) -> Result<Told, Report> {
    let TurnTold { turn: row, trace, .. } = desk.ask(Method::GET, &["turns", turn], &[]).await?;
    let replayed = match builds.of(&row).await {
        Ok(generation) => {
            let trace = trace.unwrap_or_default();
            replay(&generation, &row, &trace).await.map_err(|unplayable| unplayable.to_string())
        }
        Err(why) => Err(why),
    };
    Ok(Told {
        turn: row.turn,
        bot: row.lane.bot,
        verdict: replayed.as_ref().map_or_else(|why| format!("not run: {why}"), Replayed::verdict),
        replayed: replayed.ok(),
    })
}

// === impl Builds ===

impl Builds {
    /// The code for a turn.
    async fn of(&mut self, row: &JournalRow) -> Result<Arc<Generation>, String> {
        let name = &row.lane.bot;
        let hash = row.details["plugin"]["hash"].as_str().unwrap_or_default().to_owned();
        let build = if self.plugin.is_some() { String::new() } else { hash };
        let key = (name.clone(), build);
        if !self.loaded.contains_key(&key) {
            let progress = Progress::of(&format!("The plugin of {name} is being loaded"));
            let loaded = self.load(name, &key.1).await;
            drop(progress);
            self.loaded.insert(key.clone(), loaded.map(Arc::new));
        }
        self.loaded[&key].clone()
    }

    async fn load(&self, name: &BotName, hash: &str) -> Result<Generation, String> {
        let Some(bot) = self.salvage.config.bots.get(name) else {
            return Err(match self.salvage.refused.get(name) {
                Some(problems) => format!("{problems:#}"),
                None => format!(
                    "`{name}` is not in bots.toml any more, and only there are its settings and grants"
                ),
            });
        };
        if let Some(plugin) = &self.plugin {
            let bot = Arc::new(Bot { plugin: plugin.clone(), ..Bot::clone(bot) });
            return self.loader.load(&bot, 1).await.map_err(|error| error.to_string());
        }
        if hash.is_empty() {
            return Err("no plugin served it".to_owned());
        }
        let loaded = self.loader.load_again(bot, hash).await.map_err(|error| error.to_string())?;
        loaded.ok_or_else(|| {
            format!(
                "the build that served it ({hash}) is gone: the plugin's file is another one now, and what was compiled \
                 of it is not kept; run it on a build that is there with `--plugin {}`",
                bot.plugin.display()
            )
        })
    }
}

// === For people ===

impl Told {
    fn show(&self) {
        terminal::print(&format!("turn {} of {}: {}", self.turn, self.bot, self.verdict));
        let Some(replayed) = &self.replayed else { return };
        if replayed.then != replayed.now {
            terminal::print(&format!("it ran on {}, and now on {}", replayed.then, replayed.now));
        }
        for call in &replayed.calls {
            if call.is_same() {
                terminal::good(&call.call);
            } else {
                terminal::bad(&call.call);
            }
            for difference in call.said.iter().chain(&call.did) {
                terminal::print_diff(&difference.diff);
            }
            for question in &call.unknown {
                terminal::print(&format!("  ! it asks what nobody asked then:\n{}", indented(question)));
            }
        }
        for note in &replayed.notes {
            terminal::odd(note);
        }
    }
}

fn show_all(told: &[Told]) {
    let row = |told: &Told| [told.turn.to_string(), told.bot.to_string(), told.verdict.clone()];
    table::print(["turn", "bot", "now"], told.iter().map(row));
    let same = told.iter().filter(|told| told.replayed.as_ref().is_some_and(Replayed::is_same)).count();
    let run = told.iter().filter(|told| told.replayed.is_some()).count();
    terminal::print(&format!("{same} same, {} differ, {} not run", run - same, told.len() - run));
    if run > same {
        terminal::note("`hearth replay <turn>` with the same `--plugin` shows how a turn differs.");
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

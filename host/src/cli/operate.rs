//! What an operator does with a deployment: `hearth sessions`, `events`, `pause`, `resume`, `status`, `reload` and
//! `backup`.
//!
//! What to ask, and the answers in words or as JSON; [`desk`](super::desk) asks.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use hyper::Method;
use miette::{IntoDiagnostic, Report, miette};
use serde::Serialize;

use super::{
    desk::Desk,
    running,
    table::{self, Cell},
    terminal::{self, style},
};
use crate::{
    config::{Place, StoreLocation},
    id::EventId,
    operator::{Changed, Failure, Lifted, Now, PutBack},
    reload::Reloaded,
    stage,
    store::{Conversation, End, Forgotten, LISTED, Pause, Retry, back_up},
};

#[derive(Debug, Subcommand)]
pub(super) enum Operate {
    /// The conversations that bots remember.
    #[command(subcommand)]
    Sessions(Sessions),
    /// The messages that were not answered as they should be.
    #[command(subcommand)]
    Events(Events),
    /// Let a bot take messages without answering them, until it is resumed; without a bot, list what is paused.
    ///
    /// What is being answered is answered. The room is told nothing, except, as ever, when more messages wait than
    /// `queue-limit` allows. A pause lasts over restarts.
    Pause {
        /// The bot's name in the configuration.
        bot: Option<String>,
        /// Only in this room.
        #[arg(long, requires = "bot", value_name = "NUMBER")]
        room: Option<u64>,
        #[command(flatten)]
        ways: Ways,
    },
    /// Let a paused bot answer again, beginning with what waited.
    Resume {
        /// The bot's name in the configuration.
        bot: String,
        /// The room that was paused on its own.
        #[arg(long, value_name = "NUMBER")]
        room: Option<u64>,
        #[command(flatten)]
        ways: Ways,
    },
    /// Say what runs: each bot's generation, plugin and hash, since when, and what was refused; and the same of all hosts
    /// that share the store.
    Status {
        #[command(flatten)]
        ways: Ways,
    },
    /// Have the running host read bots.toml and every plugin again, and say what comes of it. It follows them by itself; this
    /// is for scripts, and for variables of the environment it can't see change. SIGHUP does the same.
    ///
    /// What can't be put in place leaves what ran before running; then the exit code is 1.
    Reload {
        /// Let code of this bot run again that was taken back, since it failed again and again.
        #[arg(long, value_name = "BOT")]
        lift: Option<String>,
        #[command(flatten)]
        ways: Ways,
    },
    /// Copy the store to a new file, also while a host works with it.
    ///
    /// The copy takes the place of the store's file of a host that does not run (its `-wal` and `-shm` must be gone).
    Backup {
        /// The file, which must not exist.
        file: PathBuf,
        #[command(flatten)]
        ways: Ways,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// List conversations: which one is continued in which room, and until when.
    List {
        /// Only this bot's.
        #[arg(long)]
        bot: Option<String>,
        #[command(flatten)]
        ways: Ways,
    },
    /// Let a bot begin new conversations. One that a turn uses is forgotten when that has ended.
    ///
    /// What was said stays in the agent's transcripts in the data folder, where nobody continues it.
    Forget {
        /// The bot's name.
        bot: String,
        /// Only in this room.
        #[arg(long, value_name = "NUMBER")]
        room: Option<u64>,
        #[command(flatten)]
        ways: Ways,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List messages that failed, or whose answer may not be in the room, newest first, and why.
    Failed {
        /// Only this bot's.
        #[arg(long)]
        bot: Option<String>,
        /// At most so many, up to 1000.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        ways: Ways,
    },
    /// Answer a message that failed after all, behind those that wait in its room.
    ///
    /// If there was an answer that could not be posted, its missing parts are posted; else the message is answered anew.
    Retry {
        /// The event, from `hearth events failed`.
        event: String,
        /// Also post what may be in the room already.
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        ways: Ways,
    },
}

/// How an operator's command works.
#[derive(Debug, Args)]
pub(super) struct Ways {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The deployment in the playground (`hearth dev`) instead of the real one.
    #[arg(long)]
    playground: bool,
}

// === impl Operate ===

impl Operate {
    /// Does it, with the deployment of the configuration at `config`.
    pub(super) async fn run(self, config: &Path) -> Result<ExitCode, Report> {
        match self {
            Self::Sessions(sessions) => sessions.run(config).await?,
            Self::Events(events) => events.run(config).await?,
            Self::Pause { bot: None, ways, .. } => {
                let pauses: Vec<Pause> = ways.desk(config)?.ask(Method::GET, &["pauses"], &[]).await?;
                ways.show(&pauses, || {
                    if pauses.is_empty() {
                        return terminal::print("Nothing is paused.");
                    }
                    let row = |pause: &Pause| {
                        let room = pause.scope.room.map_or_else(|| "all".to_owned(), |room| room.to_string());
                        let [bot, room] = [pause.scope.bot.to_string(), room].map(Cell::from);
                        [bot, room, Cell::time(pause.since)]
                    };
                    table::print(["bot", "room", "since"], pauses.iter().map(row));
                })?;
            }
            Self::Pause { bot: Some(bot), room, ways } => {
                let changed: Changed =
                    ways.desk(config)?.ask(Method::PUT, &["pauses", &bot], &[("room", number(room))]).await?;
                ways.show(&changed, || {
                    let already = if changed.changed { "" } else { " already" };
                    terminal::print(&format!("{} is paused{already}.", named(&bot, room)));
                })?;
            }
            Self::Resume { bot, room, ways } => {
                let changed: Changed = ways
                    .desk(config)?
                    .ask(Method::DELETE, &["pauses", &bot], &[("room", number(room))])
                    .await?;
                ways.show(&changed, || resumed(&bot, room, &changed))?;
            }
            Self::Status { ways } => {
                let now: Now = ways.desk(config)?.ask(Method::GET, &["status"], &[]).await?;
                ways.show(&now, || running::show_status(&now))?;
            }
            Self::Reload { lift: Some(bot), ways } => {
                let lifted: Lifted =
                    ways.desk(config)?.ask(Method::DELETE, &["quarantine", &bot], &[]).await?;
                ways.show(&lifted, || {
                    terminal::print(&match lifted.lifted.as_slice() {
                        [] => format!("Nothing of {bot} is kept out."),
                        hashes => format!("{bot} may run {} again.", hashes.join(", ")),
                    });
                })?;
            }
            Self::Reload { lift: None, ways } => {
                let reloaded: Reloaded = ways.desk(config)?.ask(Method::POST, &["reload"], &[]).await?;
                ways.show(&reloaded, || running::show_reloaded(&reloaded))?;
                if !running::is_whole(&reloaded) {
                    return Ok(ExitCode::FAILURE);
                }
            }
            Self::Backup { file, ways } => {
                let desk = ways.desk(config)?;
                let store = match desk.existing_store()? {
                    StoreLocation::Sqlite(store) => store,
                    StoreLocation::Redis(location) => {
                        return Err(miette!(
                            help = "have Redis write its data with BGSAVE and copy the file that it writes (`dump.rdb`), or copy its append-only files as its manual says",
                            "the store is {location}, which Redis itself backs up"
                        ));
                    }
                };
                let file = std::path::absolute(file).into_diagnostic()?;
                let copied = tokio::task::spawn_blocking(move || back_up(&store, &file)).await;
                let backup = copied.into_diagnostic()?.into_diagnostic()?;
                ways.show(&backup, || {
                    terminal::print(&format!(
                        "{} holds the store ({} bytes).",
                        backup.file.display(),
                        backup.bytes
                    ));
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what resuming came to.
fn resumed(bot: &str, room: Option<u64>, changed: &Changed) {
    let whole = changed.pauses.iter().any(|pause| pause.scope.room.is_none());
    let rooms: Vec<_> =
        changed.pauses.iter().filter_map(|pause| pause.scope.room).map(|room| room.to_string()).collect();
    let name = named(bot, room);
    terminal::print(&match (changed.changed, whole) {
        (false, false) => format!("{name} was not paused."),
        (true, false) => format!("{name} goes on."),
        (_, true) => format!("{bot} is still paused as a whole: `hearth resume {bot}`."),
    });
    if room.is_none() && !rooms.is_empty() {
        terminal::print(&format!(
            "Still paused on their own (`hearth resume {bot} --room …`): rooms {}.",
            rooms.join(", ")
        ));
    }
}

// === impl Sessions ===

impl Sessions {
    async fn run(self, config: &Path) -> Result<(), Report> {
        match self {
            Self::List { bot, ways } => {
                let sessions: Vec<Conversation> =
                    ways.desk(config)?.ask(Method::GET, &["sessions"], &[("bot", bot)]).await?;
                ways.show(&sessions, || {
                    if sessions.is_empty() {
                        return terminal::print("No conversation is remembered.");
                    }
                    let row = |session: &Conversation| {
                        let (lane, id) = (&session.lane, session.session.to_string());
                        let [bot, room, id] =
                            [lane.bot.to_string(), lane.room.to_string(), id].map(Cell::from);
                        [bot, room, id, Cell::time(session.expires_at)]
                    };
                    table::print(["bot", "room", "session", "forgotten at"], sessions.iter().map(row));
                    if sessions.len() == LISTED as usize {
                        terminal::note("There may be more; `--bot` narrows the list.");
                    }
                })
            }
            Self::Forget { bot, room, ways } => {
                let forgotten: Forgotten = ways
                    .desk(config)?
                    .ask(Method::DELETE, &["sessions", &bot], &[("room", number(room))])
                    .await?;
                ways.show(&forgotten, || {
                    let name = named(&bot, room);
                    terminal::print(&match (forgotten.now, forgotten.after_turn) {
                        (0, 0) => format!("{name} remembers no conversation."),
                        (now, 0) => format!("Forgot {now} of {name}."),
                        (now, later) => {
                            format!("Forgot {now} of {name}; {later} more when the turn that runs has ended.")
                        }
                    });
                })
            }
        }
    }
}

// === impl Events ===

impl Events {
    async fn run(self, config: &Path) -> Result<(), Report> {
        match self {
            Self::Failed { bot, limit, ways } => {
                let query = [("bot", bot), ("limit", Some(limit.to_string()))];
                let failures: Vec<Failure> =
                    ways.desk(config)?.ask(Method::GET, &["events", "failed"], &query).await?;
                ways.show(&failures, || {
                    if failures.is_empty() {
                        return terminal::print("Nothing failed.");
                    }
                    let header = ["event", "bot", "room", "message", "ended at", "state", "turn", "reason"];
                    table::print(header, failures.iter().map(failure));
                    if failures.len() == limit.min(LISTED) as usize {
                        terminal::note("There may be more; `--limit` shows them.");
                    }
                })
            }
            Self::Retry { event, anyway, ways } => {
                if event.parse::<EventId>().is_err() {
                    return Err(miette!(
                        help = "`hearth events failed` lists them, with their ids in the first column",
                        "`{event}` is no event"
                    ));
                }
                let query = [("anyway", anyway.then(|| "true".to_owned()))];
                let back: PutBack =
                    ways.desk(config)?.ask(Method::POST, &["events", &event, "retry"], &query).await?;
                ways.show(&back, || {
                    let how = match back.retry {
                        Retry::Anew => "the message is answered anew",
                        Retry::Posting => "the rest of its answer is posted",
                    };
                    terminal::print(&format!("{event} waits for {} in room {}: {how}.", back.bot, back.room));
                })
            }
        }
    }
}

fn failure(failure: &Failure) -> [Cell; 8] {
    let state = match failure.end {
        End::Failed => Cell::styled("failed", style::BAD),
        End::Done => Cell::styled("uncertain", style::ODD),
    };
    let reason = [failure.outcome.as_deref(), failure.cause.as_deref()].into_iter().flatten();
    [
        failure.event.to_string().into(),
        failure.bot.to_string().into(),
        failure.room.to_string().into(),
        failure.message.map_or_else(|| failure.kind.clone(), |message| message.to_string()).into(),
        Cell::time(failure.ended_at),
        state,
        failure.turn.as_ref().map_or_else(String::new, ToString::to_string).into(),
        reason.collect::<Vec<_>>().join(": ").into(),
    ]
}

fn named(bot: &str, room: Option<u64>) -> String {
    room.map_or_else(|| bot.to_owned(), |room| format!("{bot} in room {room}"))
}

fn number(room: Option<u64>) -> Option<String> {
    room.map(|room| room.to_string())
}

// === impl Ways ===

impl Ways {
    pub(super) fn desk(&self, config: &Path) -> Result<Desk, Report> {
        let mut place = Place::load(config)?;
        if self.playground {
            let (data_dir, store) = stage::below(&place.data_dir, stage::PLAYGROUND);
            (place.data_dir, place.store) = (data_dir, Some(store));
        }
        Ok(Desk { place })
    }

    /// Prints an answer, as JSON or in words.
    pub(super) fn show<T: Serialize>(&self, answer: &T, in_words: impl FnOnce()) -> Result<(), Report> {
        if self.json {
            terminal::print(&serde_json::to_string_pretty(answer).into_diagnostic()?);
        } else {
            in_words();
        }
        Ok(())
    }
}

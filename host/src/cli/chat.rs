//! `hearth chat`: a conversation with one bot in the terminal, through the same way as every message.
//!
//! Lines go to the bot's direct room in a playground of its own; what the bot posts there is printed. At the end of the
//! input (Ctrl-D, or the end of a pipe) what was asked is still answered.
//!
//! In a terminal there is a prompt with a history, and while the bot answers, a line says what it does. Elsewhere lines are
//! read and answers are printed as they come, as plain text or as JSON.

mod prompt;
mod shown;

use std::{io, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use miette::{IntoDiagnostic, Report, miette};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio_util::sync::CancellationToken;

use self::{prompt::Prompt, shown::Shows};
use super::{logging, run, terminal};
use crate::{
    config::Config,
    id::{BotName, LaneKey, MessageId},
    lane::{Lanes, Phase},
    playground::{Change, Changes, Message, Options, Playground},
    progress::Progress,
    serve::Hearth,
    stage::{ANY, Stage},
};

/// How long a message may take to reach the host, which is on the same machine.
const DELIVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether the plugin is loaded.
const LOOK: Duration = Duration::from_millis(20);

/// Talks to a bot until the input ends.
pub(super) async fn chat(mut config: Config, bot: String, json: bool) -> Result<ExitCode, Report> {
    logging::start("error");
    let name = BotName::from(bot.as_str());
    if !config.bots.contains_key(&name) {
        let known = config.bots.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(miette!(
            help = format!("name one of: {known}"),
            "{} has no bot `{bot}`",
            config.path.display()
        ));
    }
    config.bots.retain(|other, _| *other == name);
    let shows = Shows::fitting(json);
    let has_prompt = shows == Shows::Styled && io::IsTerminal::is_terminal(&io::stdin());
    if !has_prompt {
        // What was printed can't be edited.
        config.bots.values_mut().for_each(|bot| Arc::make_mut(bot).progress_after = None);
    }
    let stage =
        Stage::set(config, &format!("chat-{name}"), ANY, Options::default()).await.into_diagnostic()?;
    let lane = LaneKey { room: stage.rooms[&name], bot: name };
    let demo = if stage.config.agent.is_demo { ", answered by the demo agent" } else { "" };
    let history = stage.config.host.data_dir.join("history");
    let _guard = run::guarded(&stage.config);
    let hearth = Hearth::start(stage.config).await.into_diagnostic()?;
    let lanes = hearth.lanes().clone();

    let ended = CancellationToken::new();
    let closed = || ended.clone().cancelled_owned();
    let mut host = tokio::spawn(hearth.serve(stage.webhooks, closed(), closed()));
    let greeting = format!("Talking to {}{demo}. Ctrl-D ends it.", lane.bot);
    if shows == Shows::Json {
        terminal::note(&greeting);
    } else {
        terminal::print(&greeting);
    }
    let talk = Talk {
        changes: stage.playground.changes(),
        playground: stage.playground,
        lane,
        lanes,
        heard: None,
        shows,
    };
    let talking = async {
        if has_prompt {
            talk.converse(history).await
        } else {
            talk.relay(BufReader::new(tokio::io::stdin()).lines()).await
        }
    };
    let talked = tokio::select! {
        talked = talking => talked,
        // It ends by itself only if it has no agent.
        served = &mut host => {
            served.into_diagnostic()?.into_diagnostic()?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    ended.cancel();
    host.await.into_diagnostic()?.into_diagnostic()?;
    talked.map(|()| ExitCode::SUCCESS)
}

/// A conversation in one room.
struct Talk {
    playground: Playground,
    changes: Changes,
    lane: LaneKey,
    lanes: Lanes,
    /// The newest message that was printed or written here.
    heard: Option<MessageId>,
    shows: Shows,
}

impl Talk {
    /// Answers lines as they come. What runs when Ctrl-C comes is ended with its agent, and forgotten: nobody waits for it.
    async fn relay(mut self, mut input: Lines<BufReader<Stdin>>) -> Result<(), Report> {
        loop {
            tokio::select! {
                line = input.next_line() => match line.into_diagnostic()? {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => self.say(&line).await?,
                    None => break,
                },
                change = self.changes.next() => match change {
                    Some(Change::MessageCreated(_) | Change::Missed(_)) => self.print_new()?,
                    Some(_) => {}
                    None => return Ok(()),
                },
                interrupted = tokio::signal::ctrl_c() => return interrupted.into_diagnostic(),
            }
        }
        tokio::select! {
            () = self.lanes.drained() => self.print_new(),
            interrupted = tokio::signal::ctrl_c() => interrupted.into_diagnostic(),
        }
    }

    /// Asks for a line, shows how it is answered, and asks for the next one.
    async fn converse(mut self, history: PathBuf) -> Result<(), Report> {
        if !self.opened().await? {
            return Ok(());
        }
        let mut prompt = Prompt::new(&self.lane.bot, history)?;
        loop {
            let mut reading = prompt.read();
            let words = loop {
                let is_new = self.new_messages().next().is_some();
                tokio::select! {
                    words = &mut reading => break words?,
                    // The bot speaks of its own accord: a timer of it came.
                    () = self.lanes.drained(), if is_new => {
                        let texts = self.take_new()?;
                        reading.say(&texts.join("\n"))?;
                    }
                    change = self.changes.next(), if !is_new => if change.is_none() { return Ok(()) },
                }
            };
            let Some((line, back)) = words else { return Ok(()) };
            prompt = back;
            if !line.trim().is_empty() {
                self.say(&line).await?;
                if !self.answered().await? {
                    return Ok(());
                }
            }
        }
    }

    /// Waits until the bot's plugin is loaded; answers whether that is still wanted.
    async fn opened(&self) -> Result<bool, Report> {
        let progress = Progress::of(&format!("The plugin of {} is being loaded", self.lane.bot));
        let mut looks = tokio::time::interval(LOOK);
        while self.lanes.phase() == Phase::Opening {
            tokio::select! {
                _ = looks.tick() => {}
                interrupted = tokio::signal::ctrl_c() => return interrupted.into_diagnostic().map(|()| false),
            }
        }
        drop(progress);
        Ok(true)
    }

    /// Shows what the bot does until it is through, then what it wrote. Ctrl-C stops it. Answers whether to go on.
    async fn answered(&mut self) -> Result<bool, Report> {
        let progress = Progress::of(&format!("{} has it", self.lane.bot));
        let room = self.lane.room;
        loop {
            tokio::select! {
                () = self.lanes.drained() => break,
                change = self.changes.next() => match change {
                    Some(Change::MessageCreated(message) | Change::MessageUpdated(message))
                        if message.room == room => progress.say(&self.underway()),
                    Some(_) => {}
                    None => return Ok(false),
                },
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.into_diagnostic()?;
                    if !self.lanes.interrupt(&self.lane).await.into_diagnostic()? {
                        return Ok(false);
                    }
                }
            }
        }
        drop(progress);
        self.print_new()?;
        Ok(true)
    }

    /// What there is of an answer: reactions to what was said, and the first line that was written.
    fn underway(&self) -> String {
        let you = self.playground.you();
        let messages = self.playground.messages(self.lane.room);
        let said = messages.iter().rfind(|message| message.author == you);
        let boosts = said.into_iter().flat_map(|said| &said.boosts).map(|boost| boost.content.as_str());
        let written = messages.last().filter(|message| message.author != you);
        let line = written.and_then(|message| message.plain.lines().next());
        let line = line.map_or_else(|| format!("{} works on it", self.lane.bot), str::to_owned);
        terminal::tame(&boosts.chain([line.as_str()]).collect::<Vec<_>>().join(" "))
    }

    /// Says a line, and waits until the host has it: Campfire's deliveries may overtake each other.
    async fn say(&self, line: &str) -> Result<(), Report> {
        let said = self.playground.say(self.playground.you(), self.lane.room, line).into_diagnostic()?;
        let delivered = self.playground.wait_for_delivery(|delivery| delivery.message == said, DELIVERY);
        match delivered.await {
            Some(_) => Ok(()),
            None => Err(miette!("the message did not reach the host within {DELIVERY:?}")),
        }
    }

    /// Prints what others wrote since the last time.
    fn print_new(&mut self) -> Result<(), Report> {
        self.take_new()?.iter().for_each(|text| terminal::print(text));
        Ok(())
    }

    /// What others wrote since the last time, as it is shown.
    fn take_new(&mut self) -> Result<Vec<String>, Report> {
        let shown = |message: Message| self.shows.message(&self.playground, &self.lane.bot, &message);
        let texts = self.new_messages().map(shown).collect::<Result<_, _>>()?;
        self.heard = self.playground.messages(self.lane.room).last().map(|message| message.id).or(self.heard);
        Ok(texts)
    }

    fn new_messages(&self) -> impl Iterator<Item = Message> {
        let (you, heard) = (self.playground.you(), self.heard);
        let messages = self.playground.messages(self.lane.room).into_iter();
        messages.filter(move |message| Some(message.id) > heard && message.author != you)
    }
}

//! `hearth chat`: a conversation with one bot in the terminal, through the same way as every message.
//!
//! Lines from standard input go to the bot's direct room in a playground of its own; what the bot posts there is
//! printed. At the end of the input (Ctrl-D, or the end of a pipe) what was asked is still answered.

use std::{process::ExitCode, sync::Arc, time::Duration};

use miette::{IntoDiagnostic, Report, miette};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio_util::sync::CancellationToken;

use super::{logging, run, terminal};
use crate::{
    config::Config,
    id::{BotName, MessageId, RoomId},
    lane::Lanes,
    playground::{Change, Message, Options, Playground},
    serve::Hearth,
    stage::{ANY, Stage},
};

/// How long a message may take to reach the host, which is on the same machine.
const DELIVERY: Duration = Duration::from_secs(30);

/// Talks to a bot until the input ends.
pub(super) async fn chat(mut config: Config, bot: String) -> Result<ExitCode, Report> {
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
    // What was printed can't be edited.
    config.bots.values_mut().for_each(|bot| Arc::make_mut(bot).progress_after = None);
    let stage =
        Stage::set(config, &format!("chat-{name}"), ANY, Options::default()).await.into_diagnostic()?;
    let room = stage.rooms[&name];
    let demo = if stage.config.agent.is_demo { ", answered by the demo agent" } else { "" };
    let _guard = run::guarded(&stage.config);
    let hearth = Hearth::start(stage.config).await.into_diagnostic()?;
    let lanes = hearth.lanes().clone();

    let ended = CancellationToken::new();
    let closed = || ended.clone().cancelled_owned();
    let mut host = tokio::spawn(hearth.serve(stage.webhooks, closed(), closed()));
    terminal::print(&format!("Talking to {name}{demo}. Ctrl-D ends it."));
    let talk = Talk { playground: stage.playground, room, lanes, heard: None };
    let talked = tokio::select! {
        talked = talk.run(BufReader::new(tokio::io::stdin()).lines()) => talked,
        // What runs is ended with its agent, and forgotten: nobody waits for it.
        interrupted = tokio::signal::ctrl_c() => interrupted.into_diagnostic(),
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
    room: RoomId,
    lanes: Lanes,
    /// The newest message that was printed or written here.
    heard: Option<MessageId>,
}

impl Talk {
    async fn run(mut self, mut input: Lines<BufReader<Stdin>>) -> Result<(), Report> {
        let mut changes = self.playground.changes();
        loop {
            tokio::select! {
                line = input.next_line() => match line.into_diagnostic()? {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => self.say(&line).await?,
                    None => break,
                },
                change = changes.next() => match change {
                    Some(Change::MessageCreated(_) | Change::Missed(_)) => self.print_new(),
                    Some(_) => {}
                    None => return Ok(()),
                },
            }
        }
        self.lanes.drained().await;
        self.print_new();
        Ok(())
    }

    /// Says a line, and waits until the host has it: Campfire's deliveries may overtake each other.
    async fn say(&self, line: &str) -> Result<(), Report> {
        let said = self.playground.say(self.playground.you(), self.room, line).into_diagnostic()?;
        let delivered = self.playground.wait_for_delivery(|delivery| delivery.message == said, DELIVERY);
        match delivered.await {
            Some(_) => Ok(()),
            None => Err(miette!("the message did not reach the host within {DELIVERY:?}")),
        }
    }

    /// Prints what others wrote since the last time.
    fn print_new(&mut self) {
        let you = self.playground.you();
        let messages = self.playground.messages(self.room);
        let new = messages.iter().filter(|message| Some(message.id) > self.heard);
        new.filter(|message| message.author != you).for_each(|message| terminal::print(&shown(message)));
        self.heard = messages.last().map(|message| message.id).or(self.heard);
    }
}

/// A message as a terminal shows it.
fn shown(message: &Message) -> String {
    match &message.attachment {
        Some(file) => format!("📎 {} ({}, {} bytes)", file.name, file.media_type, file.size),
        None => message.plain.clone(),
    }
}

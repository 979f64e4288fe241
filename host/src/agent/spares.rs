//! Processes started ahead: the first message of a conversation finds one that is up, and is answered without a start.
//!
//! - A spare is started on the terms of the bot's last message, and only if the one before had the same: of a bot whose terms
//!   change with every message none would fit. It takes a message on the same terms or none; other terms end it.
//! - The conversation that begins with it is named when it is started. Whoever takes it notes that name before the process
//!   hears the message, so that an answer is found again if nobody lives to tell it.
//! - It waits among the processes of [`Pool`](super::pool), within the same limits and for as long, and is the first to
//!   go: it spares somebody a start, perhaps, where the others are sure to.
//! - It is started only once the turn that gives the occasion is past its own start, and through the same gate.
//!
//! The CLI says nothing of itself before it is spoken to. It is up once it has answered that the host serves it.

use std::{fmt, sync::Arc};

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Request, Runner,
    command::Conversation,
    exchange::later,
    live::{Live, Terms},
    pool::{Asked, Held},
    process::Leave,
    starter::{Plan, Starter},
};
use crate::{
    causes::with_causes,
    id::{BotName, SessionId},
};

/// A process that was started ahead and has been taken for a message. Dropped, it is ended.
pub struct Spare {
    pub(super) live: Live,
    session: SessionId,
}

/// One that is being started, and then waits.
struct Ahead {
    plan: Plan,
    held: Held,
    bot: BotName,
    terms: Arc<Terms>,
    starter: Arc<Starter>,
}

impl Runner {
    /// A process for the first message of a conversation, if one waits that fits. The conversation has a name already: note
    /// it before the message is run with the process, as it is what [`Request::begun_as`] is of a later attempt.
    pub async fn spare(&self, request: &Request) -> Option<Spare> {
        if request.session.is_some() || request.again || request.spares == 0 {
            return None;
        }
        let terms = Terms::of(&self.starter.command, request);
        let (session, live) = self.pool.take_spare(&request.bot, &terms).await?;
        Some(Spare { live, session })
    }

    /// Has as many spares as the bot is to have, once the turn of this message is past its start.
    pub(super) fn restock(&self, request: &Request, terms: &Arc<Terms>, past_start: &CancellationToken) {
        // With tools of the CLI's own each room has its folder, which a process is started in.
        let count = if request.builtin_tools.is_empty() { request.spares } else { 0 };
        if !self.pool.are_spares_wanted(&request.bot, terms, count) {
            return;
        }
        loop {
            let session = SessionId(Uuid::new_v4());
            let Some((held, asked)) = self.pool.reserve(&request.bot, session, terms, count) else { return };
            let Ok(plan) = self.starter.plan(request, Conversation::Begins(session)) else { return };
            let (bot, terms, starter) = (request.bot.clone(), Arc::clone(terms), Arc::clone(&self.starter));
            let ahead = Ahead { plan, held, bot, terms, starter };
            self.starter.endings.spawn(ahead.run(past_start.clone(), asked));
        }
    }
}

impl Ahead {
    async fn run(self, past_start: CancellationToken, mut asked: Asked) {
        let Self { plan, held, bot, terms, starter } = self;
        let started = tokio::select! {
            biased;
            // Nobody asks for one that is not up: it is not wanted any more.
            _ = &mut asked => return,
            started = start(&starter, plan, &bot, &terms, past_start) => started,
        };
        match started {
            Ok(live) => {
                held.is_up();
                held.wait(live, asked).await;
            }
            Err(why) => tracing::info!(%bot, why, "an agent could not be started ahead"),
        }
    }
}

/// Starts one and waits until it is up. Dropped meanwhile, it is ended.
async fn start(
    starter: &Starter,
    plan: Plan,
    bot: &BotName,
    terms: &Terms,
    past_start: CancellationToken,
) -> Result<Live, String> {
    past_start.cancelled().await;
    let launch = plan.prepared().await.map_err(|error| with_causes(&error))?;
    let _place = starter.starts.enter(bot, None).await;
    let process = starter.start(launch).map_err(|error| with_causes(&error))?;
    let mut live = Live::new(process, terms);
    let patience =
        later(Instant::now(), starter.deadlines.start.saturating_add(starter.deadlines.first_event));
    match timeout_at(patience, live.come_up()).await {
        Ok(Ok(())) => Ok(live),
        Ok(Err(why)) => {
            let stderr = live.process.dismiss(Leave::Terminated, &starter.environment.secrets);
            Err(format!("{why}; its stderr: {stderr}"))
        }
        Err(_) => Err("it did not come up in time".to_owned()),
    }
}

// === impl Spare ===

impl Spare {
    /// The name of the conversation that begins with it.
    pub fn session(&self) -> SessionId {
        self.session
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("session", &self.session).finish_non_exhaustive()
    }
}

//! A guest's code, and the calls that can be made of it. Each instantiates it anew in the store that it is given.

use wasmtime::{
    Engine, Store,
    component::{Component, HasSelf, Linker},
};

use super::{
    State,
    bindings::{
        bot::{Bot, BotPre},
        events::EventsPre,
        progress::ProgressPre,
        scheduled::ScheduledPre,
        tools::ToolsPre,
    },
    types::{
        BotError, Cause, Decision, Description, Display, Outcome, Part, Progress, Tool, ToolError, ToolOutput,
    },
    wasi,
};

/// Linked code, and which of the optional worlds it is for.
pub(in crate::plugin) struct Guest {
    bot: BotPre<State>,
    tools: Option<ToolsPre<State>>,
    progress: Option<ProgressPre<State>>,
    scheduled: Option<ScheduledPre<State>>,
    events: Option<EventsPre<State>>,
}

type Said<T> = wasmtime::Result<Result<T, BotError>>;

impl Guest {
    /// Links the component to everything version 1 may import, and to WASI if it imports that.
    pub(in crate::plugin) fn link(component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(component.engine());
        Bot::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        wasi::link(&mut linker, component)?;
        let pre = linker.instantiate_pre(component)?;
        let exports = |interface: &str| {
            component.get_export_index(None, format!("hearth:bot/{interface}@1.0.0")).map(|_| pre.clone())
        };
        Ok(Self {
            tools: exports("toolbox").map(ToolsPre::new).transpose()?,
            progress: exports("presenter").map(ProgressPre::new).transpose()?,
            scheduled: exports("timer-handler").map(ScheduledPre::new).transpose()?,
            events: exports("event-handler").map(EventsPre::new).transpose()?,
            bot: BotPre::new(pre)?,
        })
    }

    /// What it was compiled for.
    pub(in crate::plugin) fn engine(&self) -> &Engine {
        self.bot.engine()
    }

    /// Whether it takes causes of this kind.
    pub(in crate::plugin) fn takes(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Message(_) => true,
            Cause::Timer(_) => self.has_timers(),
            Cause::Occurrence(_) => self.has_events(),
        }
    }

    pub(in crate::plugin) fn has_tools(&self) -> bool {
        self.tools.is_some()
    }

    pub(in crate::plugin) fn has_progress(&self) -> bool {
        self.progress.is_some()
    }

    pub(in crate::plugin) fn has_timers(&self) -> bool {
        self.scheduled.is_some()
    }

    pub(in crate::plugin) fn has_events(&self) -> bool {
        self.events.is_some()
    }

    pub(in crate::plugin) async fn describe(
        &self,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Description> {
        self.bot.instantiate_async(&mut *store).await?.hearth_bot_handler().call_describe(store).await
    }

    pub(in crate::plugin) async fn decide(&self, store: &mut Store<State>, cause: &Cause) -> Said<Decision> {
        match cause {
            Cause::Message(event) => {
                let bot = self.bot.instantiate_async(&mut *store).await?;
                bot.hearth_bot_handler().call_on_message(store, event).await
            }
            Cause::Timer(timer) => {
                let scheduled = there(self.scheduled.as_ref())?.instantiate_async(&mut *store).await?;
                scheduled.hearth_bot_timer_handler().call_on_timer(store, timer).await
            }
            Cause::Occurrence(occurrence) => {
                let events = there(self.events.as_ref())?.instantiate_async(&mut *store).await?;
                events.hearth_bot_event_handler().call_on_occurrence(store, occurrence).await
            }
        }
    }

    pub(in crate::plugin) async fn format_reply(
        &self,
        store: &mut Store<State>,
        cause: &Cause,
        outcome: &Outcome,
    ) -> Said<Vec<Part>> {
        match cause {
            Cause::Message(event) => {
                let bot = self.bot.instantiate_async(&mut *store).await?;
                bot.hearth_bot_handler().call_format_reply(store, event, outcome).await
            }
            Cause::Timer(timer) => {
                let scheduled = there(self.scheduled.as_ref())?.instantiate_async(&mut *store).await?;
                scheduled.hearth_bot_timer_handler().call_format_timer_reply(store, timer, outcome).await
            }
            Cause::Occurrence(occurrence) => {
                let events = there(self.events.as_ref())?.instantiate_async(&mut *store).await?;
                let handler = events.hearth_bot_event_handler();
                handler.call_format_occurrence_reply(store, occurrence, outcome).await
            }
        }
    }

    pub(in crate::plugin) async fn list_tools(
        &self,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Vec<Tool>> {
        let tools = there(self.tools.as_ref())?.instantiate_async(&mut *store).await?;
        tools.hearth_bot_toolbox().call_list_tools(store).await
    }

    pub(in crate::plugin) async fn call_tool(
        &self,
        store: &mut Store<State>,
        cause: &Cause,
        name: &str,
        input: &str,
    ) -> wasmtime::Result<Result<ToolOutput, ToolError>> {
        let tools = there(self.tools.as_ref())?.instantiate_async(&mut *store).await?;
        tools.hearth_bot_toolbox().call_call_tool(store, cause, name, input).await
    }

    pub(in crate::plugin) async fn show(
        &self,
        store: &mut Store<State>,
        cause: &Cause,
        progress: &Progress,
    ) -> wasmtime::Result<Display> {
        let presenter = there(self.progress.as_ref())?.instantiate_async(&mut *store).await?;
        presenter.hearth_bot_presenter().call_show(store, cause, progress).await
    }
}

fn there<T>(world: Option<&T>) -> wasmtime::Result<&T> {
    world.ok_or_else(|| wasmtime::Error::msg("the plugin does not export the interface that this call needs"))
}

//! What one call carries: its bounds, what it is about, and what it may reach.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{types::Capability, wasi::Wasi};
use crate::{
    config::{HttpHost, Limits},
    id::Timestamp,
    plugin::{
        bound::Bound,
        engine::Bounded,
        grant,
        reach::Reach,
        trace::{Told, Tracer},
        word,
    },
};

/// What a call is made with.
#[derive(Clone)]
pub(in crate::plugin) struct Calling {
    /// The bot's name.
    pub(in crate::plugin) bot: crate::id::BotName,
    /// Its settings, as JSON.
    pub(in crate::plugin) settings: Arc<str>,
    /// The servers it may reach.
    pub(in crate::plugin) http: Arc<[HttpHost]>,
    /// What the plugin asks for.
    pub(in crate::plugin) wants: Arc<[Capability]>,
    /// What of that the bot grants.
    pub(in crate::plugin) granted: Arc<[Capability]>,
    /// Whether the plugin can be called for a timer.
    pub(in crate::plugin) takes_timers: bool,
    /// What the turn is about; none while the plugin is loaded, when nothing can be reached.
    pub(in crate::plugin) reach: Option<Reach>,
}

/// The state of one call's store.
pub(in crate::plugin) struct State {
    pub(in crate::plugin) bound: Bound,
    pub(super) calling: Calling,
    /// None before the guest calls WASI. The lock is never taken: it is what makes the state shareable, so that an import
    /// may wait while it reads it.
    pub(super) wasi: Mutex<Option<Box<Wasi>>>,
}

impl State {
    pub(in crate::plugin) fn new(calling: Calling, limits: &Limits) -> Self {
        Self { bound: Bound::new(limits), calling, wasi: Mutex::default() }
    }

    /// Counts a call of the host; every import begins with it. A host's function costs the guest nothing, so it is not the
    /// epoch that stops a guest which calls it for ever.
    pub(super) fn enter(&mut self) -> wasmtime::Result<()> {
        Ok(self.bound.host_call()?)
    }

    /// Has a call of the host answered: by `answer`, or, if it is granted and makes sense, by what stands in for the world.
    /// It is taken down for whoever wants to know.
    pub(super) async fn ask<T, E>(
        &self,
        (function, capability): (&str, Capability),
        arguments: Value,
        makes_sense: impl FnOnce() -> bool,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: Serialize + DeserializeOwned,
    {
        let began = Instant::now();
        let world = self.granted(capability).and_then(|reach| reach.services.world());
        let played = world.filter(|_| makes_sense()).and_then(|world| world.answer(function, &arguments));
        let played = played.and_then(|answer| serde_json::from_value::<Told<T, E>>(answer).ok());
        let answer = match played {
            Some(played) => played.result(),
            None => answer.await,
        };
        if let Some(tracer) = self.tracer() {
            tracer.host(function, &arguments, &Told::from(answer.as_ref()), began);
        }
        answer
    }

    /// Where the turn is taken down.
    pub(super) fn tracer(&self) -> Option<&Tracer> {
        self.calling.reach.as_ref().and_then(|reach| reach.tracer.as_ref())
    }

    /// When the host received what the turn is about; the beginning of time while the plugin is loaded.
    pub(super) fn received_at(&self) -> Timestamp {
        self.calling.reach.as_ref().map_or(Timestamp(0), |reach| reach.received_at)
    }

    /// What can be reached if this capability was asked for and granted.
    pub(super) fn granted(&self, capability: Capability) -> Option<&Reach> {
        self.calling.reach.as_ref().filter(|_| self.calling.granted.contains(&capability))
    }

    /// Why a capability is out of reach, and what would change that.
    pub(super) fn denied(&self, capability: Capability) -> String {
        let word = word(capability);
        if self.calling.reach.is_none() {
            return format!("`{word}` is denied while the plugin is loaded; call it in a turn");
        }
        if !self.calling.wants.contains(&capability) {
            return format!(
                "`{word}` is denied: the plugin does not ask for it; name it in `wants` of its description"
            );
        }
        let bot = &self.calling.bot;
        match grant(capability) {
            Some(_) => {
                format!(
                    "`{word}` is denied: the bot does not grant it; add \"{word}\" to `grants` of [bots.{bot}] in bots.toml"
                )
            }
            None => format!(
                "`{word}` is denied: the bot grants no server; add a table [bots.{bot}.{word}.\"<host>\"] to bots.toml for each"
            ),
        }
    }
}

impl Bounded for State {
    fn bound(&mut self) -> &mut Bound {
        &mut self.bound
    }
}

impl super::bindings::bot::hearth::bot::types::Host for State {}

#[cfg(test)]
mod tests {
    use super::{super::bench::Bench, *};

    #[tokio::test]
    async fn a_denial_names_what_would_change_it() {
        let bench = Bench::new().await;
        let mut state = bench.state(&[]);
        assert_eq!(
            state.denied(Capability::Kv),
            "`kv` is denied: the plugin does not ask for it; name it in `wants` of its description"
        );
        state.calling.wants = [Capability::Kv, Capability::Http].into();
        assert_eq!(
            state.denied(Capability::Kv),
            "`kv` is denied: the bot does not grant it; add \"kv\" to `grants` of [bots.helper] in bots.toml"
        );
        assert_eq!(
            state.denied(Capability::Http),
            "`http` is denied: the bot grants no server; add a table [bots.helper.http.\"<host>\"] to bots.toml for each"
        );
        state.calling.reach = None;
        assert_eq!(
            state.denied(Capability::Kv),
            "`kv` is denied while the plugin is loaded; call it in a turn"
        );
    }
}

//! `settings`: what the operator configured.

use super::{State, bindings::bot::hearth::bot::settings::Host};

impl Host for State {
    async fn get(&mut self) -> wasmtime::Result<String> {
        self.enter()?;
        Ok(self.calling.settings.to_string())
    }
}

//! `clock`: the time, or, where that is not granted, the moment the turn is about.

use serde_json::json;

use super::{State, bindings::bot::hearth::bot::clock::Host, types::Capability};

impl Host for State {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        let now = async {
            let now =
                self.granted(Capability::Clock).map_or(self.received_at(), |reach| reach.services.now());
            Ok::<_, ()>(u64::try_from(now.0).unwrap_or_default())
        };
        let now = self.ask(("clock.now", Capability::Clock), json!({}), || true, now).await;
        Ok(now.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::bench::{Bench, RECEIVED_AT},
        *,
    };
    use crate::id::Timestamp;

    #[tokio::test]
    async fn time_stands_still_without_the_grant() {
        let bench = Bench::new().await;
        let now = bench.state(&[]).now().await.unwrap();
        assert_eq!(now, u64::try_from(RECEIVED_AT.0).unwrap());
    }

    #[tokio::test]
    async fn with_the_grant_it_is_now() {
        let bench = Bench::new().await;
        let before = Timestamp::now();
        let now = bench.state(&[Capability::Clock]).now().await.unwrap();
        assert!((before.0..=Timestamp::now().0).contains(&i64::try_from(now).unwrap()));
    }
}

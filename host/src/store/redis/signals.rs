//! What hosts say to each other: one channel of Redis' pub/sub for each host, `host:<id>` behind the prefix.
//!
//! - A host hears only what is meant for it, so the traffic does not grow with the square of the hosts; and `PUBLISH`
//!   answers how many listen there, which is how it is known whether a host is alive, without a list of hosts.
//! - Signals are given within the script that writes what they are about: none goes out for what did not take place.
//! - Plain pub/sub and no sharded one: scripts run on the one primary that has the store's slot, each host listens there,
//!   and so both would do the same. A user who may not publish (ACL) loses the hints, not the write: `pcall` in the scripts.
//! - The listener's connection is its own, since Redis allows little else on it. It is asked for a sign of life, for a
//!   connection that leads nowhere looks like one on which nobody speaks.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::{
    Value,
    aio::{PubSubSink, PubSubStream},
};

use super::{Answer, OK, RedisStore, StoreError, answer, answer::malformed, lane_word, scripts};
use crate::{
    id::{EventId, HostId, LaneKey, Timestamp},
    store::{Asked, Lease, Manner, Signal, Signals},
};

/// How often the connection is asked for a sign of life, and how long it may take to give one.
const PULSE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(2));
/// The first and the longest pause before it is made anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

#[async_trait]
impl Signals for RedisStore {
    async fn listen(&self, host: HostId, hear: &(dyn Fn(Signal) + Send + Sync)) {
        let (mut pause, mut is_told) = (PAUSES.0, false);
        while !self.link.is_closed() {
            let error = match self.link.subscribe(&channel(host)).await {
                Ok((sink, stream)) => {
                    if std::mem::take(&mut is_told) {
                        tracing::info!("other hosts are heard again");
                    }
                    pause = PAUSES.0;
                    hear(Signal::Listening);
                    tokio::select! {
                        error = alive(sink) => error,
                        () = hear_all(stream, hear) => StoreError::Unavailable("the connection was lost".into()),
                    }
                }
                Err(error) => error,
            };
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(%error, "other hosts can't be heard; what they leave is found a little later");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn ask_for(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
        manner: Manner,
    ) -> Result<Asked, StoreError> {
        let manner = match manner {
            Manner::Politely => "politely",
            Manner::Insistently => "insistently",
        };
        let mut answer = self.ask_for_lease(lane, host, now, until, manner).await?;
        Ok(match &*answer.word {
            OK => Asked::Granted(Lease { lane: lane.clone(), token: answer.parsed()? }),
            "held" => Asked::Held,
            "idle" => Asked::Idle,
            "called" => Asked::Called(answer.parsed()?),
            _ => return Err(malformed()),
        })
    }

    async fn leave(&self, lane: &LaneKey, caller: HostId) -> Result<(), StoreError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.link.key(&channel(caller))).arg(format!("left {}", lane_word(lane)));
        self.link.query::<u64>(&command).await.map(drop)
    }

    async fn stop(&self, lane: &LaneKey) -> Result<bool, StoreError> {
        let answer = self.link.ask(self.link.call(&scripts::STOP).arg(lane_word(lane))).await?;
        Ok(answer.word == OK)
    }

    async fn note_full(&self, lane: &LaneKey, told: bool) -> Result<bool, StoreError> {
        let mut call = self.link.call(&scripts::NOTE_FULL);
        Ok(self.link.ask(call.arg(lane_word(lane)).arg(u8::from(told))).await?.word == OK)
    }

    async fn stopped(&self, lanes: &[LaneKey]) -> Result<Vec<(LaneKey, EventId)>, StoreError> {
        let mut call = self.link.call(&scripts::STOPPED);
        for lane in lanes {
            call.arg(lane_word(lane));
        }
        let mut answer = self.link.ask(&call).await?;
        let mut stopped = Vec::new();
        while !answer.is_over() {
            stopped.push((answer.lane()?, answer.parsed()?));
        }
        Ok(stopped)
    }
}

impl RedisStore {
    /// Asks for a lane's lease: in one of the manners of hosts that leave a lane where it was, or in none.
    pub(super) async fn ask_for_lease(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
        manner: &str,
    ) -> Result<Answer, StoreError> {
        let mut call = self.link.call(&scripts::LEASE);
        call.arg(lane_word(lane)).arg(host.to_string()).arg(self.clock.at(now));
        self.link.ask(call.arg(until.0.saturating_sub(now.0)).arg(manner)).await
    }
}

fn channel(host: HostId) -> String {
    format!("host:{host}")
}

/// Hands on what is heard, until the connection ends.
async fn hear_all(mut stream: PubSubStream, hear: &(dyn Fn(Signal) + Send + Sync)) {
    while let Some(message) = stream.next().await {
        // A later version may say more than this one understands.
        if let Some(signal) = message.get_payload::<String>().ok().as_deref().and_then(read) {
            hear(signal);
        }
    }
}

/// Asks for a sign of life until there is none.
async fn alive(mut sink: PubSubSink) -> StoreError {
    loop {
        tokio::time::sleep(PULSE.0).await;
        match tokio::time::timeout(PULSE.1, sink.ping::<Value>()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return StoreError::Unavailable(error.to_string().into()),
            Err(_) => return StoreError::Unavailable("the connection gives no sign of life".into()),
        }
    }
}

/// What the scripts and [`Signals::leave`] write: the lane comes last.
fn read(text: &str) -> Option<Signal> {
    let (rest, lane) = text.rsplit_once(' ')?;
    let lane = answer::lane(lane).ok()?;
    let mut words = rest.split(' ');
    let signal = match (words.next()?, words.next()) {
        ("take", Some(caller)) => Signal::Take { lane, caller: HostId(caller.parse().ok()?) },
        ("stop", Some(event)) => Signal::Stop { lane, event: event.parse().ok()? },
        ("left", None) => Signal::Left { lane },
        _ => return None,
    };
    words.next().is_none().then_some(signal)
}

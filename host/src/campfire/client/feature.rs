//! What a Campfire can do besides taking posts, found out where a 404 leaves it open.
//!
//! A server that is too old for something answers 404, as one does that knows no such room or message. What tells them
//! apart is the order in which Campfire looks: first whether there is such a thing to ask for, then at the key, then at
//! room and message. So the same is asked with a key that is nobody's: where that is answered 404 as well, there is no
//! such thing; where it is answered with the way to the sign-in page, there is.
//!
//! What was learned holds for [`KNOWN_FOR`], for a Campfire may be updated under a running host. An answer that tells
//! neither teaches nothing.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::{Client, RequestError, Target};
use crate::id::MessageId;

/// How long it is taken for granted that a Campfire can or can't do something.
const KNOWN_FOR: Duration = Duration::from_hours(1);

/// Of how many Campfires and features something is known at most.
const KNOWN: usize = 256;

/// A key that no bot has: users are numbered from 1.
const NOBODY: &str = "0-nobody";

/// What only newer Campfires can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Reading a room's messages.
    History,
    /// Editing and removing one's own messages.
    Editing,
    /// Boosts.
    Boosts,
}

/// What is known of Campfires, and until when.
#[derive(Debug, Default)]
pub(super) struct Features(Mutex<HashMap<(Url, Feature), (bool, Instant)>>);

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::History => "reading a room's messages",
            Self::Editing => "editing and removing messages",
            Self::Boosts => "boosts",
        })
    }
}

// === impl Features ===

impl Features {
    /// Whether this Campfire can do it, if that is known.
    fn has(&self, base: &Url, feature: Feature, now: Instant) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (has, until) = known.get(&(base.clone(), feature))?;
        (*until > now).then_some(*has)
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn learn(&self, base: &Url, feature: Feature, has: bool, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.retain(|_, (_, until)| *until > now);
        }
        let key = (base.clone(), feature);
        if known.len() < KNOWN || known.contains_key(&key) {
            known.insert(key, (has, now + KNOWN_FOR));
        }
    }
}

// === impl Client ===

impl Client {
    /// Finds out anew what Campfires can do: one of them has been changed for another.
    pub fn forget_features(&self) {
        self.features.forget();
    }

    /// Sends what only newer Campfires understand. `gone` is the failure if this one does, and answers that there is no
    /// such thing.
    pub(super) async fn ask(
        &self,
        target: &Target,
        feature: Feature,
        method: Method,
        at: impl Fn(&Target) -> Result<Url, RequestError>,
        gone: RequestError,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RequestError> {
        let known = self.features.has(&target.base, feature, Instant::now());
        if known == Some(false) {
            return Err(RequestError::Unsupported(feature));
        }
        let deadline = self.deadline();
        let response = self.send(target, method.clone(), at(target)?, deadline, fill).await?;
        if !is_absent(response.status()) {
            if response.status().is_success() {
                self.features.learn(&target.base, feature, true, Instant::now());
            }
            return Ok(response);
        }
        if known == Some(true) {
            return Err(gone);
        }
        match self.find_out(target, feature, method, at, deadline).await? {
            Some(false) => Err(RequestError::Unsupported(feature)),
            Some(true) | None => Err(gone),
        }
    }

    /// Whether this Campfire can edit messages; none if that can't be found out now. Touches no message.
    pub async fn can_edit(&self, target: &Target) -> Option<bool> {
        let known = self.features.has(&target.base, Feature::Editing, Instant::now());
        if known.is_some() {
            return known;
        }
        let at = |target: &Target| target.message(MessageId(1));
        let found = self.find_out(target, Feature::Editing, Method::PATCH, at, self.deadline()).await;
        found.ok().flatten()
    }

    /// Asks as a stranger, and learns from the answer.
    async fn find_out(
        &self,
        target: &Target,
        feature: Feature,
        method: Method,
        at: impl Fn(&Target) -> Result<Url, RequestError>,
        deadline: Instant,
    ) -> Result<Option<bool>, RequestError> {
        let stranger = Target { bot_key: NOBODY.into(), ..target.clone() };
        let answer = self.send(&stranger, method, at(&stranger)?, deadline, |request| request).await;
        let has = answer.ok().and_then(|answer| is_there(answer.status()));
        if let Some(has) = has {
            self.features.learn(&target.base, feature, has, Instant::now());
            if !has {
                tracing::info!(campfire = %target.base, "this Campfire is too old for {feature}");
            }
        }
        Ok(has)
    }
}

fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// Whether there is something to ask for, by the answer that a stranger got; none if that says nothing.
fn is_there(status: StatusCode) -> Option<bool> {
    match status {
        status if is_absent(status) => Some(false),
        status if status.is_redirection() => Some(true),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(port: usize) -> Url {
        Url::parse(&format!("http://chat.example:{port}")).unwrap()
    }

    #[test]
    fn what_was_learned_holds_for_an_hour_and_for_one_campfire() {
        let (features, now) = (Features::default(), Instant::now());
        assert_eq!(features.has(&base(1), Feature::History, now), None);
        features.learn(&base(1), Feature::History, false, now);
        features.learn(&base(1), Feature::Boosts, true, now);
        let almost = now + KNOWN_FOR - Duration::from_millis(1);
        assert_eq!(features.has(&base(1), Feature::History, almost), Some(false));
        assert_eq!(features.has(&base(1), Feature::Boosts, almost), Some(true));
        assert_eq!(features.has(&base(1), Feature::Editing, almost), None);
        assert_eq!(features.has(&base(2), Feature::History, almost), None);
        assert_eq!(features.has(&base(1), Feature::History, now + KNOWN_FOR), None);
        features.learn(&base(1), Feature::History, true, now + KNOWN_FOR);
        assert_eq!(features.has(&base(1), Feature::History, now + KNOWN_FOR), Some(true));
    }

    #[test]
    fn what_is_known_has_a_bound_and_the_old_makes_room() {
        let (features, now) = (Features::default(), Instant::now());
        for port in 1..=KNOWN + 1 {
            features.learn(&base(port), Feature::History, true, now);
        }
        assert_eq!(features.0.lock().unwrap().len(), KNOWN);
        assert_eq!(features.has(&base(KNOWN + 1), Feature::History, now), None);
        features.learn(&base(KNOWN + 1), Feature::History, true, now + KNOWN_FOR);
        assert_eq!(features.0.lock().unwrap().len(), 1);
    }
}

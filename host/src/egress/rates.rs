//! How many requests a bot makes: so many at once, and so many in any minute.
//!
//! A bot that has made none for a minute is forgotten, so what is kept is bounded by the bots that make requests.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{AT_ONCE, Fault, PER_MINUTE};
use crate::{id::BotName, window::Window};

/// What every bot has used.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<BotName, Usage>>);

/// What one bot has used.
#[derive(Default)]
struct Usage {
    running: usize,
    begun: Window,
}

/// The right to one request; it ends with this.
pub(super) struct Permit<'a> {
    rates: &'a Rates,
    bot: BotName,
}

impl Rates {
    /// Counts a request that begins now.
    pub(super) fn enter(&self, bot: &BotName, now: Instant) -> Result<Permit<'_>, Fault> {
        let mut bots = self.lock();
        bots.retain(|_, usage| usage.is_current(now));
        bots.entry(bot.clone()).or_default().enter(now)?;
        Ok(Permit { rates: self, bot: bot.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BotName, Usage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn is_current(&self, now: Instant) -> bool {
        self.running > 0 || self.begun.is_recent(now)
    }

    fn enter(&mut self, now: Instant) -> Result<(), Fault> {
        if self.running >= AT_ONCE {
            return Err(Fault::AtOnce);
        }
        self.begun.take(1, PER_MINUTE, now).map_err(Fault::PerMinute)?;
        self.running += 1;
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(usage) = self.rates.lock().get_mut(&self.bot) {
            usage.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_fifth_request_at_once_is_refused_and_another_bots_is_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let [one, other] = ["one", "other"].map(BotName::from);
        let mut running: Vec<_> = (0..4).map(|_| rates.enter(&one, now).unwrap()).collect();
        assert!(matches!(rates.enter(&one, now), Err(Fault::AtOnce)));
        assert!(rates.enter(&other, now).is_ok());
        running.pop();
        assert!(rates.enter(&one, now).is_ok());
    }

    #[test]
    fn the_sixty_first_in_a_minute_is_told_when_it_can_come() {
        let (rates, start) = (Rates::default(), Instant::now());
        let bot = BotName::from("one");
        for second in 0..60 {
            rates.enter(&bot, start + Duration::from_millis(500 * second)).unwrap();
        }
        let refused = rates.enter(&bot, start + Duration::from_secs(40)).err().unwrap();
        assert!(matches!(refused, Fault::PerMinute(wait) if wait == Duration::from_secs(20)), "{refused:?}");
        assert!(rates.enter(&bot, start + MINUTE).is_ok());
    }

    #[test]
    fn a_bot_that_is_quiet_for_a_minute_is_forgotten() {
        let (rates, start) = (Rates::default(), Instant::now());
        for n in 0..100 {
            drop(rates.enter(&BotName::from(format!("bot-{n}").as_str()), start).unwrap());
        }
        let running = rates.enter(&BotName::from("bot-0"), start).unwrap();
        drop(rates.enter(&BotName::from("bot-1"), start + MINUTE).unwrap());
        assert_eq!(rates.lock().len(), 2);
        drop(running);
    }
}

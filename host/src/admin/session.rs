//! Who has logged in, and who has tried too often: bounded in number and time, in memory only.
//!
//! Time is passed in.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How long a login holds.
pub(super) const SESSION: Duration = Duration::from_hours(12);
/// How many there may be; one more ends the oldest.
const SESSIONS: usize = 64;
/// How many wrong tokens one machine may send in [`WINDOW`]. A token has 16 characters or more: this is about noise.
const ATTEMPTS: u32 = 10;
/// For how long an attempt counts.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// How many machines are told apart; all others count as one.
const MACHINES: usize = 1024;

/// The logins that hold.
#[derive(Default)]
pub(super) struct Sessions {
    /// By the hash of the cookie: to look one up tells nothing about others, however long it takes.
    held: HashMap<[u8; 32], Session>,
}

struct Session {
    until: Instant,
    /// What its actions must carry.
    action_token: String,
}

/// Wrong tokens of late.
#[derive(Default)]
pub(super) struct Attempts {
    /// By machine: how many since when.
    counted: HashMap<IpAddr, (u32, Instant)>,
}

// === impl Sessions ===

impl Sessions {
    /// Begins one; answers the cookie.
    pub(super) fn begin(&mut self, now: Instant) -> String {
        self.held.retain(|_, session| session.until > now);
        if self.held.len() >= SESSIONS
            && let Some(oldest) =
                self.held.iter().min_by_key(|(_, session)| session.until).map(|(key, _)| *key)
        {
            self.held.remove(&oldest);
        }
        let cookie = random();
        self.held.insert(key(&cookie), Session { until: now + SESSION, action_token: random() });
        cookie
    }

    /// What the actions of the cookie's session must carry; none if there is no such session, or no more.
    pub(super) fn action_token(&self, cookie: &str, now: Instant) -> Option<&str> {
        let session = self.held.get(&key(cookie)).filter(|session| session.until > now)?;
        Some(&session.action_token)
    }

    /// Ends one.
    pub(super) fn end(&mut self, cookie: &str) {
        self.held.remove(&key(cookie));
    }
}

// === impl Attempts ===

impl Attempts {
    /// Whether this machine has to wait before its next attempt is looked at.
    pub(super) fn are_too_many(&self, peer: IpAddr, now: Instant) -> bool {
        let counted = self.counted.get(&self.machine(peer));
        counted.is_some_and(|(attempts, since)| *attempts >= ATTEMPTS && now < *since + WINDOW)
    }

    /// Counts a wrong token.
    pub(super) fn count(&mut self, peer: IpAddr, now: Instant) {
        self.counted.retain(|_, (_, since)| now < *since + WINDOW);
        let machine = self.machine(peer);
        self.counted.entry(machine).or_insert((0, now)).0 += 1;
    }

    /// An IPv6 network of one owner is one machine, and so are all machines there is no room for.
    fn machine(&self, peer: IpAddr) -> IpAddr {
        let machine = match peer.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            other @ IpAddr::V4(_) => other,
        };
        if self.counted.len() < MACHINES || self.counted.contains_key(&machine) {
            machine
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))
        }
    }
}

fn key(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

/// 64 characters that nobody guesses.
pub(super) fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_holds_until_it_is_ended_or_over() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (one, other) = (sessions.begin(now), sessions.begin(now));
        let token = sessions.action_token(&one, now).unwrap().to_owned();
        assert_ne!(sessions.action_token(&other, now), Some(&*token));
        assert!(one.len() == 64 && token.len() == 64 && one != token);
        assert!(sessions.action_token("", now).is_none());
        assert!(sessions.action_token(&one, now + SESSION).is_none());
        sessions.end(&one);
        assert!(sessions.action_token(&one, now).is_none() && sessions.action_token(&other, now).is_some());
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        let cookies: Vec<_> =
            (0..=u64::try_from(SESSIONS).unwrap()).map(|second| sessions.begin(later(second))).collect();
        assert!(sessions.action_token(&cookies[0], later(100)).is_none());
        assert!(cookies[1..].iter().all(|cookie| sessions.action_token(cookie, later(100)).is_some()));
    }

    #[test]
    fn a_machine_that_tries_too_often_waits_and_others_do_not() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = address("10.0.0.1");
        for _ in 0..ATTEMPTS {
            assert!(!attempts.are_too_many(one, now));
            attempts.count(one, now);
        }
        assert!(attempts.are_too_many(one, now) && attempts.are_too_many(address("::ffff:10.0.0.1"), now));
        assert!(!attempts.are_too_many(address("10.0.0.2"), now));
        assert!(!attempts.are_too_many(one, now + WINDOW));
        (0..ATTEMPTS).for_each(|_| attempts.count(address("2001:db8::1"), now));
        assert!(attempts.are_too_many(address("2001:db8::2"), now), "it is the same network");
        assert!(!attempts.are_too_many(address("2001:db8:0:1::2"), now));
    }

    #[test]
    fn machines_without_a_place_of_their_own_share_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..u32::try_from(MACHINES).unwrap() + ATTEMPTS {
            attempts.count(IpAddr::V4(number.into()), now);
        }
        assert!(attempts.counted.len() <= MACHINES + 1);
        assert!(attempts.are_too_many("192.0.2.1".parse().unwrap(), now));
    }
}

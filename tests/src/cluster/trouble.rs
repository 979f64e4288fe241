//! What happens to the hosts of a cluster, and to their Redis.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use futures_util::future::try_join_all;
use rustix::process::{Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::{Cluster, Member};
use crate::{chance::Chance, chaos::verdict::Fault, outside::was_killed_by, redis_server::RedisServer};

/// How long a host has its lanes after its last word, and a bit.
const LEASE: Duration = Duration::from_secs(11);
/// Between two troubles of one host, in milliseconds.
const REST: Range<u64> = 1_000..6_000;
/// Between two of Redis, in milliseconds.
const UPTIME: Range<u64> = 6_000..15_000;

/// Something that happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// It is killed, and started again some time later.
    Killed,
    /// It is told to end, and started again.
    Ended,
    /// It stands still for a moment.
    Dozes,
    /// It stands still for so long that others have its lanes when it goes on.
    Sleeps,
    /// Its connections to Redis are closed, and so is each that it makes.
    Refused,
    /// What it sends to Redis, and what comes from there, is late.
    Delayed,
    /// The same for so long that others have its lanes when it all arrives.
    Parted,
    /// Not of a host: Redis ends at once, and is started again with the data it has on its disk.
    RedisRestarted,
}

/// How often each came.
pub(super) type Troubles = BTreeMap<Trouble, u64>;

/// One of these is next, those more often that are more than once here.
const NEXT: [Trouble; 10] = [
    Trouble::Killed,
    Trouble::Killed,
    Trouble::Killed,
    Trouble::Ended,
    Trouble::Dozes,
    Trouble::Dozes,
    Trouble::Refused,
    Trouble::Delayed,
    Trouble::Sleeps,
    Trouble::Parted,
];
/// What comes first, one for each host: those that take long are in every run.
const FIRST: [Trouble; super::HOSTS] = [Trouble::Sleeps, Trouble::Parted, Trouble::Killed];

impl Cluster {
    /// Makes trouble until then. In the end all hosts run, and reach their Redis.
    ///
    /// # Errors
    /// If a host ends that was not told to.
    pub(super) async fn suffers(&mut self, chance: &mut Chance, until: Instant) -> Result<Troubles, Fault> {
        let mut first = FIRST;
        first.rotate_left(usize::try_from(chance.number(0..super::HOSTS as u64)).unwrap_or_default());
        let hosts = self.hosts.iter_mut().zip(first);
        let hosts = hosts.map(|(member, first)| member.suffers(first, chance.split(), until));
        let hosts: Vec<_> = hosts.collect();
        let redis = restart(&mut self.redis, chance.split(), until);
        let (of_hosts, restarts) = tokio::join!(try_join_all(hosts), redis);
        let mut troubles = Troubles::from([(Trouble::RedisRestarted, restarts)]);
        for (trouble, count) in of_hosts?.into_iter().flatten() {
            *troubles.entry(trouble).or_default() += count;
        }
        Ok(troubles)
    }
}

impl Member {
    async fn suffers(
        &mut self,
        first: Trouble,
        mut chance: Chance,
        until: Instant,
    ) -> Result<Troubles, Fault> {
        let mut troubles = Troubles::new();
        let mut next = first;
        loop {
            sleep(chance.time(REST)).await;
            if Instant::now() >= until {
                return Ok(troubles);
            }
            self.meets(next, &mut chance).await?;
            *troubles.entry(next).or_default() += 1;
            next = chance.one(&NEXT).unwrap_or(first);
            // The end of a run is not to wait for what began shortly before it.
            if matches!(next, Trouble::Sleeps | Trouble::Parted) && Instant::now() + LEASE > until {
                next = Trouble::Killed;
            }
        }
    }

    async fn meets(&mut self, trouble: Trouble, chance: &mut Chance) -> Result<(), Fault> {
        match trouble {
            Trouble::Killed => {
                let status = self.host.end(Signal::KILL).await;
                if !was_killed_by(status, Signal::KILL) {
                    return Err(Fault(format!("a host ended before it was told to: {status}")));
                }
                sleep(chance.time(0..3_000)).await;
                self.starts().await;
            }
            Trouble::Ended => {
                self.ends().await?;
                sleep(chance.time(0..3_000)).await;
                self.starts().await;
            }
            Trouble::Dozes => self.stands_still(chance.time(100..4_000)).await,
            Trouble::Sleeps => self.stands_still(LEASE + chance.time(0..5_000)).await,
            Trouble::Refused => {
                self.way.close();
                sleep(chance.time(100..6_000)).await;
                self.way.mend();
            }
            Trouble::Delayed => self.is_cut_off(chance.time(100..8_000)).await,
            Trouble::Parted => self.is_cut_off(LEASE + chance.time(0..5_000)).await,
            Trouble::RedisRestarted => {}
        }
        Ok(())
    }

    async fn stands_still(&self, time: Duration) {
        let host = self.host.process();
        kill_process(host, Signal::STOP).expect("it runs");
        sleep(time).await;
        kill_process(host, Signal::CONT).expect("it is there");
    }

    async fn is_cut_off(&self, time: Duration) {
        self.way.cut();
        sleep(time).await;
        self.way.mend();
    }
}

/// Ends Redis now and then; answers how often.
async fn restart(redis: &mut RedisServer, mut chance: Chance, until: Instant) -> u64 {
    let mut restarts = 0;
    loop {
        sleep(chance.time(UPTIME)).await;
        if Instant::now() >= until {
            return restarts;
        }
        tokio::task::block_in_place(|| redis.goes_away());
        sleep(chance.time(0..3_000)).await;
        // Somebody else may have its port for a moment.
        while !tokio::task::block_in_place(|| redis.comes_back()) {
            sleep(super::AGAIN).await;
        }
        restarts += 1;
    }
}

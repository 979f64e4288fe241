//! For how long a host may act for a lane.
//!
//! A lane's lease ends by the clock of the store, which a host that is cut off from it can't ask. So the host keeps a
//! deadline of its own that surely comes first: it counts from before the request was sent that brought the lease or
//! prolonged it, by a clock that nobody sets and that goes on while the process is stopped (and, on Linux, while the machine
//! sleeps). Whatever changes something in a room asks for it right before it is sent, and is given up when it comes.
//!
//! - What is over stays over: what was begun under it must not go on under a later one.
//! - What had left this process by then can't be called back. Campfire takes no token that would let it refuse a post, so
//!   the deadline is earlier than the lease's end by the time that a request may be under way, and whoever has the lane next
//!   looks in the room for what it does not know of.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A moment of this machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    /// For how long the machine had slept when it was told: `Instant` leaves that out.
    slept: Duration,
}

/// The time for which something may be done. Clones are the same.
#[derive(Debug, Clone)]
pub struct Tenure(Arc<watch::Sender<Until>>);

#[derive(Debug, Clone, Copy)]
enum Until {
    /// Nobody else could do it.
    Endless,
    Deadline(Moment),
    Over,
}

// === impl Moment ===

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { at: Instant::now(), slept: slept() }
    }

    /// A later one.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { at: self.at + duration, ..self }
    }

    fn is_past(self, now: Self) -> bool {
        now.at + now.slept.saturating_sub(self.slept) >= self.at
    }
}

/// For how long this machine has slept since it was started.
#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    let since_start = |clock| Duration::try_from(clock_gettime(clock) as Timespec).unwrap_or_default();
    let awake = since_start(ClockId::Monotonic);
    since_start(ClockId::Boottime).saturating_sub(awake)
}

#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

// === impl Until ===

impl Until {
    fn is_over(self) -> bool {
        match self {
            Self::Endless => false,
            Self::Deadline(deadline) => deadline.is_past(Moment::now()),
            Self::Over => true,
        }
    }
}

// === impl Tenure ===

impl Tenure {
    /// One that has no end.
    pub fn endless() -> Self {
        Self(Arc::new(watch::Sender::new(Until::Endless)))
    }

    /// One that is over at this moment.
    pub fn until(moment: Moment) -> Self {
        Self(Arc::new(watch::Sender::new(Until::Deadline(moment))))
    }

    /// Has it last until this moment, unless it is over or lasts longer already.
    pub fn extend(&self, to: Moment) {
        self.0.send_if_modified(|until| match until {
            Until::Deadline(deadline) if deadline.at < to.at && !deadline.is_past(Moment::now()) => {
                *deadline = to;
                true
            }
            _ => false,
        });
    }

    /// Ends it now.
    pub fn end(&self) {
        self.0.send_replace(Until::Over);
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.0.borrow().is_over()
    }

    /// Waits until it is.
    pub async fn over(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            if until.is_over() {
                return;
            }
            let deadline = async {
                match until {
                    Until::Deadline(deadline) => sleep_until(deadline.at).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = deadline => {}
                // Its sender is `self`.
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_over_at_its_end_and_not_before_and_stays_so() {
        let tenure = Tenure::until(Moment::now().after(10 * SECOND));
        tokio::time::advance(9 * SECOND).await;
        assert!(!tenure.is_over() && tenure.over().now_or_never().is_none());
        tenure.extend(Moment::now().after(10 * SECOND));
        tenure.extend(Moment::now().after(SECOND));
        tokio::time::advance(9 * SECOND).await;
        assert!(!tenure.is_over(), "it was prolonged, and not shortened");
        tokio::time::advance(SECOND).await;
        assert!(tenure.is_over());
        tenure.over().await;
        tenure.extend(Moment::now().after(10 * SECOND));
        assert!(tenure.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_its_end_waits_for_the_later_one_and_hears_of_an_earlier() {
        let tenure = Tenure::until(Moment::now().after(SECOND));
        let began = Instant::now();
        let over = tokio::spawn({
            let tenure = tenure.clone();
            async move { tenure.over().await }
        });
        tokio::task::yield_now().await;
        tenure.extend(Moment::now().after(3 * SECOND));
        over.await.unwrap();
        assert_eq!(began.elapsed(), 3 * SECOND);

        let endless = Tenure::endless();
        let mut over = std::pin::pin!(endless.over());
        assert!((&mut over).now_or_never().is_none());
        endless.end();
        over.await;
    }

    #[tokio::test]
    async fn what_the_machine_sleeps_counts() {
        let began = Moment::now();
        let deadline = began.after(60 * SECOND);
        let slept = |seconds| Moment { slept: began.slept + seconds * SECOND, ..began };
        assert!(!deadline.is_past(slept(59)));
        assert!(deadline.is_past(slept(60)));
    }
}

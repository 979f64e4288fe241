//! What must not be lost to a store that fails for a while: it is kept in memory, and tried until it goes.
//!
//! An agent's answer is paid for, and what was sent can't be taken back. A turn that let go of either would pay again, or
//! not know what is in the room.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// The first and the longest pause before what did not go is tried again.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Has the store take something, again and again while it is unavailable. None if `stop` came first.
///
/// # Errors
/// If the store does not want it: the lease is lost, or the step does not fit.
pub(super) async fn insist<T, Step>(
    stop: &CancellationToken,
    take: impl Fn() -> Step,
) -> Result<Option<T>, StoreError>
where
    Step: Future<Output = Result<T, StoreError>>,
{
    let mut pause = PAUSES.0;
    loop {
        match take().await {
            Err(StoreError::Unavailable(cause)) => {
                tracing::warn!(%cause, "the store can't do what a turn needs; nothing is lost, and it is tried again in {pause:?}");
            }
            taken => return taken.map(Some),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_store_does_not_take_is_tried_until_it_goes_or_is_to_stop() {
        let asked = AtomicU32::new(0);
        let goes_at = |last| {
            let asked = &asked;
            move || async move {
                let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
                if count < last { Err(StoreError::Unavailable("full".into())) } else { Ok(count) }
            }
        };
        let stop = CancellationToken::new();
        assert!(matches!(insist(&stop, goes_at(20)).await, Ok(Some(20))));
        stop.cancel();
        assert!(matches!(insist(&stop, goes_at(u32::MAX)).await, Ok(None)));
    }

    #[tokio::test]
    async fn what_the_store_refuses_is_not_tried_again() {
        let stop = CancellationToken::new();
        let refused = insist(&stop, async || Err::<(), _>(StoreError::Conflict)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)));
    }
}

//! The one thread that has the log flushed to stable storage, and answers what waited for that.
//!
//! It is beside the writer so that nobody waits for a disk who need not: a flush takes milliseconds, a commit without one
//! hardly any. While a flush runs, the next commits gather, and one flush serves them all. On a disk that flushes in a tenth
//! of a millisecond that alone gathers little; so where [`MANY`] wait, it is given [`GATHER`] for more to come. Who writes alone,
//! or with a few, never waits for others.
//!
//! A flush covers the log from its beginning to where it ended when the flush began; so what was committed before it was
//! handed over is covered, and what a checkpoint moved out of the log meanwhile is flushed by that.

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{StoreError, writer::Operation};

/// How many transactions may wait; the writer waits for a place for a further one.
const QUEUE: usize = 64;
/// How many operations that wait for a flush are a sign that more are about to.
const MANY: usize = 8;
/// How long a flush is put off for those. So many mean that a message takes ten times as long by itself, as the cores are busy.
const GATHER: Duration = Duration::from_micros(500);

/// How the log is flushed.
pub(super) type Flush = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Operations that are committed, and not answered yet.
type Committed = Vec<Box<dyn Operation>>;

/// The writer's side of the thread. Dropping it waits until all is answered.
pub(super) struct Flusher {
    /// `None` only while it is being dropped.
    queue: Option<mpsc::SyncSender<Committed>>,
    /// `None` only while it is being dropped.
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
}

/// Flushes the log of a database, which need not be there yet.
pub(super) fn of_log(log: PathBuf) -> Flush {
    let mut open: Option<File> = None;
    Box::new(move || {
        let file = match open.take() {
            Some(file) => file,
            None => File::open(&log)?,
        };
        open.insert(file).sync_data()
    })
}

// === impl Flusher ===

impl Flusher {
    /// Starts the thread, which counts what it does in `flushes`.
    pub(super) fn start(mut flush: Flush, flushes: Arc<AtomicU64>) -> Result<Self, StoreError> {
        let (queue, committed) = mpsc::sync_channel::<Committed>(QUEUE);
        let failed = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&failed);
        let work_off = move || {
            while let Ok(mut waiting) = committed.recv() {
                waiting.extend(committed.try_iter().flatten());
                if waiting.len() >= MANY {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a thread of its own, that waits for nothing else"
                    )]
                    thread::sleep(GATHER);
                    waiting.extend(committed.try_iter().flatten());
                }
                let outcome = flush().map_err(|error| {
                    tracing::error!(%error, operations = waiting.len(), "the store's log could not be flushed");
                    tell.store(true, Ordering::Relaxed);
                    StoreError::Unavailable(format!("its log could not be flushed: {error}").into())
                });
                flushes.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("hearth_store_flushes_total").increment(1);
                for operation in waiting {
                    operation.answer(outcome.clone());
                }
            }
        };
        let thread = thread::Builder::new().name("hearth-store-flush".into()).spawn(work_off);
        let thread =
            thread.map_err(|error| StoreError::Unavailable(format!("no thread for it: {error}").into()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), failed })
    }

    /// Answers them after a flush.
    pub(super) fn answer_flushed(&self, committed: Committed) {
        // It fails if the thread has panicked. Then they are dropped, and whoever waits hears that.
        _ = self.queue.as_ref().map(|queue| queue.send(committed));
    }

    /// Whether a flush has failed since this was last asked.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr; there is nothing left to save here.
            _ = thread.join();
        }
    }
}

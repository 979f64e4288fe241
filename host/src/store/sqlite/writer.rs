//! The one thread that writes: it takes what has gathered in the queue, runs it in one transaction, and answers only
//! after COMMIT.
//!
//! Each operation runs under a savepoint of its own, so one that fails undoes only itself. If the transaction fails,
//! every operation in it does.
//!
//! **What is on stable storage when.** In WAL mode a commit appends to the log, which SQLite (`synchronous=NORMAL`) flushes
//! before a checkpoint only. A killed process loses nothing (the log is in the kernel's hands), a power loss cuts off the
//! log's unflushed end. What is a promise to someone ([`Flush`]) is answered once the log was flushed after its commit, by
//! a thread beside this one ([`flusher`](super::flusher)): everything else need not wait for that. Since a flush covers the
//! log from its beginning, what was flushed can't outlive something earlier that was not: a power loss takes the store back
//! to an earlier state that it really had, at or after the last flush. So unflushed steps are lost newest first and as a
//! whole, and they are those that are safely done again: a lease (its host went down too), the beginning of an event (it is
//! begun again), its end (it is begun again and finds its parts marked), a kv write of the turn that is now repeated.
//!
//! After a failure the kernel may have dropped what it could not write, though it was committed before. So the next
//! transaction is preceded by a checkpoint into the database file, and later promises rest on that. (Not after one that
//! could not begin, since another program held the file: it wrote nothing.) A checkpoint needs that nobody reads an older
//! state; while a backup does, writes fail, and at once, so that the callers need not wait to hear it. What could not be
//! flushed is there all the same until the power fails, though its caller was told of the failure: to ask again does no harm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    StoreError,
    file::Lock,
    flusher::Flusher,
    worker::{Jobs, Reply, Worker},
};

/// How many operations share a transaction at most; bounds how long the first of them waits for the others.
const BATCH: usize = 256;

/// How long the checkpoint after a failure waits for those who read.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(100);

/// Whether an operation must be on stable storage before it is answered.
pub(super) enum Flush {
    /// What is lost with the power is done again.
    Never,
    /// It is a promise to someone outside.
    Always,
    /// If this says so, of the state before the transaction.
    If(Condition),
}

/// A question about the stored state.
pub(super) type Condition = Box<dyn Fn(&Connection) -> Result<bool, StoreError> + Send>;

/// Something to be done in a transaction, and answered after it.
pub(super) trait Operation: Send {
    /// Whether it must be on stable storage before it is answered.
    fn needs_flush(&self, connection: &Connection) -> Result<bool, StoreError>;
    /// Whether it needs a transaction at all.
    fn writes(&self) -> bool {
        true
    }
    /// Does it. Fails only if the transaction as a whole is lost.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), StoreError>;
    /// Answers, now that the transaction's fate is known, and that of its flush if it needed one.
    fn answer(self: Box<Self>, kept: Result<(), StoreError>);
}

/// An operation that does `work`, and answers with what that returns.
pub(super) fn operation<T: Send + 'static>(
    flush: Flush,
    work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    reply: Reply<T>,
) -> Box<dyn Operation> {
    let result = Err(StoreError::Unavailable("it was not run".into()));
    Box::new(Asked { flush, work: Some(work), result, reply })
}

/// An operation that only waits for the flush of those before it.
pub(super) fn barrier(reply: Reply<()>) -> Box<dyn Operation> {
    Box::new(Barrier(reply))
}

/// Starts the thread. It holds `lock` until its connection is closed, and counts transactions in `commits`.
pub(super) fn start(
    connection: Connection,
    lock: Lock,
    capacity: usize,
    commits: Arc<AtomicU64>,
    flusher: Flusher,
) -> Result<Worker<Box<dyn Operation>>, StoreError> {
    Worker::start("hearth-store-write", capacity, move |jobs| {
        let mut writer = Writer { flusher, connection, failed: false, commits };
        writer.work_off(jobs);
        drop(writer);
        drop(lock);
    })
}

struct Asked<T, W> {
    flush: Flush,
    /// `None` once it was run.
    work: Option<W>,
    result: Result<T, StoreError>,
    reply: Reply<T>,
}

struct Barrier(Reply<()>);

struct Writer {
    // Dropped in this order: a connection that is closed takes the log away.
    flusher: Flusher,
    connection: Connection,
    /// Whether the last transaction that could begin failed, or a flush has failed since.
    failed: bool,
    commits: Arc<AtomicU64>,
}

// === impl Writer ===

impl Writer {
    fn work_off(&mut self, jobs: &mut Jobs<Box<dyn Operation>>) {
        while let Some(first) = jobs.next() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Some(next) = jobs.next_waiting()
            {
                batch.push(next);
            }
            match self.commit(&mut batch) {
                Ok(promises) => {
                    let mut to_flush = Vec::new();
                    for (operation, is_promise) in batch.into_iter().zip(promises) {
                        if is_promise {
                            to_flush.push(operation);
                        } else {
                            operation.answer(Ok(()));
                        }
                    }
                    if !to_flush.is_empty() {
                        self.flusher.answer_flushed(to_flush);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, operations = batch.len(), "the store could not commit");
                    for operation in batch {
                        operation.answer(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Runs all of them in one transaction; which of them must be flushed before they are answered.
    fn commit(&mut self, batch: &mut [Box<dyn Operation>]) -> Result<Vec<bool>, StoreError> {
        self.failed |= self.flusher.has_failed();
        if self.failed {
            self.checkpoint()?;
        }
        if !batch.iter().any(|operation| operation.writes()) {
            return Ok(vec![true; batch.len()]);
        }
        let promises = batch.iter().map(|operation| operation.needs_flush(&self.connection));
        let promises = promises.collect::<Result<Vec<_>, _>>()?;
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // From here on something is written.
        self.failed = true;
        for operation in batch {
            operation.run(&mut transaction)?;
        }
        transaction.commit()?;
        self.failed = false;
        self.commits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("hearth_store_commits_total").increment(1);
        Ok(promises)
    }

    /// Moves the whole log into the database file, flushed, and begins a new one.
    fn checkpoint(&self) -> Result<(), StoreError> {
        let patience: i64 = self.connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
        self.connection.busy_timeout(CHECKPOINT_PATIENCE)?;
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.connection.busy_timeout(Duration::from_millis(patience.unsigned_abs()))?;
        let busy: bool = busy?;
        if busy {
            return Err(StoreError::Unavailable(
                "its log can't be written back, another process reads it".into(),
            ));
        }
        Ok(())
    }
}

// === impl Operation for Asked ===

impl<T, W> Operation for Asked<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn needs_flush(&self, connection: &Connection) -> Result<bool, StoreError> {
        match &self.flush {
            Flush::Never => Ok(false),
            Flush::Always => Ok(true),
            Flush::If(condition) => condition(connection),
        }
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let savepoint = transaction.savepoint()?;
        self.result = work(&savepoint);
        match &self.result {
            Ok(_) => savepoint.commit()?,
            // On some failures, a full disk for one, SQLite itself rolls the whole transaction back.
            Err(error) if savepoint.is_autocommit() => return Err(error.clone()),
            Err(_) => savepoint.finish()?,
        }
        Ok(())
    }

    fn answer(self: Box<Self>, kept: Result<(), StoreError>) {
        // Nobody listens any more if the caller was dropped.
        _ = self.reply.send(kept.and(self.result));
    }
}

// === impl Operation for Barrier ===

impl Operation for Barrier {
    fn needs_flush(&self, _connection: &Connection) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn writes(&self) -> bool {
        false
    }

    fn run(&mut self, _transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn answer(self: Box<Self>, kept: Result<(), StoreError>) {
        // Nobody listens any more if the caller was dropped.
        _ = self.0.send(kept);
    }
}

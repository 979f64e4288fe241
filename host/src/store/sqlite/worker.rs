//! A thread that works off jobs from a bounded queue until it is stopped, and a way to ask it.
//!
//! Jobs run in the order they were asked. A job that is never run (the thread was stopped, or it died) is dropped, and
//! with it its reply: whoever waits for that gets [`StoreError::Unavailable`].

use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// How a job answers.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The asking side. Dropping it lets the thread work off its queue, and waits for its end.
pub(super) struct Worker<J> {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Message<J>>>,
    /// `None` only while it is being dropped.
    thread: Option<JoinHandle<()>>,
}

/// The thread's side of the queue.
pub(super) struct Jobs<J> {
    queue: mpsc::Receiver<Message<J>>,
    stopped: bool,
}

enum Message<J> {
    Job(J),
    Stop,
}

// === impl Worker ===

impl<J: Send + 'static> Worker<J> {
    /// Starts a thread that runs `body`. What `body` owns is gone by the time [`stop`](Self::stop) returns, if it is
    /// dropped before the `Jobs`.
    pub(super) fn start(
        name: &str,
        capacity: usize,
        body: impl FnOnce(&mut Jobs<J>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(capacity);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut jobs = Jobs { queue, stopped: false };
                body(&mut jobs);
                // Only now, with all that `body` owned gone, those who wait for the end learn of it.
                drop(jobs);
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread for it: {error}").into()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Puts a job in the queue, waiting for a place if need be, and waits for its answer.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Message::Job(job(reply))).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Ends the thread after the jobs that were asked before, and waits for its end.
    pub(super) async fn stop(&self) {
        if let Some(jobs) = &self.jobs {
            // It fails if the thread has ended already; then there is nothing to wait for either.
            _ = jobs.send(Message::Stop).await;
            jobs.closed().await;
        }
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr; there is nothing left to save here.
            _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("it was stopped".into())
}

// === impl Jobs ===

impl<J> Jobs<J> {
    /// Waits for a job; `None` when there will be no more.
    pub(super) fn next(&mut self) -> Option<J> {
        if self.stopped {
            return None;
        }
        let message = self.queue.blocking_recv();
        self.take(message)
    }

    /// A job that is there already.
    pub(super) fn next_waiting(&mut self) -> Option<J> {
        if self.stopped {
            return None;
        }
        let message = self.queue.try_recv().ok();
        self.take(message)
    }

    fn take(&mut self, message: Option<Message<J>>) -> Option<J> {
        match message? {
            Message::Job(job) => Some(job),
            Message::Stop => {
                self.stopped = true;
                None
            }
        }
    }
}

//! The epochs' clock: moves the epochs on while guests run, and sleeps while none does.
//!
//! A thread of its own, since a task could be starved by the very guests it is to interrupt. It goes on for a while
//! after the last guest: waking a thread costs more than many a call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How often a running guest yields to the executor.
const TICK: Duration = Duration::from_millis(5);
/// Ticks without a guest until the thread goes to sleep.
const PATIENCE: u32 = 20;
/// Added to the count of running guests when the ticker goes away.
const STOPPED: usize = usize::MAX / 2;

pub(super) struct Ticker {
    thread: Thread,
    shared: Arc<Shared>,
}

/// While this lives, the epochs move.
pub(super) struct Ticking<'ticker>(&'ticker Shared);

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    /// Whether the thread sleeps until it is woken. Whoever begins to run looks at it after counting itself, and the
    /// thread at the count after setting it, both in one total order: one of the two sees the other.
    asleep: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engines: Vec<wasmtime::Engine>) -> Self {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let handle = thread::spawn(move || tick(&engines, &seen));
        Self { thread: handle.thread().clone(), shared }
    }

    pub(super) fn ticking(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(&self.shared)
    }
}

fn tick(engines: &[wasmtime::Engine], shared: &Shared) {
    let mut idle = 0;
    loop {
        match shared.running.load(Ordering::SeqCst) {
            0 if idle == PATIENCE => {
                shared.asleep.store(true, Ordering::SeqCst);
                if shared.running.load(Ordering::SeqCst) == 0 {
                    thread::park();
                }
                shared.asleep.store(false, Ordering::SeqCst);
                if shared.running.load(Ordering::SeqCst) > 0 {
                    idle = 0;
                }
            }
            0 => {
                idle += 1;
                thread::park_timeout(TICK);
            }
            count if count >= STOPPED => return,
            _ => {
                idle = 0;
                // A late wake-up may cut a tick short; a guest then yields once more than it had to.
                thread::park_timeout(TICK);
                engines.iter().for_each(wasmtime::Engine::increment_epoch);
            }
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.running.fetch_add(STOPPED, Ordering::SeqCst);
        self.thread.unpark();
    }
}

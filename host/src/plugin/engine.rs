//! The one wasmtime engine: how guests are compiled, where their instances live, and what stops them.
//!
//! Every call gets a fresh instance from a pool of slots; nothing survives a call. A guest is stopped three ways: the
//! epoch (a running loop yields to the executor every [`TICK`], so it never holds a worker), the wall clock (the call's
//! future is dropped at the bot's `call-time`), and the limiter (memory and tables of that store).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store, UpdateDeadline,
};

use super::LoadError;
use crate::config::Limits;

/// How often a running guest yields to the executor.
const TICK: Duration = Duration::from_millis(5);
/// How many guests run at once. More would only share the same cores; further calls wait for a slot.
const SLOTS: u32 = 64;
/// The largest linear memory a slot can hold; `limits.memory` may not ask for more.
pub const MEMORY_CEILING: usize = 256 << 20;
/// Elements of all tables of a guest. A large Rust guest has some thousand functions in its table.
const TABLE_ELEMENTS: usize = 100_000;

/// What guests are compiled for and run in.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    /// One permit a slot of the pool: waiting for one is fair and has a deadline, failing to allocate has neither.
    slots: Semaphore,
    ticker: Ticker,
}

/// A slot in the pool, and the epoch running while it is held.
pub(super) struct Slot<'engine> {
    _permit: SemaphorePermit<'engine>,
    _ticking: Ticking<'engine>,
}

impl Engine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// If this machine can't run it (no compiler for its architecture, no address space for the pool).
    pub fn new() -> Result<Self, LoadError> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(SLOTS)
            .total_core_instances(SLOTS * 8)
            .total_memories(SLOTS * 2)
            .total_tables(SLOTS * 8)
            .total_stacks(SLOTS)
            .max_memories_per_component(2)
            .max_core_instances_per_component(64)
            .max_tables_per_component(64)
            .table_elements(TABLE_ELEMENTS)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            .max_memory_size(MEMORY_CEILING);

        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            // A slot reserves address space, not memory: the ceiling and a guard are enough, 4 GiB a slot is not needed.
            .memory_reservation(MEMORY_CEILING as u64)
            .memory_guard_size(64 << 10);
        let wasmtime =
            wasmtime::Engine::new(&config).map_err(|error| LoadError::Engine(error.to_string()))?;
        let ticker = Ticker::start(wasmtime.clone());
        Ok(Self { wasmtime, slots: Semaphore::new(SLOTS as usize), ticker })
    }

    /// The engine itself, for compiling and linking.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Waits for a slot of the pool.
    pub(super) async fn slot(&self) -> Slot<'_> {
        // The semaphore is never closed, so the only way out of `acquire` is a permit.
        let permit = loop {
            if let Ok(permit) = self.slots.acquire().await {
                break permit;
            }
        };
        Slot { _permit: permit, _ticking: self.ticker.ticking() }
    }

    /// A store for one call, bounded by the bot's limits.
    pub(super) fn store<T: Bounded + Send + 'static>(&self, state: T) -> Store<T> {
        let mut store = Store::new(&self.wasmtime, state);
        store.limiter(|state| state.bound());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

// === Bound: what one call may use ===

/// A store's state that carries its bound.
pub(super) trait Bounded {
    fn bound(&mut self) -> &mut Bound;
}

/// What one call may use, and whether it wanted more: the guest only sees a failed allocation and traps on it, so this
/// is what tells "needs more memory" from any other trap.
pub(super) struct Bound {
    /// Bytes of all memories that are left.
    memory: usize,
    /// Elements of all tables that are left.
    elements: usize,
    pub(super) memory_refused: bool,
}

impl Bound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { memory: limits.memory.min(MEMORY_CEILING), elements: TABLE_ELEMENTS, memory_refused: false }
    }
}

impl ResourceLimiter for Bound {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = take(&mut self.memory, desired.saturating_sub(current));
        self.memory_refused |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.elements, desired.saturating_sub(current)))
    }
}

/// Takes `wanted` of what is left, if so much is.
fn take(left: &mut usize, wanted: usize) -> bool {
    let rest = left.checked_sub(wanted);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

// === Ticker: the epoch's clock ===

/// Moves the epoch on while guests run; asleep while none does. A thread of its own, since a task could be starved by
/// the very guests it is to interrupt.
struct Ticker {
    thread: Thread,
    running: Arc<AtomicUsize>,
}

/// While this lives, the epoch moves.
struct Ticking<'ticker>(&'ticker Ticker);

/// Added to the count of running guests when the engine goes away.
const STOPPED: usize = usize::MAX / 2;

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Self {
        let running = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&running);
        let handle = thread::spawn(move || {
            loop {
                match seen.load(Ordering::Acquire) {
                    0 => thread::park(),
                    count if count >= STOPPED => return,
                    _ => {
                        thread::park_timeout(TICK);
                        engine.increment_epoch();
                    }
                }
            }
        });
        Self { thread: handle.thread().clone(), running }
    }

    fn ticking(&self) -> Ticking<'_> {
        if self.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Ticking(self)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.running.fetch_add(STOPPED, Ordering::AcqRel);
        self.thread.unpark();
    }
}

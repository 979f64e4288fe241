//! What guests are compiled by, where their instances live, and what stops them.
//!
//! Every call gets a fresh instance in a slot of a pool; nothing survives a call. A guest is stopped four ways: the
//! epoch (a running loop yields to the executor every few milliseconds, so it never holds a worker, and ends when its
//! own code has run for the bot's `compute`), the wall clock (the call's future is dropped at the bot's `call-time`), the
//! limiter (memory and tables of that store), and the count of its calls of the host.
//!
//! Cranelift compiles them. For development there is Winch besides; what one of them compiled the other can't run, so each
//! has a wasmtime engine and a pool. The slots are counted over both.
//!
//! A guest that waits for the host keeps its slot. So a bot has a share of the slots and no more: what one bot's guests
//! wait for does not keep the others from theirs.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store, Strategy, UpdateDeadline,
    component::Component,
};

use super::{
    LoadError,
    bound::Bound,
    call::CallError,
    schema::Threads,
    ticker::{Ticker, Ticking},
};
use crate::id::BotName;

/// How many guests there are at once. More would only share the same cores; further calls wait for a slot.
const SLOTS: u32 = 64;
/// How many of them one bot may have.
const SHARE: u32 = 16;
/// How long a call waits for a slot of the pool. Calls take microseconds; a wait this long means that guests loop.
const SLOT_PATIENCE: Duration = Duration::from_secs(10);
/// The largest linear memory a slot can hold; `limits.memory` may not ask for more.
pub(super) const MEMORY_CEILING: usize = 256 << 20;
/// The largest table a slot can hold; `limits.tables` may not ask for more.
pub(super) const TABLE_CEILING: usize = 200_000;
/// Core instances of one component. Interpreters that are linked of shared libraries have some dozens.
pub(super) const CORE_INSTANCES: u32 = 64;
/// Linear memories of one component: its own, and that of an adapter.
pub(super) const MEMORIES: u32 = 2;
/// Tables of one component: its own, and those of adapters and shims.
pub(super) const TABLES: u32 = 16;
/// Bytes of a slot's memory, and of its tables, that stay with it from one call to the next, wiped: cheaper than giving
/// the pages back and taking them again. Only where Linux (6.7) tells which pages were written; elsewhere all of them
/// would have to be wiped, and that costs more.
const KEPT: usize = 512 << 10;
/// The stack of a guest, in bytes of the processor's own. A Rust guest keeps what is large elsewhere, and interpreters
/// nest some hundred calls; what goes deeper than this recurses without end, so that there is no setting for it.
const GUEST_STACK: usize = 1 << 20;
/// What the host's functions have beside it: as much as a thread.
const HOST_STACK: usize = 2 << 20;

/// What guests are compiled for and run in.
pub struct Engine {
    cranelift: wasmtime::Engine,
    /// None if nobody waits for what is compiled, or there is none for this machine.
    winch: Option<wasmtime::Engine>,
    /// One permit a slot of the pool: waiting for one is fair and has a deadline, failing to allocate has neither.
    slots: Semaphore,
    /// For checks against schemas.
    threads: Arc<Semaphore>,
    shares: Mutex<HashMap<BotName, Arc<Share>>>,
    ticker: Ticker,
}

/// One bot's part of the slots and the threads, which all its generations have together.
pub(super) struct Share {
    slots: Arc<Semaphore>,
    pub(super) threads: Threads,
}

/// A slot in the pool, and the epoch running while it is held.
pub(super) struct Slot<'engine> {
    _share: Option<OwnedSemaphorePermit>,
    _permit: SemaphorePermit<'engine>,
    _ticking: Ticking<'engine>,
}

impl Engine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// If this machine can't run it (no compiler for its architecture, no address space for the pool).
    pub fn new() -> Result<Self, LoadError> {
        Self::with(None)
    }

    /// The same with Winch besides, if this machine can run it.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn for_development() -> Result<Self, LoadError> {
        let winch = wasmtime::Engine::new(&config(Strategy::Winch));
        Self::with(winch.inspect_err(|error| tracing::debug!(%error, "there is no Winch here")).ok())
    }

    fn with(winch: Option<wasmtime::Engine>) -> Result<Self, LoadError> {
        let cranelift = wasmtime::Engine::new(&config(Strategy::Cranelift))
            .map_err(|error| LoadError::Engine(error.to_string()))?;
        let ticker = Ticker::start([Some(cranelift.clone()), winch.clone()].into_iter().flatten().collect());
        Ok(Self {
            cranelift,
            winch,
            slots: Semaphore::new(SLOTS as usize),
            threads: Threads::of_the_host(),
            shares: Mutex::default(),
            ticker,
        })
    }

    /// What compiles well.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.cranelift
    }

    /// Whether there is a compiler for those who wait.
    pub(super) fn is_quick(&self) -> bool {
        self.winch.is_some()
    }

    /// Compiles with Winch; nothing if there is none, or it can't: it knows no exceptions, tail calls and relaxed SIMD, and
    /// may panic at an instruction that it lacks.
    pub(super) fn compile_quickly(&self, component: &[u8]) -> Option<Component> {
        let winch = self.winch.as_ref()?;
        let compiled = catch_unwind(AssertUnwindSafe(|| Component::new(winch, component)));
        match compiled {
            Ok(Ok(component)) => Some(component),
            Ok(Err(error)) => {
                tracing::debug!(error = format!("{error:#}"), "Winch can't compile it; Cranelift does");
                None
            }
            Err(_) => None,
        }
    }

    /// The bot's share, the same for as long as anybody holds it or a check for the bot runs.
    pub(super) fn share(&self, bot: &BotName) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| Arc::strong_count(share) > 1 || share.threads.are_busy());
        let share = shares.entry(bot.clone()).or_insert_with(|| {
            let slots = Arc::new(Semaphore::new(SHARE as usize));
            Arc::new(Share { slots, threads: Threads::part_of(&self.threads) })
        });
        Arc::clone(share)
    }

    /// Waits for a slot of the pool, and before that for one of the bot's share: for `patience`, in which one of the
    /// bot's own calls must have ended.
    pub(super) async fn slot(
        &self,
        share: Option<&Share>,
        patience: Duration,
    ) -> Result<Slot<'_>, CallError> {
        let share = match share {
            None => None,
            Some(share) => match timeout(patience, Arc::clone(&share.slots).acquire_owned()).await {
                Ok(Ok(permit)) => Some(permit),
                // Neither semaphore is ever closed.
                Ok(Err(_)) | Err(_) => return Err(CallError::Crowded { calls: SHARE, patience }),
            },
        };
        match timeout(SLOT_PATIENCE, self.slots.acquire()).await {
            Ok(Ok(permit)) => Ok(Slot { _share: share, _permit: permit, _ticking: self.ticker.ticking() }),
            Ok(Err(_)) | Err(_) => Err(CallError::Busy(SLOT_PATIENCE)),
        }
    }

    /// A store for one call of code that `wasmtime` compiled, within the bound of its state. One needs a slot for it.
    pub(super) fn store<T: Bounded + Send + 'static>(wasmtime: &wasmtime::Engine, state: T) -> Store<T> {
        let mut store = Store::new(wasmtime, state);
        let value = store.data_mut().bound().value();
        store.set_hostcall_fuel(value);
        store.limiter(|state| state.bound());
        store.call_hook(|mut store, hook| {
            store.data_mut().bound().hand_over(hook);
            Ok(())
        });
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            store.data_mut().bound().check_compute()?;
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

/// How guests are compiled and run.
fn config(compiler: Strategy) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // As much as the slots can want together, so that no call fails for want of it.
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORE_INSTANCES)
        .total_memories(SLOTS * MEMORIES)
        .total_tables(SLOTS * TABLES)
        .total_stacks(SLOTS)
        .max_memories_per_component(MEMORIES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_tables_per_component(TABLES)
        .table_elements(TABLE_CEILING)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(MEMORY_CEILING);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT).table_keep_resident(KEPT);
    }

    let mut config = Config::new();
    config
        .strategy(compiler)
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(GUEST_STACK + HOST_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        // A slot reserves address space, not memory: the ceiling and a guard are enough, 4 GiB a slot is not needed.
        .memory_reservation(MEMORY_CEILING as u64)
        .memory_guard_size(64 << 10);
    config
}

/// A store's state that carries its bound.
pub(super) trait Bounded {
    fn bound(&mut self) -> &mut Bound;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_bot_can_not_take_every_slot() {
        let engine = Engine::new().unwrap();
        let (greedy, other) = (engine.share(&"greedy".into()), engine.share(&"other".into()));
        let patience = Duration::from_millis(20);
        let mut held = Vec::new();
        for _ in 0..SHARE {
            held.push(engine.slot(Some(&greedy), patience).await.unwrap());
        }
        let again = engine.share(&"greedy".into());
        let refused = engine.slot(Some(&again), patience).await.err().unwrap();
        assert!(matches!(refused, CallError::Crowded { .. }), "{refused}");
        assert!(engine.slot(Some(&other), patience).await.is_ok());
        held.pop();
        assert!(engine.slot(Some(&again), patience).await.is_ok());
    }

    #[tokio::test]
    async fn the_share_of_a_bot_that_is_gone_is_forgotten() {
        let engine = Engine::new().unwrap();
        drop(engine.share(&"gone".into()));
        let _here = engine.share(&"here".into());
        assert_eq!(engine.shares.lock().unwrap().len(), 1);
    }
}

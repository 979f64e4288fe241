//! What one call may use, what it has used, and which limit it came up against.
//!
//! A guest that is refused something only sees a failed allocation, and traps on it by itself; the trap alone does not
//! tell why. So a [`Bound`] remembers what it refused, and a call that failed is explained by asking it.

use std::{
    mem::take,
    time::{Duration, Instant},
};

use wasmtime::{CallHook, ResourceLimiter};

use super::engine::{MEMORY_CEILING, TABLE_CEILING};
use crate::config::Limits;

/// The most that one call of WASI counts as computing. Those that work take less; those that wait (a guest that sleeps) may
/// take any time, in which nothing is computed.
const WASI_WORK: Duration = Duration::from_millis(1);

/// A limit that a call came up against. As a text it is what the plugin did; [`Limit::setting`] is what to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Bytes of linear memory.
    #[error("needs more than {0} bytes of memory")]
    Memory(usize),
    /// Bytes that one value takes in the host.
    #[error("handed the host a value that takes more than {0} bytes")]
    Value(usize),
    /// Elements of its tables.
    #[error("needs more than {0} elements in its tables")]
    Tables(usize),
    /// Time in which its code ran.
    #[error("computed for more than {0:?}")]
    Compute(Duration),
    /// Time by the clock.
    #[error("did not end within {0:?}, waiting for the host included")]
    CallTime(Duration),
    /// Calls of the host.
    #[error("called the host more than {0} times")]
    HostCalls(u32),
}

/// One call's use of its limits.
pub(super) struct Bound {
    limits: Limits,
    /// Bytes of all memories that are left.
    memory: usize,
    /// Elements of all tables that are left.
    elements: usize,
    host_calls: u32,
    lines: u32,
    /// How long guest code ran, up to `resumed`.
    ran: Duration,
    /// Since when guest code runs; none while the host does.
    resumed: Option<Instant>,
    /// Since when the host runs for the guest.
    called: Option<Instant>,
    /// Whether what it runs is WASI.
    is_wasi: bool,
    /// The last refusal that the guest could see and go on from.
    refused: Option<Limit>,
}

// === impl Limit ===

impl Limit {
    /// The key in a bot's `[limits]`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Memory(_) | Self::Value(_) => "memory",
            Self::Tables(_) => "tables",
            Self::Compute(_) => "compute",
            Self::CallTime(_) => "call-time",
            Self::HostCalls(_) => "host-calls",
        }
    }
}

// === impl Bound ===

impl Bound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            memory: limits.memory.min(MEMORY_CEILING),
            elements: limits.tables.min(TABLE_CEILING),
            host_calls: 0,
            lines: 0,
            ran: Duration::ZERO,
            resumed: None,
            called: None,
            is_wasi: false,
            refused: None,
        }
    }

    /// Bytes that values handed to the host in one piece may take there: as many as the guest's own memory, in which they
    /// are. Without this a guest could hand over one string a million times in one list.
    pub(super) fn value(&self) -> usize {
        self.limits.memory
    }

    /// Counts a call of the host.
    pub(super) fn host_call(&mut self) -> Result<(), Limit> {
        if self.host_calls == self.limits.host_calls {
            return Err(Limit::HostCalls(self.limits.host_calls));
        }
        self.host_calls += 1;
        Ok(())
    }

    /// Counts a line of the log; whether it is to be kept.
    pub(super) fn line(&mut self) -> bool {
        self.lines = self.lines.saturating_add(1);
        self.lines <= self.limits.log_lines
    }

    /// Lines that were not kept.
    pub(super) fn dropped_lines(&self) -> u32 {
        self.lines.saturating_sub(self.limits.log_lines)
    }

    /// What the host runs now is WASI, and so the guest's own work: there is no bound on how often it may be called.
    pub(super) fn enter_wasi(&mut self) {
        self.is_wasi = true;
    }

    /// Starts and stops the guest's own clock where guest and host hand over to each other. A guest that waits for its
    /// turn on the processor is in the host.
    pub(super) fn hand_over(&mut self, hook: CallHook) {
        let now = Instant::now();
        let since = |began: Option<Instant>| began.map_or(Duration::ZERO, |began| now.duration_since(began));
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => {
                if take(&mut self.is_wasi) {
                    self.ran += since(self.called).min(WASI_WORK);
                }
                self.resumed = Some(now);
            }
            CallHook::CallingHost | CallHook::ReturningFromWasm => {
                self.ran += since(self.resumed.take());
                self.called = Some(now);
            }
        }
    }

    /// Whether the guest may go on computing.
    pub(super) fn check_compute(&self) -> Result<(), Limit> {
        if self.ran < self.limits.compute { Ok(()) } else { Err(Limit::Compute(self.limits.compute)) }
    }

    /// The limit behind a failed call, if it was one.
    pub(super) fn blame(&self, error: &wasmtime::Error) -> Option<Limit> {
        let passed = error.downcast_ref::<Limit>().copied();
        passed.or_else(|| is_too_much_data(error).then_some(Limit::Value(self.value()))).or(self.refused)
    }
}

/// wasmtime has a type for this error and keeps it to itself.
fn is_too_much_data(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"))
}

impl ResourceLimiter for Bound {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = draw(&mut self.memory, desired.saturating_sub(current));
        if !granted {
            self.refused = Some(Limit::Memory(self.limits.memory));
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = draw(&mut self.elements, desired.saturating_sub(current));
        if !granted {
            self.refused = Some(Limit::Tables(self.limits.tables));
        }
        Ok(granted)
    }
}

/// Draws `wanted` from what is left, if so much is.
fn draw(left: &mut usize, wanted: usize) -> bool {
    let rest = left.checked_sub(wanted);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory: 1 << 20,
        tables: 1_000,
        compute: Duration::ZERO,
        call_time: Duration::from_secs(1),
        host_calls: 10,
        log_lines: 3,
    };

    #[test]
    fn all_memories_together_have_the_limit_and_a_refused_one_takes_nothing() {
        let mut bound = Bound::new(&LIMITS);
        assert!(bound.memory_growing(0, 1 << 19, None).unwrap());
        assert!(!bound.memory_growing(0, (1 << 19) + 1, None).unwrap());
        assert!(bound.memory_growing(1 << 19, 1 << 20, None).unwrap());
        assert!(!bound.memory_growing(0, 1, None).unwrap());
        let trap = wasmtime::Error::msg("unreachable");
        assert_eq!(bound.blame(&trap), Some(Limit::Memory(1 << 20)));
    }

    #[test]
    fn what_ended_the_call_is_blamed_before_what_was_only_refused() {
        let mut bound = Bound::new(&LIMITS);
        assert!(!bound.table_growing(0, 1_001, None).unwrap());
        assert_eq!(bound.blame(&wasmtime::Error::msg("unreachable")), Some(Limit::Tables(1_000)));
        let ended = wasmtime::Error::from(Limit::HostCalls(10)).context("in the guest's function");
        assert_eq!(bound.blame(&ended), Some(Limit::HostCalls(10)));
    }

    #[test]
    fn a_trap_without_a_refusal_is_the_guests_own() {
        assert_eq!(Bound::new(&LIMITS).blame(&wasmtime::Error::msg("unreachable")), None);
    }

    #[test]
    fn calls_and_lines_are_counted_to_the_last_one_allowed() {
        let mut bound = Bound::new(&LIMITS);
        assert!((0..10).all(|_| bound.host_call().is_ok()));
        assert_eq!(bound.host_call(), Err(Limit::HostCalls(10)));
        assert_eq!((0..5).filter(|_| bound.line()).count(), 3);
        assert_eq!(bound.dropped_lines(), 2);
    }

    #[test]
    fn only_time_between_coming_and_going_is_the_guests() {
        let mut bound = Bound::new(&LIMITS);
        let hour = Instant::now().checked_sub(Duration::from_hours(1)).unwrap();
        bound.resumed = Some(hour);
        bound.hand_over(CallHook::CallingHost);
        let ran = bound.ran;
        assert!(ran >= Duration::from_hours(1));
        bound.hand_over(CallHook::ReturningFromWasm);
        assert_eq!(bound.ran, ran, "the host's time was counted");
        bound.hand_over(CallHook::ReturningFromHost);
        assert!(bound.resumed.is_some_and(|resumed| resumed > hour));
    }

    #[test]
    fn a_call_of_wasi_is_the_guests_own_work_and_its_waiting_is_not() {
        let mut bound = Bound::new(&LIMITS);
        for _ in 0..3 {
            bound.called = Instant::now().checked_sub(Duration::from_hours(1));
            bound.enter_wasi();
            bound.hand_over(CallHook::ReturningFromHost);
        }
        assert_eq!(bound.ran, 3 * WASI_WORK);
        bound.called = Instant::now().checked_sub(Duration::from_hours(1));
        bound.hand_over(CallHook::ReturningFromHost);
        assert_eq!(bound.ran, 3 * WASI_WORK, "what follows is no WASI");
    }
}

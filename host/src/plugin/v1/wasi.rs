//! WASI 0.2 with nothing behind it, for guests whose language brings it: Python's, most of JavaScript's, `wasm32-wasip2`'s.
//!
//! - No files, no environment, no arguments, no sockets, no names of servers, an empty standard input: what a plugin may
//!   reach it reaches through `hearth:bot`, if it is granted.
//! - Standard output and error go to the operator's log line by line, within the bounds of `log`.
//! - Without the grant `clock`, the wall clock stands at the time that `hearth:bot/clock` tells, and the monotonic one at
//!   zero. Sleeping takes its time all the same, and counts against `call-time` like everything else.
//! - Random numbers are real ones, other ones in each call: they tell nothing, and a guest that makes a token of them must
//!   not make one that can be guessed.
//! - `exit` is a trap.
//!
//! Guests that do not import WASI pay nothing for it: it is linked where it is imported, and set up when it is first
//! called. Its functions do not count as calls of the host: a language's library calls them more often than its author
//! knows. Each does little, and its time counts as the guest's own computing, waiting excepted.

use std::{
    io,
    mem::take,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, ResourceTable, WasiCtx, WasiCtxView, WasiView,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, add_to_linker_async},
};

use super::{State, log::LINE_LIMIT, types::Capability};
use crate::id::Timestamp;

/// Streams, pollables and the like that a call may have at once.
const HANDLES: usize = 1_000;
/// Bytes of randomness that may be asked for at once.
const RANDOM_LIMIT: u64 = 64 << 10;
/// Bytes that may be written to a standard stream at once.
const WRITE_LIMIT: usize = 4 << 10;

/// One call's WASI.
pub(super) struct Wasi {
    context: WasiCtx,
    handles: ResourceTable,
    output: Printed,
    error: Printed,
}

/// Links WASI if the component imports any of it.
pub(super) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let imports = component.component_type();
    if imports.imports(component.engine()).any(|(name, _)| name.starts_with("wasi:")) {
        add_to_linker_async(linker)?;
    }
    Ok(())
}

impl Wasi {
    /// `stands` is where the clocks stand, unless they run.
    fn new(stands: Option<Timestamp>) -> Self {
        let (output, error) = (Printed::default(), Printed::default());
        let mut context = WasiCtx::builder();
        context
            .stdout(output.clone())
            .stderr(error.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_LIMIT);
        if let Some(stands) = stands {
            context.wall_clock(Standing(stands)).monotonic_clock(Standing(stands));
        }
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(HANDLES);
        Self { context: context.build(), handles, output, error }
    }
}

impl WasiView for State {
    /// Every function of WASI begins here.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.bound.enter_wasi();
        self.log_printed(Printed::lines);
        let stands = self.granted(Capability::Clock).is_none().then(|| self.received_at());
        let wasi = self
            .wasi
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| Box::new(Wasi::new(stands)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.handles }
    }
}

impl State {
    /// Logs what the guest has printed and not ended with a line break. To be called when the call has ended.
    pub(in crate::plugin) fn log_rest(&mut self) {
        self.log_printed(Printed::rest);
    }

    fn log_printed(&mut self, take: impl Fn(&Printed) -> Vec<String>) {
        let Some(wasi) = self.wasi.get_mut().unwrap_or_else(PoisonError::into_inner) else { return };
        let printed = [(Level::INFO, take(&wasi.output)), (Level::WARN, take(&wasi.error))];
        for (level, lines) in printed {
            for line in &lines {
                self.log(level, line);
            }
        }
    }
}

// === Standing: a clock that does not run ===

struct Standing(Timestamp);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.0).unwrap_or_default())
    }
}

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

// === Printed: a standard stream on its way to the log ===

/// What was written and not logged yet. WASI hands streams out in copies; all of a kind write here.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Text>>);

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    /// The line that has not ended; one byte more than a line may have is kept, which shows that it was longer.
    open: Vec<u8>,
}

impl Printed {
    fn text(&self) -> MutexGuard<'_, Text> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lines that have ended.
    fn lines(&self) -> Vec<String> {
        take(&mut self.text().lines)
    }

    /// Takes all there is.
    fn rest(&self) -> Vec<String> {
        let mut text = self.text();
        text.end_line();
        take(&mut text.lines)
    }
}

impl Text {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let line = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = (LINE_LIMIT + 1).saturating_sub(self.open.len());
            self.open.extend_from_slice(&line[..line.len().min(room)]);
            if line.len() < piece.len() {
                self.end_line();
            }
        }
    }

    /// Empty lines say nothing in a log.
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&take(&mut self.open)).trim_end().to_owned();
        if !line.is_empty() {
            self.lines.push(line);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if bytes.len() > WRITE_LIMIT {
            return Err(StreamError::trap("it wrote more to a standard stream than it was permitted to"));
        }
        self.text().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_LIMIT)
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(WRITE_LIMIT)];
        self.text().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]]) -> Printed {
        let mut printed = Printed::default();
        for piece in pieces {
            printed.write(Bytes::copy_from_slice(piece)).unwrap();
        }
        printed
    }

    #[test]
    fn lines_are_told_apart_however_they_are_written() {
        let printed = written(&[b"one\ntw", b"o\r\n\n", b"\nthr", b"ee"]);
        assert_eq!(printed.lines(), ["one", "two"]);
        assert_eq!(printed.lines(), [""; 0]);
        assert_eq!(printed.rest(), ["three"]);
        assert_eq!(printed.rest(), [""; 0]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_is_kept_of_it() {
        let endless = [b'x'; WRITE_LIMIT];
        let printed = written(&[&endless[..]; 100]);
        assert_eq!(printed.text().open.len(), LINE_LIMIT + 1);
        assert_eq!(printed.rest(), ["x".repeat(LINE_LIMIT + 1)]);
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        assert_eq!(written(&[b"caf\xc3\xa9 \xff\n"]).lines(), ["café \u{fffd}"]);
    }

    #[test]
    fn writing_more_than_is_permitted_is_a_trap() {
        let mut printed = Printed::default();
        let permitted = printed.check_write().unwrap();
        assert!(matches!(printed.write(vec![b'x'; permitted + 1].into()), Err(StreamError::Trap(_))));
        printed.write(vec![b'x'; permitted].into()).unwrap();
    }

    #[test]
    fn standing_clocks_tell_what_they_were_set_to() {
        let clock = Standing(Timestamp(1_234));
        assert_eq!(HostWallClock::now(&clock), Duration::from_millis(1_234));
        assert_eq!(HostMonotonicClock::now(&clock), 0);
        assert_eq!(HostWallClock::now(&Standing(Timestamp(-1))), Duration::ZERO);
    }
}

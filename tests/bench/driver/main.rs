//! Hearth beside what people would use instead, on this machine: `tests/bench/run` builds and installs what this needs.
//!
//! Everything is on loopback. This process is the Campfire that both sides serve (as its newest release is, which bots can
//! only post to), the Messages API behind the real CLI, and whoever writes. Measurements of the sides are interleaved in
//! rounds; a figure is the median of its rounds.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]

mod alone;
mod arguments;
mod bare;
mod calls;
mod campfire;
mod capacity;
mod chart;
mod figure;
mod hearth;
mod live;
mod load;
mod machine;
mod peer;
mod process;
mod report;
mod scale;
mod shared;
mod side_by_side;

use std::{
    panic::AssertUnwindSafe,
    process::ExitCode,
    time::{Duration, Instant},
};

use arguments::Arguments;
use campfire::Campfire;
use futures_util::FutureExt;
use hearth_tests::{costs, messages_api::MessagesApi};
use machine::Noise;
use report::Report;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long a part may take; the longest takes two minutes.
const PATIENCE: Duration = Duration::from_mins(5);

/// What every measurement works with.
struct Bench {
    arguments: Arguments,
    campfire: Campfire,
    /// Behind the real CLI.
    api: MessagesApi,
    noise: Noise,
    report: Report,
    began: Instant,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [cost, work, times] = &words[..]
        && cost == "--cost"
    {
        return repeat(work, times);
    }
    let arguments = match Arguments::parse(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    measure(arguments)
}

#[tokio::main]
async fn measure(arguments: Arguments) -> ExitCode {
    let mut bench = Bench {
        campfire: Campfire::start().await,
        api: MessagesApi::start(),
        noise: Noise::default(),
        report: Report::default(),
        began: Instant::now(),
        arguments,
    };
    let is_whole = tokio::select! {
        () = bench.run() => bench.report.failed.is_empty(),
        // What was started is ended, and what is known is written.
        () = told_to_end() => false,
    };
    match bench.report.write(&bench.arguments, &bench.noise) {
        Ok(()) if is_whole => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", bench.arguments.out.display());
            ExitCode::FAILURE
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
async fn told_to_end() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals are told");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Does a piece of work that often: for a valgrind that counts what that takes.
fn repeat(work: &str, times: &str) -> ExitCode {
    let (Some(mut work), Ok(times)) =
        (costs::all().into_iter().find(|known| known.name == work), times.parse::<u32>())
    else {
        return ExitCode::from(2);
    };
    for _ in 0..times {
        work.run();
    }
    ExitCode::SUCCESS
}

impl Bench {
    async fn run(&mut self) {
        self.chapter("disk", async |bench| alone::disk(bench)).await;
        self.chapter("turns-real", side_by_side::real_turns).await;
        self.chapter("turns-stub", side_by_side::stub_turns).await;
        self.chapter("rooms-stub", side_by_side::stub_rooms).await;
        self.chapter("rooms-real", side_by_side::real_rooms).await;
        self.chapter("acknowledgements", side_by_side::acknowledgements).await;
        self.chapter("calls", calls::plugin_calls).await;
        self.chapter("tools", calls::tool_calls).await;
        self.chapter("live", live::save_to_live).await;
        self.chapter("restart", alone::restart).await;
        self.chapter("durable", alone::durable_events).await;
        self.chapter("growth", scale::growth).await;
        self.chapter("redis", shared::hosts_on_redis).await;
    }

    /// Runs a part of it, unless others were asked for. One that fails or hangs takes no other with it.
    async fn chapter(&mut self, name: &'static str, measure: impl AsyncFnOnce(&mut Self)) {
        if !self.arguments.wants(name) {
            return;
        }
        eprintln!("[{:4.0} s] {name}", self.began.elapsed().as_secs_f64());
        self.noise.sample();
        let measured = timeout(PATIENCE, AssertUnwindSafe(measure(self)).catch_unwind()).await;
        if !matches!(measured, Ok(Ok(()))) {
            eprintln!("         {name} FAILED{}", if measured.is_err() { ": it took too long" } else { "" });
            self.report.failed.push(name);
        }
        self.noise.sample();
    }

    /// How many rounds: a quick run says less surely what a full one says.
    fn rounds(&self, full: usize) -> usize {
        if self.arguments.quick { 2.min(full) } else { full }
    }
}

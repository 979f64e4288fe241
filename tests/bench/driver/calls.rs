//! What a call of a plugin costs, and one of a plugin's tool by the agent.

use std::path::PathBuf;

use hearth_tests::{binary::repository, plugin_calls};

use crate::{
    Bench,
    figure::{Better, Figure, Side, milliseconds, quantile},
    hearth::{Cli, Disk, Hearth, Setup},
};

/// Calls in one message; the first ones warm up.
const TOOL_CALLS: usize = 300;

/// A message handed to a fresh instance, in three languages.
pub(crate) async fn plugin_calls(bench: &mut Bench) {
    let guests = &bench.arguments.guests;
    let plugins: [(_, PathBuf, _, _); 3] = [
        ("Rust", repository().join("plugins/dist/echo.wasm"), 10_000, Some(60.0)),
        ("JavaScript", guests.join("units.wasm"), 500, None),
        ("Python", guests.join("workdays.wasm"), 200, None),
    ];
    // An interpreter is compiled for some time first.
    let languages = if bench.arguments.quick { 1 } else { plugins.len() };
    for (language, file, calls, goal) in plugins.into_iter().take(languages) {
        let mut figure =
            Figure::new(format!("A call of a plugin in {language}, fresh instance"), "µs", Better::Lower);
        figure.goal = goal;
        let plugin = plugin_calls::Called::load(&file).await;
        for _ in 0..bench.rounds(5) {
            bench.noise.sample();
            let times = plugin.times("hello", calls / 5).await;
            figure.add(Side::Hearth, 1e3 * quantile(&times, 0.5));
        }
        bench.report.add(figure);
    }
}

/// The agent calls a tool of the plugin and has the answer: over the pipe, into a fresh instance, recorded, and back.
pub(crate) async fn tool_calls(bench: &mut Bench) {
    let bots = vec![("toolbox".into(), bench.arguments.guests.join("toolbox.wasm"), "")];
    let hearth = Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 8, bots }).await;
    let mut writer = hearth.writer(bench, 1);
    let title = "The agent calls a plugin's tool, there and back";
    let mut figure = Figure::new(title, "ms", Better::Lower);
    for _ in 0..bench.rounds(5) {
        bench.noise.sample();
        let answer = writer.say(&format!("TOOLS={TOOL_CALLS}")).await.answer;
        let list = answer.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
        let times = list.unwrap_or_else(|| panic!("the tool is called: {answer}")).split(',');
        let times: Vec<f64> = times
            .map(|time| time.trim().parse::<f64>().expect("nanoseconds") / 1e6)
            .skip(TOOL_CALLS / 5)
            .collect();
        figure.add(Side::Hearth, quantile(&times, 0.5));
    }
    bench.report.add(figure);
    // It has to have been a whole turn.
    assert!(milliseconds(writer.say("hello").await.answered) > 0.0);
}

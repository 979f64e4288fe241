//! From the save of a plugin to the first message that its new code answers.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Bench,
    figure::{Better, Figure, Side, milliseconds, quantile},
    hearth::{Cli, Disk, Hearth, Setup, folder_on},
};

/// How long it may take: a large component is compiled for seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A plugin whose answer can be told apart from that of another build of it.
struct Sample {
    language: &'static str,
    component: Vec<u8>,
    /// What is said to it.
    said: &'static str,
    /// Words of its answer, which stand in the component.
    words: &'static str,
    saves: usize,
}

/// Rust and JavaScript, the time until a file counts as settled included.
pub(crate) async fn save_to_live(bench: &mut Bench) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let dist = hearth_tests::binary::repository().join("plugins/dist");
    let samples = [
        Sample {
            language: "Rust",
            component: read(&dist.join("echo.wasm")),
            said: "",
            words: "Say something to me",
            saves: if bench.arguments.quick { 10 } else { 40 },
        },
        Sample {
            language: "JavaScript",
            component: read(&bench.arguments.guests.join("units.wasm")),
            said: "units",
            words: "or ask me anything about units",
            saves: 4,
        },
    ];
    // An interpreter is compiled for some time with each save.
    let languages = if bench.arguments.quick { 1 } else { samples.len() };
    for sample in samples.into_iter().take(languages) {
        let goal = (sample.language == "Rust").then_some(150.0);
        let times = measure(bench, &sample).await;
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let title = format!("A plugin in {} saved → a message runs it, {name}", sample.language);
            let mut figure = Figure::new(title, "ms", Better::Lower);
            figure.goal = goal.filter(|_| name == "p50");
            figure.add(Side::Hearth, quantile(&times, share));
            bench.report.add(figure);
        }
    }
}

async fn measure(bench: &Bench, sample: &Sample) -> Vec<f64> {
    let folder = folder_on(bench, Disk::Real);
    let file = folder.path().join("saved.wasm");
    fs::write(&file, &sample.component).expect("the folder is writable");
    let bots = vec![("saved".into(), file.clone(), "")];
    let hearth = Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 0, bots }).await;
    let mut writer = hearth.writer(bench, 1);
    writer.say(sample.said).await;
    let mut times = Vec::new();
    for save in 0..sample.saves {
        let (component, words) = sample.build(save);
        let began = Instant::now();
        fs::write(&file, component).expect("the folder is writable");
        // Somebody who writes all the time: how soon the answer is another's.
        loop {
            let exchange = writer.say(sample.said).await;
            if exchange.answer.contains(&words) {
                times.push(milliseconds(exchange.sent - began));
                break;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the new code never ran; the last answer: {}",
                exchange.answer
            );
        }
    }
    times
}

impl Sample {
    /// A build of the plugin that answers with other words of the same length.
    fn build(&self, number: usize) -> (Vec<u8>, String) {
        let words = format!("{:width$}", format!("Build number {number}"), width = self.words.len());
        let words = words.replace(' ', "_");
        let mut component = self.component.clone();
        let mut found = false;
        let mut at = 0;
        while let Some(next) = find(&component[at..], self.words.as_bytes()) {
            component[at + next..][..words.len()].copy_from_slice(words.as_bytes());
            at += next + words.len();
            found = true;
        }
        assert!(found, "the component in {} has no {:?}", self.language, self.words);
        (component, words)
    }
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

//! The results: a table for the terminal and for the README, JSON, and a chart.

use std::{fmt::Write as _, fs, io, path::Path};

use hearth_tests::binary;
use serde_json::{Value, json};

use crate::{
    arguments::Arguments,
    capacity::Measured,
    chart,
    figure::{Better, Figure, Side, Summary},
    machine::{self, Noise},
};

const SIDES: [(Side, &str); 3] =
    [(Side::Hearth, "Hearth"), (Side::Peer, "Flask + SDK"), (Side::Bare, "CLI alone")];

/// Between these are the README's tables: that of the figures, and that of what many hosts come to.
const BEGIN: &str = "<!-- `tests/bench/run --publish` writes what stands between these lines -->";
const BEGIN_CAPACITY: &str = "<!-- `tests/bench/run --publish` reckons what stands between these lines -->";
const END: &str = "<!-- until here -->";
const IMAGE: &str = "![The same as bars](tests/bench/chart.svg)";

/// All that was measured, in order.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    /// What many hosts come to, if that was measured.
    pub(crate) capacity: Option<Measured>,
    /// The parts that could not be measured.
    pub(crate) failed: Vec<&'static str>,
}

impl Report {
    /// Adds a figure, and shows it while the rest runs.
    pub(crate) fn add(&mut self, figure: Figure) {
        let cells =
            SIDES.map(|(side, name)| figure.of(side).map(|summary| format!("{name} {}", shown(summary))));
        let cells: Vec<_> = cells.into_iter().flatten().collect();
        eprintln!("         {} [{}]: {}", figure.title, figure.unit, cells.join(", "));
        self.figures.push(figure);
    }

    /// Prints the table and writes all into the folder.
    pub(crate) fn write(&self, arguments: &Arguments, noise: &Noise) -> io::Result<()> {
        let mut table = self.table(noise, |_| true);
        if !self.failed.is_empty() {
            writeln!(table, "\nNOT MEASURED, since it failed: {}", self.failed.join(", "))
                .expect("a String takes what is written");
        }
        if let Some(capacity) = &self.capacity {
            writeln!(table, "\nReckoned from that:\n\n{}", capacity.table())
                .expect("a String takes what is written");
        }
        println!("\n{table}");
        let folder: &Path = &arguments.out;
        fs::create_dir_all(folder)?;
        fs::write(folder.join("table.md"), &table)?;
        fs::write(folder.join("results.json"), format!("{:#}\n", self.json(noise)))?;
        fs::write(folder.join("chart.svg"), chart::of(&self.figures))?;
        eprintln!("table.md, results.json and chart.svg are in {}", folder.display());
        if arguments.publish { self.publish(noise) } else { Ok(()) }
    }

    /// Puts what users want to know into the README, and the chart beside the bench.
    fn publish(&self, noise: &Noise) -> io::Result<()> {
        let repository = binary::repository();
        fs::write(repository.join("tests/bench/chart.svg"), chart::of(&self.figures))?;
        let readme = repository.join("README.md");
        let mut text = fs::read_to_string(&readme)?;
        // What both sides do, and what Hearth is to reach.
        let table = self.table(noise, |figure| figure.ratio().is_some() || figure.goal.is_some());
        text = replaced(&text, BEGIN, &format!("{table}\n{IMAGE}"))?;
        if let Some(capacity) = &self.capacity {
            text = replaced(&text, BEGIN_CAPACITY, &capacity.table())?;
        }
        fs::write(&readme, text)
    }

    /// The figures that are wanted.
    fn table(&self, noise: &Noise, wanted: impl Fn(&Figure) -> bool) -> String {
        let mut lines = vec![
            "| | goal | Hearth | Flask + SDK | CLI alone | times better |".to_owned(),
            "|---|--:|--:|--:|--:|--:|".to_owned(),
        ];
        for figure in self.figures.iter().filter(|figure| wanted(figure)) {
            let of = |side| figure.of(side).map(shown).unwrap_or_default();
            let sign = match figure.better {
                Better::Lower => "≤",
                Better::Higher => "≥",
            };
            let mark = match figure.meets_goal() {
                Some(true) => " ✓",
                Some(false) => " ✗",
                None => "",
            };
            let goal = figure.goal.map(|goal| format!("{sign} {}{mark}", number(goal))).unwrap_or_default();
            let ratio = figure.ratio().map(|ratio| {
                let unsure = if figure.is_unsure() { " ?" } else { "" };
                format!("{}×{unsure}", number(ratio))
            });
            lines.push(format!(
                "| {} | {goal} | {} | {} | {} | {} |",
                titled(figure),
                of(Side::Hearth),
                of(Side::Peer),
                of(Side::Bare),
                ratio.unwrap_or_default(),
            ));
        }
        format!(
            "{}\n\nMedians of the rounds, in brackets the least and the most of them; `?`: the rounds of the sides overlap. \
             {}, {}. {}\n",
            lines.join("\n"),
            machine::date(),
            machine::description(),
            noise.verdict(),
        )
    }

    fn json(&self, noise: &Noise) -> Value {
        let figure = |figure: &Figure| {
            let sides = SIDES.iter().filter_map(|(side, name)| {
                let (rounds, Summary { median, least, most }) = (figure.rounds.get(side)?, figure.of(*side)?);
                Some(
                    json!({ "side": name, "median": median, "least": least, "most": most, "rounds": rounds }),
                )
            });
            json!({
                "title": figure.title, "unit": figure.unit, "goal": figure.goal, "meets-goal": figure.meets_goal(),
                "better": if figure.better == Better::Lower { "lower" } else { "higher" },
                "ratio": figure.ratio(), "unsure": figure.is_unsure(), "sides": sides.collect::<Vec<_>>(),
            })
        };
        json!({
            "failed": self.failed, "date": machine::date(), "machine": machine::description(),
            "noise": { "spread": noise.spread(), "quiet": noise.is_quiet() },
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
        })
    }
}

/// The text with this in the place that begins with that line.
fn replaced(text: &str, begin: &str, with: &str) -> io::Result<String> {
    let place = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        place.ok_or_else(|| io::Error::other("README.md has lost the place for a table"))?;
    Ok(format!("{before}{begin}\n\n{with}\n\n{END}{after}"))
}

fn titled(figure: &Figure) -> String {
    let unit = if figure.unit.is_empty() { String::new() } else { format!(", {}", figure.unit) };
    format!("{}{unit}", figure.title)
}

fn shown(summary: Summary) -> String {
    let Summary { median, least, most } = summary;
    if number(least) == number(most) {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(least), number(most))
}

/// With as many digits as say something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size < 0.1 => format!("{value:.3}"),
        size if size < 1.0 => format!("{value:.2}"),
        size if size < 20.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

//! The figures that both sides have, as bars.

use std::fmt::Write as _;

use crate::{
    figure::{Better, Figure, Side},
    report::number,
};

const WIDTH: f64 = 860.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 12.0;
const LONGEST: f64 = 620.0;
const BAR: f64 = 15.0;
/// A title, its bars, and some air.
const TITLE: f64 = 20.0;
const AIR: f64 = 16.0;
const HEAD: f64 = 34.0;

const SIDES: [(Side, &str, &str); 3] = [
    (Side::Hearth, "Hearth", "#d9480f"),
    (Side::Peer, "Flask + claude-agent-sdk", "#868e96"),
    (Side::Bare, "the CLI alone", "#4dabf7"),
];

/// An SVG that reads on light and dark pages.
pub(crate) fn of(figures: &[Figure]) -> String {
    let shown: Vec<_> = figures.iter().filter(|figure| figure.ratio().is_some()).collect();
    let (mut body, mut y) = (String::new(), HEAD);
    for figure in shown {
        y = group(&mut body, figure, y);
    }
    let mut x = LEFT;
    let mut legend = String::new();
    for (_, name, colour) in SIDES {
        text(&mut legend, x + 18.0, 19.0, "", name);
        bar(&mut legend, x, 8.0, 12.0, colour);
        x += 230.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#fff\"/>\n{legend}{body}</svg>\n"
    )
}

/// One figure's bars; where the next begins.
fn group(svg: &mut String, figure: &Figure, top: f64) -> f64 {
    let better = match figure.better {
        Better::Lower => "less is better",
        Better::Higher => "more is better",
    };
    text(
        svg,
        LEFT,
        top + 14.0,
        " font-weight=\"bold\"",
        &format!("{} ({}, {better})", figure.title, figure.unit),
    );
    let values = SIDES.iter().filter_map(|(side, _, colour)| Some((figure.of(*side)?.median, *colour)));
    let values: Vec<_> = values.collect();
    let most = values.iter().map(|(value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut y = top + TITLE;
    for (value, colour) in values {
        let length = (LONGEST * value / most).max(1.0);
        bar(svg, LEFT, y, length, colour);
        text(svg, LEFT + length + 6.0, y + 12.0, "", &format!("{} {}", number(value), figure.unit));
        y += BAR + 3.0;
    }
    y + AIR
}

fn bar(svg: &mut String, x: f64, y: f64, length: f64, colour: &str) {
    writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>")
        .expect("a String takes what is written");
}

fn text(svg: &mut String, x: f64, y: f64, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\"{style} fill=\"#212529\">{words}</text>")
        .expect("a String takes what is written");
}

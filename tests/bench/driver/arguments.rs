//! The command line.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: hearth-bench --hearth FILE --claude FILE --stub FILE --python FILE --guests FOLDER
                    [--out FOLDER] [--quick] [--only PART]... [--publish]
`tests/bench/run` builds and installs all of these, and the Redis of HEARTH_TEST_REDIS. PART is the name of a part, as shown while it runs.";

/// The part that a quick run has no time for, unless it is asked for.
const LONG: &str = "redis";

/// What to measure, and with what.
pub(crate) struct Arguments {
    /// The binary.
    pub(crate) hearth: PathBuf,
    /// The real CLI.
    pub(crate) claude: PathBuf,
    /// The CLI that does not think.
    pub(crate) stub: PathBuf,
    /// Python with what the peer needs.
    pub(crate) python: PathBuf,
    /// Plugins that are not committed: `toolbox`, and the examples.
    pub(crate) guests: PathBuf,
    /// Where the results go.
    pub(crate) out: PathBuf,
    /// In less time, with fewer samples.
    pub(crate) quick: bool,
    /// The table goes into the README, and the chart beside the bench.
    pub(crate) publish: bool,
    /// Only these parts; all if empty.
    only: Vec<String>,
}

impl Arguments {
    /// # Errors
    /// A word that is not known, or one that is missing.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut hearth, mut claude, mut stub, mut python, mut guests) = (None, None, None, None, None);
        let (mut out, mut quick, mut publish, mut only) =
            (PathBuf::from("bench-results"), false, false, Vec::new());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let absolute = |path: String| std::path::absolute(path).map_err(|error| error.to_string());
            match word.as_str() {
                "--hearth" => hearth = Some(absolute(value()?)?),
                "--claude" => claude = Some(absolute(value()?)?),
                "--stub" => stub = Some(absolute(value()?)?),
                "--python" => python = Some(absolute(value()?)?),
                "--guests" => guests = Some(absolute(value()?)?),
                "--out" => out = absolute(value()?)?,
                "--only" => only.push(value()?),
                "--quick" => quick = true,
                "--publish" => publish = true,
                other => return Err(format!("{other} is not known")),
            }
        }
        if publish && (quick || !only.is_empty()) {
            return Err("--publish goes with a whole run only".into());
        }
        let needed = |name: &str, path: Option<PathBuf>| path.ok_or_else(|| format!("{name} is missing"));
        Ok(Self {
            hearth: needed("--hearth", hearth)?,
            claude: needed("--claude", claude)?,
            stub: needed("--stub", stub)?,
            python: needed("--python", python)?,
            guests: needed("--guests", guests)?,
            out,
            quick,
            publish,
            only,
        })
    }

    pub(crate) fn wants(&self, part: &str) -> bool {
        if self.only.is_empty() {
            !(self.quick && part == LONG)
        } else {
            self.only.iter().any(|wanted| wanted == part)
        }
    }
}

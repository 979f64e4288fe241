//! `hearth test`: an author's cases.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use miette::{IntoDiagnostic, Report, miette};
use serde::Serialize;

use super::terminal;
use crate::{
    config::{
        Place,
        cases::{self, Case, NamedCase},
    },
    plugin::Loader,
    progress::Progress,
    rehearsal::{self, Failure, Ran},
    serve::COMPILED,
    toolchain,
};

/// The file with a plugin's cases, in its folder.
const FILE: &str = "cases.toml";
/// The folder with more of them.
const FOLDER: &str = "cases";

/// Which cases, of which plugin.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The plugin's folder, or a component; all plugins with cases if left out.
    plugin: Option<PathBuf>,
    /// Only cases with this in their name.
    filter: Option<String>,
    /// The cases; `cases.toml` and `cases/*.toml` in the plugin's folder if left out.
    #[arg(long, value_name = "FILE", requires = "plugin")]
    cases: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A plugin to be tested.
struct Plugin {
    /// Where its sources are, if they are there.
    folder: Option<PathBuf>,
    component: PathBuf,
    files: Vec<PathBuf>,
}

/// What came of a case, for scripts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    file: PathBuf,
    line: usize,
    case: String,
    passed: bool,
    failures: Vec<ToldFailure>,
    unanswered: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ToldFailure {
    what: String,
    diff: Option<String>,
}

// === impl Test ===

impl Test {
    /// Builds what is not what its sources make, and plays every case. 1 if one fails.
    pub(super) async fn run(self, config: &Path) -> Result<ExitCode, Report> {
        let mut loader = Loader::new().into_diagnostic()?;
        // Interpreters take seconds to compile.
        if let Ok(place) = Place::load(config) {
            loader = loader.keeping(&place.data_dir.join(COMPILED));
        }
        let mut told = Vec::new();
        for plugin in self.plugins()? {
            let mut cases = Vec::new();
            for file in &plugin.files {
                let named = cases::load(file)?;
                cases.extend(named.into_iter().map(|case| (file, case)));
            }
            build(&plugin).await?;
            for (file, named) in cases.iter().filter(|(_, named)| self.wants(&named.name)) {
                let ran = play(&loader, &plugin.component, &named.case).await;
                let one = Told::of(file, named, ran);
                if !self.json {
                    one.show();
                }
                told.push(one);
            }
        }
        let failed = told.iter().filter(|told| !told.passed).count();
        if self.json {
            terminal::print(&serde_json::to_string_pretty(&told).into_diagnostic()?);
        } else {
            terminal::print(&format!("{} passed, {failed} failed", told.len() - failed));
        }
        if told.is_empty() {
            let filter = self.filter.unwrap_or_default();
            return Err(miette!(
                help = "leave the filter out to see their names",
                "no case is called `{filter}`"
            ));
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.to_lowercase().contains(&filter.to_lowercase()))
    }

    fn plugins(&self) -> Result<Vec<Plugin>, Report> {
        let Some(path) = &self.plugin else {
            let here = Path::new(".");
            let folders = if files_in(here)?.is_empty() {
                let plugins = Path::new("plugins");
                if plugins.is_dir() {
                    toolchain::plugin_projects(plugins).into_diagnostic()?
                } else {
                    Vec::new()
                }
            } else {
                vec![here.to_owned()]
            };
            let mut plugins = Vec::new();
            for folder in folders {
                let files = files_in(&folder)?;
                if !files.is_empty() {
                    let component = toolchain::component_of(&folder).into_diagnostic()?;
                    plugins.push(Plugin { folder: Some(folder), component, files });
                }
            }
            if plugins.is_empty() {
                return Err(miette!(
                    help = "write one into plugins/<bot>/cases.toml; plugins/README.md of Hearth shows how",
                    "no plugin here has a case"
                ));
            }
            return Ok(plugins);
        };
        if !path.exists() {
            return Err(miette!(
                help = "name the folder of its sources, like plugins/echo, or a component, like plugins/dist/echo.wasm",
                "there is no plugin at {}",
                path.display()
            ));
        }
        let (folder, component) = if path.is_dir() {
            (Some(path.clone()), toolchain::component_of(path).into_diagnostic()?)
        } else {
            let component = std::path::absolute(path).into_diagnostic()?;
            // What lies around it need not be plugins.
            (toolchain::sources_of(&component).unwrap_or_default(), component)
        };
        let files = match (&self.cases, &folder) {
            (Some(file), _) => vec![file.clone()],
            (None, Some(folder)) => files_in(folder)?,
            (None, None) => files_in(component.parent().unwrap_or(Path::new(".")))?,
        };
        if files.is_empty() {
            return Err(miette!(
                help = "write one into its cases.toml, or name a file with `--cases`",
                "{} has no case",
                path.display()
            ));
        }
        Ok(vec![Plugin { folder, component, files }])
    }
}

/// The files of cases in a plugin's folder, in order.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Report> {
    let mut files = Vec::new();
    let file = folder.join(FILE);
    if file.is_file() {
        files.push(file);
    }
    let more = folder.join(FOLDER);
    if more.is_dir() {
        let entries = fs::read_dir(&more).into_diagnostic()?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .into_diagnostic()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        files.extend(paths);
    }
    Ok(files)
}

/// Builds the component if it is not what its sources make.
async fn build(plugin: &Plugin) -> Result<(), Report> {
    let (Some(folder), Some(dist)) = (&plugin.folder, plugin.component.parent()) else { return Ok(()) };
    if !toolchain::stale(dist, std::slice::from_ref(folder)).into_diagnostic()?.is_empty() {
        terminal::note(&format!("building {} …", folder.display()));
        toolchain::build(folder, dist).await.into_diagnostic()?;
    }
    Ok(())
}

/// Plays a case, with a bot of its own.
async fn play(loader: &Loader, component: &Path, case: &Case) -> Ran {
    let made = match rehearsal::bot(component, case) {
        Ok(bot) => {
            let _progress = Progress::of(&format!("{} is being loaded", component.display()));
            loader.load(&bot, 1).await.map_err(|error| error.to_string())
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(generation) => rehearsal::play(&generation, case).await,
        Err(problem) => Ran { failures: vec![Failure::said(problem)], ..Ran::default() },
    }
}

// === impl Told ===

impl Told {
    fn of(file: &Path, named: &NamedCase, ran: Ran) -> Self {
        let failure = |failure: Failure| ToldFailure {
            what: failure.what,
            diff: failure.difference.map(|difference| difference.diff),
        };
        Self {
            file: file.to_owned(),
            line: named.line,
            case: named.name.clone(),
            passed: ran.failures.is_empty(),
            failures: ran.failures.into_iter().map(failure).collect(),
            unanswered: ran.unanswered,
        }
    }

    fn show(&self) {
        if self.passed {
            return terminal::good(&self.case);
        }
        terminal::bad(&format!("{} ({}:{})", self.case, self.file.display(), self.line));
        for failure in &self.failures {
            let mut lines = failure.what.lines();
            terminal::print(&format!("  {}", lines.next().unwrap_or_default()));
            lines.for_each(|line| terminal::print(&format!("    {line}")));
            if let Some(diff) = &failure.diff {
                terminal::print_diff(diff);
            }
        }
        for request in &self.unanswered {
            terminal::print(&format!("  ! no `http` of the case answers {request}"));
        }
    }
}

//! `hearth build`: plugins from their sources into the folder that bots.toml looks in.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use miette::{IntoDiagnostic, Report, miette};

use super::terminal;
use crate::toolchain;

/// What to build, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// Folders of plugins; all in the folder above the output folder if none is named.
    plugins: Vec<PathBuf>,
    /// The output folder.
    #[arg(long, value_name = "FOLDER", default_value = "plugins/dist")]
    out: PathBuf,
    /// Build nothing; fail if a built plugin is not what its sources make.
    #[arg(long)]
    check: bool,
}

impl Build {
    /// Builds, or checks.
    pub(super) async fn run(self) -> Result<ExitCode, Report> {
        let plugins = if self.plugins.is_empty() { neighbours(&self.out)? } else { self.plugins };
        if self.check {
            return check(&self.out, &plugins);
        }
        for plugin in &plugins {
            let built = toolchain::build(plugin, &self.out).await.into_diagnostic()?;
            terminal::good(&format!(
                "{}: {} ({} bytes, {:.1} s)",
                built.name,
                built.path.display(),
                built.bytes,
                built.took.as_secs_f64()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(out: &Path, plugins: &[PathBuf]) -> Result<ExitCode, Report> {
    let stale = toolchain::stale(out, plugins).into_diagnostic()?;
    for plugin in &stale {
        terminal::bad(&plugin.to_string());
    }
    if stale.is_empty() {
        terminal::good(&format!("{} plugins are what their sources make", plugins.len()));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The plugins beside the output folder.
fn neighbours(out: &Path) -> Result<Vec<PathBuf>, Report> {
    let folder = std::path::absolute(out).into_diagnostic()?;
    let folder = folder.parent().unwrap_or(&folder);
    let plugins = toolchain::plugin_projects(folder).into_diagnostic()?;
    if plugins.is_empty() {
        Err(miette!(
            help = "name the folder of one: hearth build path/to/plugin",
            "no plugin's sources are in {}",
            folder.display()
        ))
    } else {
        Ok(plugins)
    }
}

//! `hearth new`: a new bot's project.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use miette::{IntoDiagnostic, Report};

use super::terminal;
use crate::toolchain::{self, Language};

/// What to begin.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The bot's name: lower-case letters, digits and dashes.
    bot: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// Where; a folder of the bot's name if left out.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum Lang {
    Rust,
    JavaScript,
    Python,
}

impl New {
    /// Makes the project, and says how it goes on.
    pub(super) fn run(self) -> Result<ExitCode, Report> {
        let folder = self.folder.unwrap_or_else(|| Path::new(&self.bot).to_owned());
        let language = match self.lang {
            Lang::Rust => Language::Rust,
            Lang::JavaScript => Language::JavaScript,
            Lang::Python => Language::Python,
        };
        toolchain::begin(&self.bot, language, &folder).into_diagnostic()?;
        terminal::good(&format!(
            "{} is in {}. It goes on with:\n\n    cd {}\n    hearth dev\n",
            self.bot,
            folder.display(),
            folder.display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

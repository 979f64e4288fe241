//! A plugin's sources, whatever they are written in.

use std::path::Path;

use super::{BuildError, project::Project, script::Script};

/// A plugin's folder that was read.
#[derive(Debug)]
pub(super) enum Source {
    /// A crate.
    Rust(Box<Project>),
    /// A package of JavaScript or Python.
    Script(Script),
}

impl Source {
    /// What is in this folder. A crate, if it is none of the others.
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        match Script::read(folder)? {
            Some(script) => Ok(Self::Script(script)),
            None => Project::read(folder).map(|project| Self::Rust(Box::new(project))),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Rust(project) => &project.name,
            Self::Script(script) => &script.name,
        }
    }

    pub(super) fn sources_hash(&self) -> Result<String, BuildError> {
        match self {
            Self::Rust(project) => project.sources_hash(),
            Self::Script(script) => script.sources_hash(),
        }
    }
}

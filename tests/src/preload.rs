//! A few lines of C in front of the C library, for one process.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const WITHOUT_WATCHING: &str = r"
#include <errno.h>

int inotify_init1(int flags) {
    (void)flags;
    errno = EMFILE;
    return -1;
}
";

/// A library that processes load before all others if they are started with its variable.
pub struct Preload(PathBuf);

impl Preload {
    /// Builds it of `source`, in this folder.
    ///
    /// # Panics
    /// If there is no C compiler, which building Hearth needs too.
    pub fn built(folder: &Path, name: &str, source: &str) -> Self {
        let (file, library) = (folder.join(name).with_extension("c"), folder.join(name).with_extension("so"));
        std::fs::write(&file, source).expect("the folder is writable");
        #[expect(clippy::disallowed_methods, reason = "a C compiler, for the tests")]
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &file]).status();
        assert!(built.is_ok_and(|status| status.success()), "`cc` can't build {}", file.display());
        Self(library)
    }

    /// With it, a process is told of no change of a file, as if others had used up what the system has for that.
    pub fn without_watching(folder: &Path) -> Self {
        Self::built(folder, "without-watching", WITHOUT_WATCHING)
    }

    /// The variable, as the shell's `export` takes it.
    pub fn variable(&self) -> String {
        format!("LD_PRELOAD='{}'", self.0.display())
    }
}

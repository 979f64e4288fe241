//! Where the pinned `claude` CLI is: `tests/run` installs it and says so in `HEARTH_TEST_CLAUDE`.

use std::{env, path::PathBuf};

/// The variable that `tests/run` sets.
pub const VARIABLE: &str = "HEARTH_TEST_CLAUDE";

/// The CLI's executable.
///
/// # Panics
/// If the tests were started without `tests/run`: a test that skips itself would pass without having run.
pub fn path() -> PathBuf {
    match located(env::var_os(VARIABLE).map(PathBuf::from)) {
        Ok(path) => path,
        Err(why) => panic!("{why}"),
    }
}

fn located(path: Option<PathBuf>) -> Result<PathBuf, String> {
    let install = "`tests/run` installs the pinned `claude` CLI and sets it; \
                   for a single test: export HEARTH_TEST_CLAUDE=\"$(tests/install/claude <folder>)\"";
    match path {
        None => Err(format!("{VARIABLE} is not set. {install}")),
        Some(path) if path.is_file() => Ok(path),
        Some(path) => {
            Err(format!("{VARIABLE} names {}, and there is no such file. {install}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cli_is_reported_with_the_command_that_installs_it() {
        let unset = located(None).unwrap_err();
        assert!(unset.contains("HEARTH_TEST_CLAUDE is not set") && unset.contains("tests/run"), "{unset}");
        let absent = located(Some("/no/such/claude".into())).unwrap_err();
        assert!(absent.contains("/no/such/claude") && absent.contains("tests/run"), "{absent}");
    }

    #[test]
    fn an_installed_cli_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(located(Some(file.path().into())), Ok(file.path().into()));
    }
}

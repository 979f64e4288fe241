//! The CLI's version, and which ones fit.

use std::{fmt, str::FromStr};

/// A version of the CLI, as `--version` prints it: `2.1.330 (Claude Code)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CliVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
    /// It is the built-in stand-in, which has the host's own version.
    pub is_demo: bool,
}

impl CliVersion {
    /// The oldest one that fits. Older ones than 2.1.248 read the file that `@/path` in a message names, whatever they are
    /// told; this is the oldest one tried that also knows `--system-prompt-snapshot`, without which a session keeps the
    /// persona it began with.
    pub const SUPPORTED: Self = Self { major: 2, minor: 1, patch: 290, is_demo: false };

    /// Whether Hearth runs it.
    pub fn is_supported(&self) -> bool {
        self.is_demo || *self >= Self::SUPPORTED
    }
}

/// The text is no version of a CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version such as \"{} (Claude Code)\"", CliVersion::SUPPORTED)]
pub struct NoVersion;

impl FromStr for CliVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let (numbers, product) = text.trim().split_once(' ').ok_or(NoVersion)?;
        let is_demo = match product {
            "(Claude Code)" => false,
            "(Hearth demo agent)" => true,
            _ => return Err(NoVersion),
        };
        let mut numbers = numbers.split('.').map(|number| number.parse().map_err(|_| NoVersion));
        let mut number = || numbers.next().unwrap_or(Err(NoVersion));
        let version = Self { major: number()?, minor: number()?, patch: number()?, is_demo };
        if numbers.next().is_some() { Err(NoVersion) } else { Ok(version) }
    }
}

impl fmt::Display for CliVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cli_prints_is_understood() {
        let version: CliVersion = "2.1.330 (Claude Code)\n".parse().unwrap();
        assert_eq!(version.to_string(), "2.1.330");
        assert!(version.is_supported());
    }

    #[test]
    fn versions_compare_by_number_not_by_letter() {
        for (text, fits) in [
            ("2.1.289 (Claude Code)", false),
            ("2.1.290 (Claude Code)", true),
            ("2.1.1000 (Claude Code)", true),
            ("2.2.0 (Claude Code)", true),
            ("10.0.0 (Claude Code)", true),
            ("1.9.999 (Claude Code)", false),
            ("0.1.0 (Hearth demo agent)", true),
        ] {
            assert_eq!(text.parse::<CliVersion>().unwrap().is_supported(), fits, "{text}");
        }
    }

    #[test]
    fn other_text_is_no_version() {
        for text in
            ["", "claude", "2.1 (Claude Code)", "2.1.3.4 (Claude Code)", "2.1.330", "9.9.9 (Something)"]
        {
            assert_eq!(text.parse::<CliVersion>(), Err(NoVersion), "{text}");
        }
    }
}

//! Values that are not in the file itself: `${VARIABLE}` and `file:<path>`.
//!
//! A value that begins with `file:` is the content of that file, without the line break at its end; its path may contain
//! variables. Everywhere else `${VARIABLE}` stands for the variable, which must be set and not empty. What a variable
//! or a file contains is taken as it is and not looked at for further variables.
//!
//! Of a secret it is checked here, too, that it has its form, and that no other bot has it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    check::{Checked, Checks},
    located::Located,
    mistake::Mistake,
    units::size_text,
};

/// The largest file that a value is taken from.
pub(super) const FILE_LIMIT: u64 = 64 << 10;

/// What a configuration is read with besides its text.
pub(super) struct Surroundings<'a> {
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    /// The variables.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// The files that values were looked for in.
    pub(super) files: RefCell<BTreeSet<PathBuf>>,
}

/// Secrets seen so far: whose, and where.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<String, (String, Range<usize>)>);

impl<'a> Surroundings<'a> {
    pub(super) fn new(folder: &'a Path, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { folder, environment, files: RefCell::default() }
    }

    /// `text` with its variables replaced, or each of them that can't be.
    pub(super) fn expand(&self, key: &'static str, text: &str) -> Result<String, Vec<Mistake>> {
        let (mut expanded, mut mistakes) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            expanded.push_str(before);
            let Some((variable, after)) = after.split_once('}') else {
                mistakes.push(Mistake::Placeholder { key });
                return Err(mistakes);
            };
            rest = after;
            if !is_variable_name(variable) {
                mistakes.push(Mistake::Placeholder { key });
                continue;
            }
            match (self.environment)(variable).filter(|value| !value.is_empty()) {
                Some(value) => expanded.push_str(&value),
                None => mistakes.push(Mistake::Variable { key, variable: variable.to_owned() }),
            }
        }
        expanded.push_str(rest);
        if mistakes.is_empty() { Ok(expanded) } else { Err(mistakes) }
    }

    /// The secret that `text` is or names.
    pub(super) fn secret(&self, key: &'static str, text: &str) -> Result<SecretString, Vec<Mistake>> {
        let Some(path) = text.strip_prefix("file:") else {
            return self.expand(key, text).map(SecretString::from);
        };
        let path = self.expand(key, path)?;
        let content = self.file(key, &path).map_err(|mistake| vec![mistake])?;
        Ok(content
            .strip_suffix('\n')
            .map_or(&*content, |line| line.strip_suffix('\r').unwrap_or(line))
            .into())
    }

    /// The text in a file.
    pub(super) fn file(&self, key: &'static str, path: &str) -> Result<String, Mistake> {
        let path = self.folder.join(path);
        self.files.borrow_mut().insert(path.clone());
        let text = read_limited(&path, FILE_LIMIT).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
        });
        text.map_err(|source| Mistake::File { key, path, source })
    }
}

/// A regular file of at most `limit` bytes. Others are refused: a pipe or a device could keep the reader waiting.
pub(super) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("longer than {}", size_text(limit));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Whether every system would take it as a variable's name.
pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `<digits>-<12 or more letters and digits>`, as Campfire makes them.
pub(super) fn is_bot_key(text: &str) -> bool {
    text.split_once('-').is_some_and(|(id, token)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && token.len() >= 12
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// What fits wherever a secret does, another one for each variable.
pub(super) fn stand_in(variable: &str) -> String {
    format!("0-{}", Uuid::new_v5(&Uuid::nil(), variable.as_bytes()).simple())
}

/// 16 or more characters that need no escape in a URL.
pub(super) fn is_unguessable(text: &str) -> bool {
    text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

// === the checks ===

impl Checks<'_> {
    /// A text, its source read, that must be of a form.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        raw: &Located<String>,
        fits: fn(&str) -> bool,
        otherwise: Mistake,
    ) -> Checked<SecretString> {
        let secret = self.surroundings.secret(key, raw.get());
        let secret = self.all(raw.span(), secret)?;
        if !fits(secret.expose_secret()) {
            return Err(self.findings.add(raw.span(), otherwise));
        }
        Ok(secret)
    }

    /// A secret that no other bot has; none if there is none.
    pub(super) fn own_secret(
        &mut self,
        key: &'static str,
        bot: &Located<String>,
        raw: Option<&Located<String>>,
        fits: fn(&str) -> bool,
        otherwise: Mistake,
        Seen(seen): &mut Seen,
    ) -> Checked<Option<SecretString>> {
        let Some(raw) = raw else { return Ok(None) };
        let secret = self.secret(key, raw, fits, otherwise)?;
        if let Some((other, earlier)) = seen.get(secret.expose_secret()) {
            let mistake = Mistake::Shared { key, bot: bot.get().clone(), other: other.clone() };
            return Err(self.findings.add_again(raw.span(), Some(earlier.clone()), mistake));
        }
        seen.insert(secret.expose_secret().to_owned(), (bot.get().clone(), raw.span()));
        Ok(Some(secret))
    }
}

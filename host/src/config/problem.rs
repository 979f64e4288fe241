//! What is wrong with a `bots.toml`, all of it, each with its place.
//!
//! [`Problems`] is one error with many parts. `{}` is one line; `{:#}` is plain text with every problem's file, line,
//! column and remedy, for logs; through `miette` each problem also shows the lines it is about. The source in these
//! reports has its secrets masked (see `mask`), so a report can be pasted anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::{
    check::{Checked, Reported},
    mistake::Mistake,
};
use crate::id::BotName;

/// One or more problems, in the order of the file.
#[derive(Debug, thiserror::Error)]
pub struct Problems {
    path: PathBuf,
    list: Vec<Problem>,
}

/// One mistake and where it is.
#[derive(Debug)]
pub struct Problem {
    path: PathBuf,
    place: Option<Place>,
    mistake: Mistake,
    /// The bot whose table it is in; none if it concerns the whole deployment.
    bot: Option<String>,
}

/// The file that problems are about, as reports show it: its secrets are masked. Cheap to clone.
#[derive(Clone)]
pub(super) struct Source {
    path: PathBuf,
    text: Arc<str>,
    named: Arc<NamedSource<Arc<str>>>,
}

#[derive(Debug)]
struct Place {
    source: Source,
    span: Range<usize>,
    line: usize,
    column: usize,
    /// Where the thing was first, if the mistake is that it is there twice.
    earlier: Option<Range<usize>>,
}

// === impl Problems ===

impl Problems {
    /// The one problem of a file that could not be read as far as having places.
    pub(super) fn of_file(path: &Path, mistake: Mistake) -> Self {
        Self {
            path: path.to_owned(),
            list: vec![Problem { path: path.to_owned(), place: None, mistake, bot: None }],
        }
    }

    /// Each problem, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are; never 0.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => write!(f, "{} has a problem", self.path.display())?,
            count => write!(f, "{} has {count} problems", self.path.display())?,
        }
        if f.alternate() {
            for problem in &self.list {
                write!(f, "\n{problem:#}")?;
            }
        }
        Ok(())
    }
}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.list.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

// === impl Problem ===

impl Problem {
    /// What is wrong.
    pub fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// Line and column (in characters), both from 1; none if the problem is not at one place.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{}", self.mistake);
        }
        write!(f, "{}", self.path.display())?;
        if let Some(Place { line, column, .. }) = &self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.mistake)?;
        if let Some(cause) = self.source() {
            write!(f, ": {cause}")?;
        }
        write!(f, " ({})", self.mistake.remedy().replace(":\n", ": ").replace('\n', "; "))
    }
}

impl Error for Problem {
    /// The mistake is what is displayed, so its cause is the next one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.mistake.source()
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.mistake.remedy()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.source.named as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let here = LabeledSpan::new_primary_with_span(Some(self.mistake.label()), place.span.clone());
        let earlier = place.earlier.clone();
        let earlier = earlier.map(|span| LabeledSpan::new_with_span(Some("first here".to_owned()), span));
        Some(Box::new([Some(here), earlier].into_iter().flatten()))
    }
}

// === impl Source ===

impl Source {
    /// `text` is masked already.
    pub(super) fn new(path: &Path, text: String) -> Self {
        let text: Arc<str> = text.into();
        let named = NamedSource::new(path.display().to_string(), Arc::clone(&text));
        Self { path: path.to_owned(), text, named: Arc::new(named) }
    }

    /// A problem of the file, at `span` if that is anywhere.
    pub(super) fn problem(
        &self,
        span: Option<Range<usize>>,
        earlier: Option<Range<usize>>,
        mistake: Mistake,
    ) -> Problem {
        let place = span.map(|span| {
            let (line, column) = self.line_and_column(span.start);
            Place { source: self.clone(), span, line, column, earlier }
        });
        Problem { path: self.path.clone(), place, mistake, bot: None }
    }

    pub(super) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.path.display())
    }
}

// === Collecting ===

/// Takes problems down as they are found. A mistake that only follows from one already found is left out.
pub(super) struct Findings {
    source: Source,
    problems: Vec<Problem>,
    /// Keys, with their tables, that were meant to be there; that they are absent is no problem of its own.
    meant: BTreeSet<Vec<String>>,
    /// The bot whose table is looked at now.
    about: Option<String>,
    /// Lines that are no TOML. Their values are guesses, and what the file lacks may be in them.
    broken_lines: BTreeSet<usize>,
}

impl Findings {
    pub(super) fn new(source: Source) -> Self {
        let (meant, broken_lines) = (BTreeSet::new(), BTreeSet::new());
        Self { source, problems: Vec::new(), meant, about: None, broken_lines }
    }

    /// What is found from now on is in the table at this path: a bot's, or another.
    pub(super) fn about(&mut self, path: &[String]) {
        self.about = match path {
            [bots, name, ..] if bots == "bots" => Some(name.clone()),
            _ => None,
        };
    }

    /// What is found from now on is in this bot's table.
    pub(super) fn about_bot(&mut self, name: &str) {
        self.about = Some(name.to_owned());
    }

    /// A line that is no TOML.
    pub(super) fn syntax(&mut self, span: Range<usize>, message: String) {
        self.broken_lines.insert(self.source.line_and_column(span.start).0);
        let problem = self.source.problem(Some(span), None, Mistake::Syntax { message });
        self.problems.push(problem);
    }

    /// A mistake in what the file says at `span`.
    pub(super) fn add(&mut self, span: Range<usize>, mistake: Mistake) -> Reported {
        self.add_again(span, None, mistake)
    }

    /// A mistake that lies in repeating what is said `earlier`.
    pub(super) fn add_again(
        &mut self,
        span: Range<usize>,
        earlier: Option<Range<usize>>,
        mistake: Mistake,
    ) -> Reported {
        let at_a_place = !span.is_empty();
        let is_broken =
            || !at_a_place || self.broken_lines.contains(&self.source.line_and_column(span.start).0);
        if !self.broken_lines.is_empty() && is_broken() {
            return Reported;
        }
        let mut problem = self.source.problem(at_a_place.then_some(span), earlier, mistake);
        problem.bot.clone_from(&self.about);
        self.problems.push(problem);
        Reported
    }

    /// The key at `path` was meant to be there, but is misspelt or has a wrong value, which is reported already.
    pub(super) fn meant(&mut self, path: Vec<String>) {
        self.meant.insert(path);
    }

    /// What the file says at `span` lacks the key at `path`, or anything below it.
    pub(super) fn lacks(&mut self, span: Range<usize>, path: &[&str], mistake: Mistake) -> Reported {
        let meant = self.meant.iter().any(|meant| meant.iter().zip(path).all(|(a, b)| a == b));
        if self.broken_lines.is_empty() && !meant {
            self.add(span, mistake);
        }
        Reported
    }

    /// The problems, or, if there are none, what was made of the file.
    pub(super) fn conclude<T>(self, made: Checked<T>) -> Result<T, Problems> {
        match made {
            Ok(made) if self.problems.is_empty() => Ok(made),
            _ => Err(self.problems()),
        }
    }

    /// What was made of the file, and the problems of each bot that has any; all of them if one is not a bot's own.
    pub(super) fn conclude_by_bot<T>(
        self,
        made: Checked<T>,
    ) -> Result<(T, BTreeMap<BotName, Problems>), Problems> {
        let Problems { path, list } = self.problems();
        let made = match made {
            Ok(made) if list.iter().all(|problem| problem.bot.is_some()) => made,
            _ => return Err(Problems { path, list }),
        };
        let mut by_bot = BTreeMap::new();
        for problem in list {
            let name = BotName::from(problem.bot.as_deref().unwrap_or_default());
            let of_bot = by_bot.entry(name);
            of_bot.or_insert_with(|| Problems { path: path.clone(), list: Vec::new() }).list.push(problem);
        }
        Ok((made, by_bot))
    }

    /// All of them, in the order of the file.
    fn problems(mut self) -> Problems {
        self.problems.sort_by_key(|problem| problem.place.as_ref().map_or(0, |place| place.span.start));
        Problems { path: self.source.path, list: self.problems }
    }
}

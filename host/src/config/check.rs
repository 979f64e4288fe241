//! From one value of the file to one that the host works with: bounds, units, paths and addresses are checked here.
//!
//! A check that fails tells the findings; a table is put together from what its checks yield only after all of them ran.

use std::{
    net::SocketAddr,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use url::Url;

use super::{
    located::Located,
    mistake::Mistake,
    problem::Findings,
    secret::Surroundings,
    units::{self, DAY, DurationText, Size},
};

/// How long one step of anything may take.
pub(super) const STEP: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

/// What a check yields.
pub(super) type Checked<T> = Result<T, Reported>;

/// Something was wrong, and the findings have it.
#[derive(Clone, Copy)]
pub(super) struct Reported;

/// Checks values one by one.
pub(super) struct Checks<'a> {
    pub(super) findings: Findings,
    pub(super) surroundings: Surroundings<'a>,
}

impl Checks<'_> {
    pub(super) fn address(&mut self, key: &'static str, raw: &Located<String>) -> Checked<SocketAddr> {
        raw.get()
            .parse()
            .map_err(|_| self.findings.add(raw.span(), Mistake::Address { key, given: raw.get().clone() }))
    }

    /// A URL that paths can be appended to.
    pub(super) fn base_url(&mut self, key: &'static str, raw: &Located<String>) -> Checked<Url> {
        let expanded = self.surroundings.expand(key, raw.get());
        let text = self.all(raw.span(), expanded)?;
        let fault = match Url::parse(&text) {
            Err(source) => {
                return Err(self.findings.add(raw.span(), Mistake::Url { key, source }));
            }
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://",
            // Campfire sends no credentials along, and a URL is printed in places where a secret must not be.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not have a user name or a password"
            }
            Ok(url) if url.query().is_some() => "must not have a query",
            Ok(url) if url.fragment().is_some() => "must not have a fragment",
            Ok(url) => return Ok(url),
        };
        Err(self.findings.add(raw.span(), Mistake::BaseUrl { key, fault }))
    }

    /// A path, absolute.
    pub(super) fn path(&mut self, key: &'static str, raw: &Located<String>) -> Checked<PathBuf> {
        self.filled(key, raw).map(|path| self.surroundings.folder.join(path))
    }

    /// A text that says something.
    pub(super) fn filled(&mut self, key: &'static str, raw: &Located<String>) -> Checked<String> {
        if raw.get().trim().is_empty() {
            return Err(self.findings.add(raw.span(), Mistake::Empty { key }));
        }
        Ok(raw.get().clone())
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        raw: &Located<i64>,
        range: RangeInclusive<i64>,
    ) -> Checked<T> {
        let given = *raw.get();
        let bounds = |range: &RangeInclusive<i64>| match (range.start(), range.end()) {
            (least, &i64::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        self.bounded(key, raw.span(), &given, &given.to_string(), &range, bounds)?;
        T::try_from(given).map_err(|_| Reported)
    }

    pub(super) fn size(
        &mut self,
        key: &'static str,
        raw: &Located<Size>,
        range: RangeInclusive<u64>,
    ) -> Checked<usize> {
        let (bytes, given) = match raw.get() {
            Size::Bytes(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
            Size::Text(text) => (units::size(text), text.clone()),
        };
        let Some(bytes) = bytes else {
            return Err(self.findings.add(raw.span(), Mistake::Size { key, given }));
        };
        let bounds = |range: &RangeInclusive<u64>| {
            format!("{} to {}", units::size_text(*range.start()), units::size_text(*range.end()))
        };
        self.bounded(key, raw.span(), &bytes, &given, &range, bounds)?;
        usize::try_from(bytes).map_err(|_| Reported)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        raw: &Located<DurationText>,
        range: RangeInclusive<Duration>,
    ) -> Checked<Duration> {
        let DurationText(text) = raw.get();
        let Some(duration) = units::duration(text) else {
            return Err(self.findings.add(raw.span(), Mistake::Duration { key, given: text.clone() }));
        };
        let bounds = |range: &RangeInclusive<Duration>| {
            format!("{} to {}", units::duration_text(*range.start()), units::duration_text(*range.end()))
        };
        self.bounded(key, raw.span(), &duration, text, &range, bounds)?;
        Ok(duration)
    }

    fn bounded<T: PartialOrd>(
        &mut self,
        key: &'static str,
        span: Range<usize>,
        value: &T,
        given: &str,
        range: &RangeInclusive<T>,
        bounds: impl Fn(&RangeInclusive<T>) -> String,
    ) -> Checked<()> {
        if range.contains(value) {
            return Ok(());
        }
        let mistake = Mistake::OutOfRange { key, given: given.to_owned(), bounds: bounds(range) };
        Err(self.findings.add(span, mistake))
    }

    /// What was made, or nothing once each mistake is reported.
    pub(super) fn all<T>(&mut self, span: Range<usize>, made: Result<T, Vec<Mistake>>) -> Checked<T> {
        made.map_err(|mistakes| {
            for mistake in mistakes {
                self.findings.add(span.clone(), mistake);
            }
            Reported
        })
    }
}

/// What all of the checks yield; each is made, whatever comes of those before it.
pub(super) fn every<T>(checks: impl Iterator<Item = Checked<T>>) -> Checked<Vec<T>> {
    let checked: Vec<_> = checks.collect();
    checked.into_iter().collect()
}

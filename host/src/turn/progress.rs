//! What the room sees of a turn that takes its time: one message, edited in place.
//!
//! - Nothing is shown of a turn that is over within `progress-after`.
//! - One edit at a time, at most one a second, and the last state wins.
//! - A plugin may shape what is shown. If it fails, the host's own words are shown, for the rest of the turn.
//! - A Campfire that can't edit is told nothing, but that the model's provider keeps refusing: once, as a message.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    face,
    placeholder::{Placeholder, Spot},
};
use crate::{
    agent,
    campfire::{Format, Outgoing},
    plugin::{Cause, Display, Generation, Progress, Reach, Step, TEXT_LIMIT, bounded, trace::Tracer},
};

/// Between two edits.
const EDITS: Duration = Duration::from_secs(1);
/// How much of an answer is shown while it comes, in bytes: about a message.
const SHOWN: usize = 12_000;

/// Shows one turn.
pub(super) struct Show<'turn> {
    pub(super) generation: &'turn Generation,
    pub(super) reach: &'turn Reach,
    pub(super) cause: &'turn Cause,
    pub(super) spot: &'turn Spot<'turn>,
    pub(super) placeholder: &'turn mut Placeholder,
    pub(super) seen: watch::Receiver<agent::Progress>,
    /// How long the turn may take before anything is shown.
    pub(super) after: Duration,
    /// Whether the room may be told in a message of its own that the provider refuses.
    pub(super) may_tell: bool,
}

impl Show<'_> {
    /// Shows it until it is `over`. What is on its way to Campfire then is waited for, so that nothing comes behind the
    /// answer.
    pub(super) async fn run(mut self, over: &CancellationToken) {
        let began = Instant::now();
        tokio::select! {
            () = over.cancelled() => return,
            () = sleep(self.after) => {}
        }
        let can_edit = tokio::select! {
            () = over.cancelled() => return,
            can_edit = self.spot.client.can_edit(self.spot.target) => can_edit,
        };
        match can_edit {
            Some(true) => self.edit(began, over).await,
            Some(false) if self.may_tell => self.tell(over).await,
            Some(false) | None => {}
        }
    }

    async fn edit(&mut self, began: Instant, over: &CancellationToken) {
        let (mut shown, mut plugin_failed) = (String::new(), false);
        loop {
            let progress = self.seen.borrow_and_update().clone();
            let html = tokio::select! {
                () = over.cancelled() => return,
                html = self.html(progress, began.elapsed(), &mut plugin_failed) => html,
            };
            if let Some(html) = html.filter(|html| *html != shown) {
                if !self.placeholder.say(self.spot, &html).await {
                    return;
                }
                shown = html;
            }
            tokio::select! {
                () = over.cancelled() => return,
                () = sleep(EDITS) => {}
            }
            tokio::select! {
                () = over.cancelled() => return,
                changed = self.seen.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Tells once that the provider refuses, if it does.
    async fn tell(&mut self, over: &CancellationToken) {
        let refused = tokio::select! {
            () = over.cancelled() => return,
            refused = self.seen.wait_for(|progress| progress.retry.is_some()) => {
                refused.ok().and_then(|progress| progress.retry.clone())
            }
        };
        let Some(retry) = refused else { return };
        for outgoing in Outgoing::sentence(face::retrying(&retry.kind)) {
            let Outgoing::Html(html) = outgoing else { continue };
            if let Err(error) = self.spot.client.post_html(self.spot.target, &html).await {
                tracing::debug!(%error, "a notice could not be posted");
            }
        }
    }

    /// What is to be shown now; none if that is what is shown.
    async fn html(
        &self,
        progress: agent::Progress,
        elapsed: Duration,
        plugin_failed: &mut bool,
    ) -> Option<String> {
        let standard = standard(&progress);
        let markdown = if *plugin_failed {
            standard
        } else {
            match self.generation.show(self.reach, self.cause, &told(progress, elapsed)).await {
                Ok(Display::Standard) => standard,
                Ok(Display::Unchanged) => return None,
                Ok(Display::Markdown(markdown)) => markdown,
                Err(error) => {
                    *plugin_failed = true;
                    tracing::warn!(%error, "the plugin can't say what to show of this turn; the host does");
                    standard
                }
            }
        };
        let first = Outgoing::text(Format::Markdown, &markdown).into_iter().find(Outgoing::is_text)?;
        match first {
            Outgoing::Html(html) => Some(html),
            _ => None,
        }
    }
}

/// Takes down which tools the agent begins and ends, and when, until nobody tells any more. Of a turn with many tools the
/// first ones.
pub(super) async fn take_down(tracer: Tracer, mut seen: watch::Receiver<agent::Progress>) {
    let mut known: Vec<bool> = Vec::new();
    let mut refused = 0;
    while seen.changed().await.is_ok() {
        let progress = seen.borrow_and_update().clone();
        for (place, step) in progress.steps.iter().enumerate() {
            if place == known.len() {
                tracer.moment("tool-began", &step.tool);
                known.push(false);
            }
            if step.ended && !known[place] {
                tracer.moment(if step.failed { "tool-failed" } else { "tool-ended" }, &step.tool);
                known[place] = true;
            }
        }
        if progress.steps.len() == agent::STEPS {
            // Those that follow push the first ones out, and places mean other steps.
            return;
        }
        match progress.retry {
            Some(retry) if retry.attempt != refused => {
                refused = retry.attempt;
                tracer.moment("retry", &retry.kind);
            }
            _ => {}
        }
    }
}

/// What the host shows by itself, as markdown.
fn standard(progress: &agent::Progress) -> String {
    let status = match &progress.retry {
        Some(retry) => face::retrying(&retry.kind).to_owned(),
        None if progress.steps.is_empty() => face::WORKING.to_owned(),
        None => {
            let steps = progress.steps.iter().map(|step| {
                let mark = match (step.ended, step.failed) {
                    (false, _) => " …",
                    (true, false) => " ✓",
                    (true, true) => " ✗",
                };
                format!("`{}`{mark}", plain(&step.tool))
            });
            format!("{} {}", face::WORKING, steps.collect::<Vec<_>>().join(", "))
        }
    };
    let text = progress.text.trim();
    if text.is_empty() {
        return status;
    }
    let text = bounded(text, SHOWN);
    // What is said after it must not be part of a code block that has no end yet.
    let fences = text.lines().filter(|line| line.trim_start().starts_with("```")).count();
    let close = if fences % 2 == 1 { "\n```" } else { "" };
    format!("{text}{close}\n\n{status}")
}

/// A tool's name without anything that is markup.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-_.:".contains(c) { c } else { '-' }).collect()
}

/// The same in the plugins' words.
fn told(progress: agent::Progress, elapsed: Duration) -> Progress {
    let clean = |text: String| text.replace('\0', "");
    let step = |step: agent::Step| Step {
        tool: clean(step.tool),
        input: clean(step.input),
        ended: step.ended,
        failed: step.failed,
        attributes: Vec::new(),
    };
    Progress {
        elapsed: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        text: bounded(&clean(progress.text), TEXT_LIMIT).into_owned(),
        steps: progress.steps.into_iter().map(step).collect(),
        retrying: progress.retry.is_some(),
        attributes: Vec::new(),
    }
}

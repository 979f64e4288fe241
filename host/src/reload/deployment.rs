//! `bots.toml`: when it is read, and what of it is new.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{
    Source,
    folders::Folders,
    follow::{Followed, Refusal, Stamp, Step},
    held::Held,
    status::{ConfigStatus, Refused},
};
use crate::{
    config::{Bot, Config, Salvage},
    id::{BotName, Timestamp},
};

/// The file, and what was made of it.
pub(super) struct Deployment {
    /// None if it is not followed.
    pub(super) source: Option<Source>,
    pub(super) followed: Followed<Vec<Option<Stamp>>>,
    /// Keys that have changed and are only read at the start.
    pub(super) restart: Vec<String>,
    /// What the host was started with.
    started: Config,
    /// The file and those it names.
    files: Vec<PathBuf>,
    refused: Option<Refused>,
}

/// What is to be done about a file that was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) added: Vec<Arc<Bot>>,
    pub(super) changed: Vec<Arc<Bot>>,
    pub(super) removed: Vec<BotName>,
    /// From one that is removed to one that is added.
    pub(super) renamed: Vec<(BotName, BotName)>,
    /// What is wrong with the other bots.
    pub(super) refusal: Option<Refusal>,
}

// === impl Deployment ===

impl Deployment {
    pub(super) fn new(started: Config) -> Self {
        Self {
            source: None,
            followed: Followed::new(Vec::new(), Instant::now(), true),
            restart: Vec::new(),
            files: files(&started),
            started,
            refused: None,
        }
    }

    /// What is there now counts as read; it is read again when it changes from now on.
    pub(super) async fn settle(&mut self) {
        let stamps = self.stamps().await;
        self.followed.is_at(stamps);
    }

    pub(super) async fn look(&mut self, folders: &mut Folders) -> Step {
        if self.source.is_none() {
            return Step::Wait;
        }
        for file in &self.files {
            folders.follow_file(file).await;
        }
        let stamps = self.stamps().await;
        self.followed.see(stamps, Instant::now())
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.source.as_ref().and_then(|_| self.followed.due())
    }

    async fn stamps(&self) -> Vec<Option<Stamp>> {
        let mut stamps = Vec::with_capacity(self.files.len());
        for file in &self.files {
            stamps.push(Stamp::of(file).await);
        }
        stamps
    }

    /// Reads the file; nothing if it is not followed.
    ///
    /// # Errors
    /// If nothing can be made of it.
    pub(super) async fn read(&mut self, bots: &BTreeMap<BotName, Held>) -> Result<Option<Plan>, Refusal> {
        let Some(source) = self.source.clone() else { return Ok(None) };
        let refusal = |cause: String| Refusal { content: None, cause };
        let read = tokio::task::spawn_blocking(move || source()).await;
        let read = read.map_err(|panic| refusal(panic.to_string()))?;
        let salvage = read.map_err(|problems| refusal(format!("{problems:#}")))?;
        self.note_restart(&salvage.config);
        let files = files(&salvage.config);
        if self.files != files {
            self.files = files;
            let stamps = self.stamps().await;
            self.followed.is_at(stamps);
        }
        let held = |(name, held): (&BotName, &Held)| (name.clone(), Arc::clone(&held.wanted));
        let plan = plan(&bots.iter().map(held).collect(), &salvage);
        if plan.refusal.is_none() {
            self.refused = None;
        }
        Ok(Some(plan))
    }

    fn note_restart(&mut self, new: &Config) {
        let restart: Vec<_> = self.started.needs_restart(new).into_iter().map(str::to_owned).collect();
        if restart != self.restart && !restart.is_empty() {
            let keys = restart.join(", ");
            tracing::warn!(
                keys,
                "bots.toml has other values for what is only read at the start; restart the host for them"
            );
        }
        self.restart = restart;
    }

    pub(super) fn complain(&mut self, refusal: &Refusal) {
        let file = self.started.path.display();
        tracing::error!(%file, error = refusal.cause, "what is wrong in bots.toml changes nothing; everything else in it holds");
        self.refused = Some(Refused { content: None, cause: refusal.cause.clone(), at: Timestamp::now() });
    }

    pub(super) fn status(&self) -> ConfigStatus {
        ConfigStatus {
            path: self.started.path.clone(),
            refused: self.refused.clone(),
            restart: self.restart.clone(),
        }
    }
}

/// The file, and those that it names.
fn files(config: &Config) -> Vec<PathBuf> {
    let absolute = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
    [absolute].into_iter().chain(config.files.iter().cloned()).collect()
}

/// What is other in the file than what is wanted now. A bot that has a mistake is left as it is.
fn plan(wanted: &BTreeMap<BotName, Arc<Bot>>, read: &Salvage) -> Plan {
    let mut plan = Plan::default();
    for (name, bot) in &read.config.bots {
        match wanted.get(name) {
            None => plan.added.push(Arc::clone(bot)),
            Some(old) if old != bot => plan.changed.push(Arc::clone(bot)),
            Some(_) => {}
        }
    }
    let is_gone =
        |name: &&BotName| !read.config.bots.contains_key(*name) && !read.refused.contains_key(*name);
    plan.removed = wanted.keys().filter(is_gone).cloned().collect();
    let key = |bot: &Bot| bot.bot_key.as_ref().map(|key| key.expose_secret().to_owned());
    for old in &plan.removed {
        let same = plan.added.iter().find(|new| key(new).is_some() && key(new) == key(&wanted[old]));
        plan.renamed.extend(same.map(|new| (old.clone(), new.name.clone())));
    }
    if !read.refused.is_empty() {
        let causes: Vec<_> = read.refused.values().map(|problems| format!("{problems:#}")).collect();
        plan.refusal = Some(Refusal { content: None, cause: causes.join("\n") });
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(source: &str) -> Salvage {
        Salvage::parse(Path::new("bots.toml"), source, &|_| None).unwrap()
    }

    /// What has to be done to come from one file to another: added, changed, removed.
    fn planned(from: &str, to: &str) -> (Vec<String>, Vec<String>, Vec<String>, Plan) {
        let plan = plan(&read(from).config.bots, &read(to));
        let names = |bots: &[Arc<Bot>]| bots.iter().map(|bot| bot.name.to_string()).collect();
        let removed = plan.removed.iter().map(ToString::to_string).collect();
        (names(&plan.added), names(&plan.changed), removed, plan)
    }

    const A: &str = "[bots.a]\nplugin = 'a'\nbot-key = '1-abcdefghijkl'\n";

    #[test]
    fn the_same_file_in_other_words_changes_nothing() {
        let (added, changed, removed, plan) =
            planned(A, "# a comment\n[bots.a]\nbot-key = \"1-abcdefghijkl\"\nplugin = \"a\"\nmax-turns = 16");
        assert_eq!((added.len(), changed.len(), removed.len()), (0, 0, 0));
        assert_eq!(plan.refusal, None);
    }

    #[test]
    fn only_what_changed_is_touched() {
        let to = format!("{A}model = 'm'\n[bots.c]\nplugin = 'c'");
        let (added, changed, removed, _) = planned(&format!("{A}[bots.b]\nplugin = 'b'"), &to);
        assert_eq!((added, changed, removed), (vec!["c".into()], vec!["a".into()], vec!["b".into()]));
    }

    #[test]
    fn a_bot_with_a_mistake_is_neither_changed_nor_removed_and_a_new_one_not_added() {
        let to = "[bots.a]\nplugin = 'a'\nmax-turns = 0\n[bots.b]\nplugin = 7\n[bots.c]\nplugin = 'c'";
        let (added, changed, removed, plan) = planned(A, to);
        assert_eq!((added, changed.len(), removed.len()), (vec!["c".into()], 0, 0));
        let cause = plan.refusal.unwrap().cause;
        assert!(cause.contains("bots.toml:3:") && cause.contains("bots.toml:5:"), "{cause}");
    }

    #[test]
    fn a_bot_that_is_another_under_the_same_key_was_renamed() {
        let (.., plan) = planned(A, &A.replace("bots.a", "bots.z"));
        assert_eq!(plan.renamed, [("a".into(), "z".into())]);
        let (.., plan) = planned("[bots.a]\nplugin = 'a'", "[bots.z]\nplugin = 'a'");
        assert_eq!(plan.renamed, [], "without keys nobody can tell");
    }
}

//! What the page shows of the code behind the bots: how its build fares, what runs, what was refused, and, through the
//! operator's API of the host that runs them, everything that is known of their turns.

use axum::Router;
use serde::Serialize;

use super::{Change, Playground, lock};
use crate::{
    campfire::Client,
    id::Timestamp,
    reload::{BotStatus, ConfigStatus, Reloader, Status},
};

/// A plugin whose sources were saved, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    /// The plugin's name.
    pub plugin: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// How it is.
    #[serde(flatten)]
    pub state: BuildState,
}

/// How a build fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum BuildState {
    /// The compiler runs.
    Building,
    /// What was saved is in place.
    Live {
        /// How long that took from the save on, in milliseconds.
        after: u64,
    },
    /// What ran before runs on.
    Failed {
        /// What went wrong, in one sentence.
        why: String,
        /// The compiler's own words, the last of them if they are many.
        words: String,
    },
}

/// What is behind the bots. Empty while nothing is.
#[derive(Default)]
pub(super) struct Backstage {
    host: Option<Router>,
    status: Status,
    builds: Vec<Build>,
}

/// [`Backstage`] for the page.
#[derive(Serialize)]
pub(super) struct ShownBackstage {
    /// Whether turns can be looked into.
    host: bool,
    config: ConfigStatus,
    bots: Vec<BotStatus>,
    builds: Vec<Build>,
}

impl Playground {
    /// Shows what is behind the bots: what runs, as `reloader` has it, and their turns, by the routes of `host`, which are the
    /// operator's API. `client` is what they reach this Campfire by. Runs until it is dropped.
    pub async fn show_backstage(self, host: Router, reloader: Reloader, client: Client) {
        /// Takes the connection back.
        struct Connected(Playground);
        impl Drop for Connected {
            fn drop(&mut self) {
                self.0.disconnect();
            }
        }

        let (mut status, mut features) = (reloader.changes(), self.features());
        self.connect(host);
        let connected = Connected(self);
        loop {
            connected.0.show_status(status.borrow_and_update().clone());
            tokio::select! {
                // Its sender lives in `reloader`.
                _ = status.changed() => {}
                // As if another Campfire had been put in its place: what was learned of the one before holds no more.
                _ = features.changed() => client.forget_features(),
            }
        }
    }

    /// Lets the page ask the host that runs the bots, by these routes: the operator's API.
    pub(super) fn connect(&self, host: Router) {
        lock(&self.inner.backstage).host = Some(host);
        self.tell(Change::BackstageChanged);
    }

    /// The host ends.
    pub(super) fn disconnect(&self) {
        lock(&self.inner.backstage).host = None;
        self.tell(Change::BackstageChanged);
    }

    /// Shows what runs of the bots, and what was refused.
    fn show_status(&self, status: Status) {
        let mut backstage = lock(&self.inner.backstage);
        if backstage.status != status {
            backstage.status = status;
            drop(backstage);
            self.tell(Change::BackstageChanged);
        }
    }

    /// Shows how the plugins' builds fare: all that is to be said of them.
    pub fn show_builds(&self, builds: Vec<Build>) {
        lock(&self.inner.backstage).builds = builds;
        self.tell(Change::BackstageChanged);
    }

    pub(super) fn host(&self) -> Option<Router> {
        lock(&self.inner.backstage).host.clone()
    }

    pub(super) fn backstage(&self) -> ShownBackstage {
        let backstage = lock(&self.inner.backstage);
        ShownBackstage {
            host: backstage.host.is_some(),
            config: backstage.status.config.clone(),
            bots: backstage.status.bots.clone(),
            builds: backstage.builds.clone(),
        }
    }
}

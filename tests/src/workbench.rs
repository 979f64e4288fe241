//! One bot's plugin by itself, called as a turn calls it: with a store and a Campfire in reach, and no host around it.

use std::{path::Path, sync::Arc, time::Duration};

use hearth::{
    campfire::{Client, Target},
    config::{Config, StoreLocation},
    id::{MessageId, Timestamp},
    playground::Options,
    plugin::{
        CallError, Cause, Decision, Event, Generation, LoadError, Loader, Message, Reach, Room, Services,
        User,
    },
    stage::{ANY, Stage},
    store::SqliteStore,
    tenure::Tenure,
};
use tempfile::TempDir;

use crate::binary;

/// A loaded plugin, and what its calls can reach.
pub struct Workbench {
    /// The plugin with its bot's settings and limits.
    pub generation: Generation,
    /// As in a turn of the bot's direct room.
    pub reach: Reach,
    /// The Campfire.
    pub stage: Stage,
    _folder: TempDir,
}

impl Workbench {
    /// Loads the plugin of the bot whose table has these lines.
    ///
    /// # Errors
    /// As the loader has them.
    pub async fn load(bot: &str) -> Result<Self, LoadError> {
        Self::load_by(&Loader::new()?, bot).await
    }

    /// The same by a loader that may have compiled the plugin already.
    ///
    /// # Errors
    /// As the loader has them.
    pub async fn load_by(loader: &Loader, bot: &str) -> Result<Self, LoadError> {
        let folder = TempDir::new().expect("a temporary folder");
        let plugins = binary::repository().join("plugins/dist");
        let toml = format!("[host]\nplugins = '{}'\n[bots.x]\n{bot}\n", plugins.display());
        let config = Config::parse(&folder.path().join("bots.toml"), &toml, &|_| None)
            .expect("the test's bots.toml is right");
        let stage = Stage::set(config, "data", ANY, Options::default()).await.expect("ports are free");
        let (name, bot) = stage.config.bots.first_key_value().expect("there is one bot");
        let generation = loader.load(bot, 1).await?;

        let StoreLocation::Sqlite(path) = &stage.config.store else { panic!("a stage's store is a file") };
        std::fs::create_dir_all(&stage.config.host.data_dir).expect("the folder is writable");
        let store = SqliteStore::open(path).expect("the store opens");
        let client = Client::new(Duration::from_secs(5)).expect("a client");
        let room = stage.rooms[name];
        let on_the_stage = "on the stage, bots have keys and a Campfire";
        let target = Target {
            base: bot.campfire_url.clone().expect(on_the_stage),
            room,
            bot_key: bot.bot_key.clone().expect(on_the_stage),
            tenure: Tenure::endless(),
        };
        let reach = Reach {
            services: Arc::new(Services::new(Arc::new(store), client, Arc::default())),
            room,
            target: Some(target),
            trigger: Some(MessageId(1)),
            received_at: Timestamp::now(),
            tracer: None,
        };
        Ok(Self { generation, reach, stage, _folder: folder })
    }

    /// The same for a plugin file, with these lines besides.
    ///
    /// # Errors
    /// As the loader has them.
    pub async fn file(plugin: &Path, bot: &str) -> Result<Self, LoadError> {
        Self::load(&format!("plugin = '{}'\n{bot}", plugin.display())).await
    }

    /// What the plugin makes of a message.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn decide(&self, text: &str) -> Result<Decision, CallError> {
        self.generation.decide(&self.reach, &self.message(text)).await
    }

    /// A message in the bot's direct room.
    pub fn message(&self, text: &str) -> Cause {
        Cause::Message(Event {
            bot: "x".into(),
            user: User { id: 1, name: "Ann".into(), attributes: Vec::new() },
            room: Room { id: self.reach.room.0, name: None, attributes: Vec::new() },
            message: Message { id: 1, text: text.into(), html: Some(text.into()), attributes: Vec::new() },
            received_at: u64::try_from(self.reach.received_at.0).unwrap_or_default(),
            attributes: Vec::new(),
        })
    }
}

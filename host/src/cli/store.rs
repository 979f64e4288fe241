//! `hearth store copy`: from a file to a Redis, back, or to another of the same kind.

mod transcripts;

use std::{path::Path, process::ExitCode};

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Report, miette};

use self::transcripts::{FileAndFolder, Laid};
use super::{table, terminal};
use crate::{
    cluster::Cluster,
    config::{NamedStore, Place, StoreLocation},
    id::Timestamp,
    progress::Progress,
    store::{
        self, Copying, Kind, Portable, Presence, RedisCopy, RedisStore, SqliteCopy, SqliteStore, StoreError,
        refuse_existing,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Copy a store that no host works with to one that is empty, with everything that a host goes on from.
    ///
    /// A store is named as `url` in [store] is: `sqlite:<path>`, from the data folder on, or
    /// `redis://<user>@<host>:<port>/<database>?prefix=<prefix>`. End the hosts first. Then write the new `url` in bots.toml, and
    /// start them. The store that was copied stays as it is.
    ///
    /// What agents have written down of conversations goes along: from a file to a Redis what is in the data folder of this
    /// bots.toml, and from a Redis to a file into that folder, where the host is to be started then.
    ///
    /// When all was written it is read again and compared. A copy that fails or is broken off is no store: of a file, nothing is
    /// left but `<path>.partial` if this process was killed, which is to be removed; a Redis stays marked, and is refused by
    /// hosts and by another copy, which say how to empty it.
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The store that is copied.
    #[arg(value_name = "FROM")]
    from: String,
    /// The store that is made: a file that does not exist, or a Redis with nothing under the prefix.
    #[arg(value_name = "TO")]
    to: String,
    /// Say what there is to copy, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where the password of the first is, if it is not the store of bots.toml: `file:PATH` or '${VARIABLE}'.
    #[arg(long, value_name = "WHERE")]
    from_password: Option<String>,
    /// The same of the second.
    #[arg(long, value_name = "WHERE")]
    to_password: Option<String>,
}

// === impl Store ===

impl Store {
    pub(super) async fn run(self, config: &Path) -> Result<ExitCode, Report> {
        let Self::Copy(copy) = self;
        copy.run(&Place::load(config)?).await?;
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Copy ===

impl Copy {
    async fn run(self, place: &Place) -> Result<(), Report> {
        let from = locate(place, &self.from, self.from_password.as_deref(), "--from-password")?;
        let to = locate(place, &self.to, self.to_password.as_deref(), "--to-password")?;
        if is_same(&from, &to) {
            return Err(miette!("both are the same store, {}", shown(&from)));
        }
        let source = Source::open(&from, &place.data_dir).await?;
        source.refuse_hosts().await?;
        let progress = Progress::of("counting");
        let say = |kind: Kind, count: u64| progress.say(&format!("{kind}: {count}"));
        if self.dry_run {
            refuse_filled(&to).await?;
            let mut counts = store::count(source.portable(), &say).await.into_diagnostic()?;
            counts.retain(|(kind, _)| *kind != Kind::Transcripts || !is_between_files(&from, &to));
            source.close().await;
            drop(progress);
            show(&counts);
            terminal::print(&format!(
                "Nothing was written. This would go from {} to {}.",
                shown(&from),
                shown(&to)
            ));
            return Ok(());
        }
        let target = begin(&to).await?;
        let copied = store::copy(source.portable(), &*target, &say).await;
        let mut copied = copied.map_err(|error| miette!(help = left(&to), "{error}"))?;
        let laid = match (&source, &to) {
            (Source::Redis(store, _), StoreLocation::Sqlite(_)) => {
                let laid = transcripts::lay_down(store, &place.data_dir, &say).await;
                Some(laid.map_err(|why| miette!(help = left(&to), "{why}"))?)
            }
            _ => None,
        };
        copied.extend(laid.as_ref().map(|laid| (Kind::Transcripts, laid.here)));
        source.refuse_hosts().await?;
        target.complete().await.into_diagnostic()?;
        source.close().await;
        drop(progress);
        show(&copied);
        terminal::print(&format!(
            "{} is a copy of {}, read again and found the same.",
            shown(&to),
            shown(&from)
        ));
        if let Some(Laid { lost: lost @ 1.., .. }) = laid {
            terminal::odd(&format!(
                "Transcripts that can't be had: {lost}. Another host has them alone, as they are too long, or Redis has lost a part of them. Their conversations begin anew, and the rooms are told."
            ));
        }
        if laid.is_some() || is_between_files(&from, &to) {
            terminal::note(&format!(
                "What agents have written down of conversations is in the data folder ({}); start the host there.",
                place.data_dir.display()
            ));
        }
        Ok(())
    }
}

/// A store that is to be copied.
enum Source {
    File(FileAndFolder),
    Redis(Box<RedisStore>, String),
}

// === impl Source ===

impl Source {
    async fn open(location: &StoreLocation, data: &Path) -> Result<Self, Report> {
        match location {
            StoreLocation::Sqlite(path) if !path.exists() => {
                Err(miette!("there is no store at {}", path.display()))
            }
            StoreLocation::Sqlite(path) => match SqliteStore::open(path) {
                Ok(file) => Ok(Self::File(FileAndFolder { file, folder: data.to_owned() })),
                Err(StoreError::InUse { path }) => {
                    Err(miette!(help = "end it, and copy then", "a host or a command works with {path}"))
                }
                Err(other) => Err(other).into_diagnostic(),
            },
            StoreLocation::Redis(redis) => {
                let store = RedisStore::open(redis).await.into_diagnostic()?;
                Ok(Self::Redis(Box::new(store), redis.to_string()))
            }
        }
    }

    fn portable(&self) -> &dyn Portable {
        match self {
            Self::File(store) => store,
            Self::Redis(store, _) => &**store,
        }
    }

    /// Fails if hosts work with it. Of a file, the lock sees to that.
    async fn refuse_hosts(&self) -> Result<(), Report> {
        match self {
            Self::File(_) => Ok(()),
            Self::Redis(store, name) => refuse_hosts(store, name).await,
        }
    }

    async fn close(&self) {
        use crate::store::Store as _;
        match self {
            Self::File(store) => store.file.close().await,
            Self::Redis(store, _) => store.close().await,
        }
    }
}

async fn refuse_hosts(store: &RedisStore, name: &str) -> Result<(), Report> {
    let present = store.present(Timestamp::now()).await.into_diagnostic()?.len();
    if present == 0 {
        return Ok(());
    }
    let hosts = Cluster::of(store, None).await.into_diagnostic()?.hosts;
    let mut names: Vec<_> = hosts.iter().map(|now| now.host.label()).collect();
    if names.len() < present {
        names.push("hosts of other versions".to_owned());
    }
    Err(miette!(
        help = "end them, and copy then; one that was killed is taken for gone 20 seconds later",
        "hosts work with {name}: {}",
        names.join(", ")
    ))
}

/// Fails if the copy could not be begun.
async fn refuse_filled(to: &StoreLocation) -> Result<(), Report> {
    let free = match to {
        StoreLocation::Sqlite(path) => refuse_existing(path),
        StoreLocation::Redis(redis) => {
            let store = RedisStore::look_at(redis).await.into_diagnostic()?;
            refuse_hosts(&store, &redis.to_string()).await?;
            store.refuse_filled().await
        }
    };
    free.into_diagnostic()
}

async fn begin(to: &StoreLocation) -> Result<Box<dyn Copying>, Report> {
    refuse_filled(to).await?;
    Ok(match to {
        StoreLocation::Sqlite(path) => Box::new(SqliteCopy::begin(path).into_diagnostic()?),
        StoreLocation::Redis(redis) => Box::new(RedisCopy::begin(redis).await.into_diagnostic()?),
    })
}

/// The store that the command line names.
fn locate(place: &Place, url: &str, password: Option<&str>, option: &str) -> Result<StoreLocation, Report> {
    let named = NamedStore { url, password };
    // It may take a variable to know where the deployment's own is, which may be missing if that is not asked for.
    let configured = place.store().ok();
    named.locate(&place.data_dir, configured.as_ref()).map_err(|wrong| {
        miette!(
            help = format!(
                "write `sqlite:<path>` or `redis://<user>@<host>:<port>/<database>?prefix=<prefix>`; a password that is not the one in bots.toml comes with `{option} file:<path>` or `{option} '${{VARIABLE}}'`"
            ),
            "{wrong}"
        )
    })
}

fn is_same(one: &StoreLocation, other: &StoreLocation) -> bool {
    let true_path = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (one, other) {
        (StoreLocation::Sqlite(one), StoreLocation::Sqlite(other)) => true_path(one) == true_path(other),
        (StoreLocation::Redis(one), StoreLocation::Redis(other)) => one.is_same(other),
        _ => false,
    }
}

/// Neither has a place for transcripts then: these are in the data folder.
fn is_between_files(from: &StoreLocation, to: &StoreLocation) -> bool {
    matches!((from, to), (StoreLocation::Sqlite(_), StoreLocation::Sqlite(_)))
}

fn shown(location: &StoreLocation) -> String {
    match location {
        StoreLocation::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreLocation::Redis(redis) => redis.to_string(),
    }
}

/// What a copy leaves that failed.
fn left(to: &StoreLocation) -> String {
    match to {
        StoreLocation::Sqlite(path) => format!("nothing is left at {}", path.display()),
        StoreLocation::Redis(redis) => {
            format!("{redis} is marked as incomplete; another copy says how to empty it")
        }
    }
}

fn show(counts: &[(Kind, u64)]) {
    table::print(["what", "count"], counts.iter().map(|(kind, count)| [kind.to_string(), count.to_string()]));
}

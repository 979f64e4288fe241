//! What agents have written down of conversations, where a copy leads from the data folder to a Redis, or back.
//!
//! - From a file to a Redis the transcripts go along as records of the store.
//! - From a Redis to a file they are laid down in the data folder before the file is a store. One that can't be had is left
//!   out: its conversation begins anew, and its room is told.
//!
//! What goes wrong: a disk that takes nothing or can't be read fails the copy. What was laid down by then stays, and is
//! found by the next one.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use miette::{IntoDiagnostic, Report, miette};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::spawn_blocking,
};

use crate::{
    agent::Transcripts,
    causes::with_causes,
    id::LaneKey,
    store::{Counters, Kind, Portable, Record, RedisStore, SqliteStore, StoreError, Transcripts as _},
    turn::{Brought, bring},
};

/// A store in a file, with the transcripts in the data folder.
pub(super) struct FileAndFolder {
    pub(super) file: SqliteStore,
    /// The data folder.
    pub(super) folder: PathBuf,
}

/// What came of laying transcripts down.
#[derive(Debug, Default)]
pub(super) struct Laid {
    /// How many are here now.
    pub(super) here: u64,
    /// How many could not be had.
    pub(super) lost: u64,
}

/// Lays down what the Redis has, `say`ing how many are here by now.
pub(super) async fn lay_down(
    store: &RedisStore,
    data: &Path,
    say: &(dyn Fn(Kind, u64) + Sync),
) -> Result<Laid, Report> {
    let mut laid = Laid::default();
    for lane in store.lanes_with_transcripts().await.into_diagnostic()? {
        let is_here = lay_down_one(store, data, &lane).await.map_err(|error| {
            let why = with_causes(&*error);
            miette!("the transcript of {lane} can't be laid down in {}: {why}", data.display())
        })?;
        match is_here {
            Some(true) => laid.here += 1,
            Some(false) => laid.lost += 1,
            None => {}
        }
        say(Kind::Transcripts, laid.here);
    }
    // No other store has them once the copy is one.
    spawn_blocking(rustix::fs::sync).await.into_diagnostic()?;
    Ok(laid)
}

/// Answers whether it is here then; none if there is none.
async fn lay_down_one(
    store: &RedisStore,
    data: &Path,
    lane: &LaneKey,
) -> Result<Option<bool>, Box<dyn Error + Send + Sync>> {
    let Some(known) = store.transcript(lane).await? else { return Ok(None) };
    let here = Transcripts::of(data, &lane.bot)?;
    let is_here = !matches!(bring(store, lane, &known, &here).await?, Brought::Lost(_));
    if !is_here {
        // Else an older one would be taken for it.
        here.set_aside(known.mark.session)?;
    }
    Ok(Some(is_here))
}

// === impl Portable for FileAndFolder ===

#[async_trait]
impl Portable for FileAndFolder {
    async fn counters(&self) -> Result<Counters, StoreError> {
        self.file.counters().await
    }

    async fn export(&self, kind: Kind, out: Sender<Vec<Record>>) -> Result<(), StoreError> {
        if kind != Kind::Transcripts {
            return self.file.export(kind, out).await;
        }
        let (found, conversations) = mpsc::channel(1);
        let folder = self.folder.clone();
        let reading = spawn_blocking(move || read(&folder, conversations, &out));
        let (exported, read) = tokio::join!(self.file.export(Kind::Conversations, found), reading);
        exported?;
        read.map_err(|panicked| StoreError::Unavailable(panicked.to_string().into()))?
    }
}

/// Gives out the transcripts of these conversations that are in the data folder, until nobody listens any more. Blocks.
fn read(
    data: &Path,
    mut conversations: Receiver<Vec<Record>>,
    out: &Sender<Vec<Record>>,
) -> Result<(), StoreError> {
    while let Some(batch) = conversations.blocking_recv() {
        for record in batch {
            let Record::Conversation(lane, session, _) = record else { continue };
            // Agents answer for no bot of another name.
            let Ok(here) = Transcripts::of(data, &lane.bot) else { continue };
            let failed = |error| {
                let why = format!("the transcript of {lane} in {} can't be read: {error}", data.display());
                StoreError::Unavailable(why.into())
            };
            let Some(mut leaving) = here.leaving(session, None).map_err(failed)? else { continue };
            let mut pieces = (!leaving.is_too_long()).then_some(0);
            while let Some(count) = &mut pieces
                && !leaving.is_over()
            {
                *count += 1;
                let piece = Record::Piece(lane.clone(), leaving.piece().map_err(failed)?);
                if out.blocking_send(vec![piece]).is_err() {
                    return Ok(());
                }
            }
            let mark = leaving.mark().map_err(failed)?;
            if out.blocking_send(vec![Record::Transcript(lane, mark, pieces)]).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::{Seek, SeekFrom, Write},
    };

    use uuid::Uuid;

    use super::*;
    use crate::{
        id::{RoomId, SessionId, Timestamp},
        store::{Copying, SqliteCopy, Store},
    };

    #[tokio::test]
    async fn what_is_in_the_data_folder_goes_along_and_of_what_is_too_long_how_far_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hearth.db");
        let copy = Box::new(SqliteCopy::begin(&path).unwrap());
        // The third has nothing written down, and the last can have nothing.
        let conversations = [("a", 1), ("a", 2), ("b", 3), ("..", 4)].map(|(bot, room)| {
            let lane = LaneKey { bot: bot.into(), room: RoomId(room) };
            Record::Conversation(lane, SessionId(Uuid::from_u128(room.into())), Timestamp(1_000))
        });
        copy.import(conversations.to_vec()).await.unwrap();
        copy.complete().await.unwrap();
        let projects = folder.path().join("agents/a/config/projects/-somewhere");
        fs::create_dir_all(&projects).unwrap();
        let transcript = |room: u128| projects.join(format!("{}.jsonl", Uuid::from_u128(room)));
        fs::write(transcript(1), "{\"type\":\"user\"}\n".repeat(100_000)).unwrap();
        let mut long = File::create(transcript(2)).unwrap();
        long.seek(SeekFrom::Start(32 << 20)).unwrap();
        long.write_all(b"\n").unwrap();

        let file = SqliteStore::open(&path).unwrap();
        let store = FileAndFolder { file, folder: folder.path().to_owned() };
        let (out, mut records) = mpsc::channel(16);
        store.export(Kind::Transcripts, out).await.unwrap();
        let mut read = Vec::new();
        while let Some(batch) = records.recv().await {
            read.extend(batch);
        }
        let shown = |record: &Record| match record {
            Record::Piece(lane, _) => format!("a piece of {}", lane.room),
            Record::Transcript(lane, mark, pieces) => format!("{} to {}: {pieces:?}", lane.room, mark.bytes),
            other => format!("{other:?}"),
        };
        let mut read: Vec<_> = read.iter().map(shown).collect();
        read.sort();
        assert_eq!(read, ["1 to 1600000: Some(2)", "2 to 33554433: None", "a piece of 1", "a piece of 1"]);
        store.file.close().await;
    }
}

//! Transcripts that come from other hosts and go to them, as far as this host's files and processes are concerned.
//!
//! Measured on 2.1.330: `--resume` finds a transcript in whichever folder of `projects` it is, whatever the working folder,
//! and goes on writing it there, in whole lines. Up to an answer it is complete when the `result` comes; when the process
//! ends, lines of bookkeeping follow (`last-prompt`, `cost-state`), without which it can be resumed as well. It can without
//! the sub-agents' transcripts in the folder beside it too, so these stay where they are.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};
use sha2::{Digest, Sha256};

use super::{
    AgentError, Runner,
    command::{Folders, make_private},
    transcript::located,
};
use crate::{
    id::{BotName, RoomId, SessionId},
    store::Mark,
};

/// The longest transcript that leaves its host, in bytes. A conversation has some kilobytes a message; this is thousands of
/// them, or the results of very talkative tools.
const LONGEST: u64 = 32 << 20;
/// How much of a transcript is one piece, in bytes before it is compressed.
const PIECE: u64 = 1 << 20;
/// How much is read at once to find something out.
const BLOCK: u64 = 64 << 10;
/// The folder of those that were never here before. The CLI's own are named after working folders, and begin with a dash.
const FOREIGN: &str = "-from-another-host";

/// The transcripts of a bot on this host. Its methods block.
#[derive(Debug, Clone)]
pub struct Transcripts {
    config: PathBuf,
}

/// A transcript on its way out: what is new in it, piece by piece. Only whole lines leave: the last one may be in the making.
#[derive(Debug)]
pub struct Leaving {
    file: File,
    session: SessionId,
    /// What it goes on from, if it begins with that.
    after: Option<Mark>,
    /// How far it was read, and the hash of that.
    read: u64,
    hash: Sha256,
    /// Where its last whole line ends.
    end: u64,
}

/// A transcript on its way in. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct Laying {
    mark: Mark,
    target: PathBuf,
    /// Beside the target. None once it is there.
    temporary: Option<PathBuf>,
    file: File,
    written: u64,
    hash: Sha256,
}

/// Why a transcript can't be laid down.
#[derive(Debug, thiserror::Error)]
pub enum LayingError {
    /// It is not what it should be.
    #[error("what the store has of the transcript is not whole")]
    Broken,
    /// There is no room for it.
    #[error("{} can't be written. Is `[host] data-dir` in bots.toml writable, and is there space?", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Runner {
    /// The bot's transcripts here.
    ///
    /// # Errors
    /// The bot's name would lead out of the data folder.
    pub fn transcripts(&self, bot: &BotName) -> Result<Transcripts, AgentError> {
        Transcripts::of(&self.starter.data, bot)
    }

    /// Whether the process that waits for the room's next message was [left with](Self::left_with) this mark, or with none. One
    /// with any other has ended when this returns.
    pub async fn waits_with(&self, bot: &BotName, room: RoomId, mark: Option<&Mark>) -> bool {
        self.pool.knows(&(bot.clone(), room), mark).await
    }

    /// The process of the room's last turn, if it waits for the next, knows the conversation up to this mark.
    pub fn left_with(&self, bot: &BotName, room: RoomId, mark: Mark) {
        self.pool.left_with(&(bot.clone(), room), mark);
    }
}

// === impl Transcripts ===

impl Transcripts {
    /// Those of a bot in a data folder.
    ///
    /// # Errors
    /// The bot's name would lead out of the folder.
    pub fn of(data: &Path, bot: &BotName) -> Result<Self, AgentError> {
        Ok(Self { config: Folders::of(data, bot, None)?.config })
    }

    /// Whether a transcript is here that goes as far as this, or further.
    ///
    /// # Errors
    /// It is here and can't be read.
    pub fn reaches(&self, mark: &Mark) -> io::Result<bool> {
        let Some(path) = located(&self.config, mark.session) else { return Ok(false) };
        let mut file = File::open(path)?;
        Ok(file.metadata()?.len() >= mark.bytes && beginning(&mut file, mark)?.is_some())
    }

    /// Opens a transcript to see what is new in it since `after`; none if nobody has written one.
    ///
    /// # Errors
    /// It can't be read. It is gone, and was there at `after`.
    pub fn leaving(&self, session: SessionId, after: Option<Mark>) -> io::Result<Option<Leaving>> {
        let after = after.filter(|after| after.session == session);
        let leaving = match located(&self.config, session) {
            Some(path) => Leaving::of(File::open(path)?, session, after)?,
            None => None,
        };
        if leaving.is_none() && after.is_some() { Err(io::ErrorKind::NotFound.into()) } else { Ok(leaving) }
    }

    /// Begins to lay down the transcript that goes up to this mark, in the place of one that is here.
    ///
    /// # Errors
    /// It can't be written, or is too long.
    pub fn laying(&self, mark: Mark) -> Result<Laying, LayingError> {
        if mark.bytes > LONGEST {
            return Err(LayingError::Broken);
        }
        let target = located(&self.config, mark.session).unwrap_or_else(|| {
            self.config.join("projects").join(FOREIGN).join(format!("{}.jsonl", mark.session))
        });
        // The same each time, so that what a killed host left is not left for ever.
        let temporary = target.with_extension("laying");
        let file = create(&temporary).map_err(LayingError::of(&temporary))?;
        let (written, hash) = (0, Sha256::new());
        Ok(Laying { mark, target, temporary: Some(temporary), file, written, hash })
    }

    /// Has nobody go on with the transcript that is here, if one is.
    ///
    /// # Errors
    /// It can't be given another name.
    pub fn set_aside(&self, session: SessionId) -> Result<(), LayingError> {
        let Some(path) = located(&self.config, session) else { return Ok(()) };
        fs::rename(&path, path.with_extension("outdated")).map_err(LayingError::of(&path))
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        make_private(folder)?;
    }
    // Not what a killed host left: that may be written to, or be anybody's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The hash of the file's beginning, if it is the mark's; it is read up to there then.
fn beginning(file: &mut File, mark: &Mark) -> io::Result<Option<Sha256>> {
    let mut hash = Sha256::new();
    file.rewind()?;
    let read = io::copy(&mut file.take(mark.bytes), &mut HashWriter(&mut hash))?;
    let is_it = read == mark.bytes && <[u8; 32]>::from(hash.clone().finalize()) == mark.sha256;
    Ok(is_it.then_some(hash))
}

struct HashWriter<'hash>(&'hash mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Leaving ===

impl Leaving {
    /// None if it has no line.
    fn of(mut file: File, session: SessionId, after: Option<Mark>) -> io::Result<Option<Self>> {
        let end = end_of_lines(&file)?;
        if end == 0 {
            return Ok(None);
        }
        let known = after.filter(|after| after.bytes <= end);
        let known = match known {
            Some(after) => beginning(&mut file, &after)?.map(|hash| (after, hash)),
            None => None,
        };
        let (after, read, hash) = match known {
            Some((after, hash)) => (Some(after), after.bytes, hash),
            None => (None, 0, Sha256::new()),
        };
        file.seek(SeekFrom::Start(read))?;
        Ok(Some(Self { file, session, after, read, hash, end }))
    }

    /// What it goes on from; none if it has to leave from its beginning.
    pub fn after(&self) -> Option<&Mark> {
        self.after.as_ref()
    }

    /// It is longer than may leave.
    pub fn is_too_long(&self) -> bool {
        self.end > LONGEST
    }

    /// Nothing more is to leave.
    pub fn is_over(&self) -> bool {
        self.read == self.end
    }

    /// The next piece, compressed.
    ///
    /// # Errors
    /// It can't be read, or has become shorter.
    pub fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        self.read_to(self.end.min(self.read + PIECE), |bytes| encoder.write_all(bytes))?;
        encoder.finish()
    }

    /// How far it goes, once it has been read to its end: by [`piece`](Self::piece)s, else now.
    ///
    /// # Errors
    /// It can't be read, or has become shorter.
    pub fn mark(mut self) -> io::Result<Mark> {
        self.read_to(self.end, |_| Ok(()))?;
        Ok(Mark { session: self.session, bytes: self.read, sha256: self.hash.finalize().into() })
    }

    fn read_to(&mut self, end: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut block = Vec::new();
        while self.read < end {
            block.clear();
            let read = (&self.file).take(BLOCK.min(end - self.read)).read_to_end(&mut block)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.hash.update(&block);
            self.read += block.len() as u64;
            take(&block)?;
        }
        Ok(())
    }
}

/// Where the last whole line of a file ends.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        block.resize(usize::try_from(end - start).unwrap_or_default(), 0);
        file.read_exact_at(&mut block, start)?;
        if let Some(position) = memchr::memrchr(b'\n', &block) {
            return Ok(start + position as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

// === impl Laying ===

impl Laying {
    /// Adds the next piece.
    ///
    /// # Errors
    /// It can't be written, or is not what it should be.
    pub fn add(&mut self, piece: &[u8]) -> Result<(), LayingError> {
        let left = self.mark.bytes - self.written;
        let mut plain = Vec::new();
        let read = ZlibDecoder::new(piece).take(left + 1).read_to_end(&mut plain);
        if !read.is_ok_and(|read| read as u64 <= left) {
            return Err(LayingError::Broken);
        }
        self.hash.update(&plain);
        self.written += plain.len() as u64;
        self.file.write_all(&plain).map_err(LayingError::of(&self.target))
    }

    /// Has it take its place, if it is whole.
    ///
    /// # Errors
    /// It is not, or can't be put there.
    pub fn finish(mut self) -> Result<(), LayingError> {
        let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        if self.written != self.mark.bytes || hash != self.mark.sha256 {
            return Err(LayingError::Broken);
        }
        if let Some(temporary) = &self.temporary {
            // What a power loss leaves of it is found not to be whole, and laid down anew.
            fs::rename(temporary, &self.target).map_err(LayingError::of(&self.target))?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Laying {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What is left is removed the next time.
            let _ = fs::remove_file(temporary);
        }
    }
}

impl LayingError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

#[cfg(test)]
mod tests;

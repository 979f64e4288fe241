//! Transcripts as files: cut, rewritten, gone, too long, and not what they are said to be.

use std::os::unix::fs::PermissionsExt;

use uuid::Uuid;

use super::*;

fn here() -> (tempfile::TempDir, Transcripts) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    (folder, Transcripts { config })
}

fn session() -> SessionId {
    SessionId(Uuid::from_u128(7))
}

/// Where the CLI would have written it.
fn own_file(here: &Transcripts) -> PathBuf {
    here.config.join("projects/-some-folder").join(format!("{}.jsonl", session()))
}

fn write(here: &Transcripts, text: &[u8]) {
    let file = own_file(here);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn append(here: &Transcripts, text: &[u8]) {
    OpenOptions::new().append(true).open(own_file(here)).unwrap().write_all(text).unwrap();
}

fn mark_of(text: &[u8]) -> Mark {
    Mark { session: session(), bytes: text.len() as u64, sha256: Sha256::digest(text).into() }
}

/// What leaves a host: whether it goes on from `after`, its pieces, and how far they go.
fn leave(here: &Transcripts, after: Option<Mark>) -> Option<(bool, Vec<Vec<u8>>, Mark)> {
    let mut leaving = here.leaving(session(), after).unwrap()?;
    let (goes_on, mut pieces) = (leaving.after().is_some(), Vec::new());
    assert!(!leaving.is_too_long());
    while !leaving.is_over() {
        pieces.push(leaving.piece().unwrap());
    }
    Some((goes_on, pieces, leaving.mark().unwrap()))
}

fn lay_down(here: &Transcripts, mark: Mark, pieces: &[Vec<u8>]) -> Result<(), LayingError> {
    let mut laying = here.laying(mark)?;
    pieces.iter().try_for_each(|piece| laying.add(piece))?;
    laying.finish()
}

/// What is in the one file of the session.
fn text(here: &Transcripts) -> Vec<u8> {
    fs::read(located(&here.config, session()).unwrap()).unwrap()
}

#[test]
fn what_leaves_one_host_arrives_at_another_and_what_is_new_goes_on_from_there() {
    let ((_a, a), (_b, b)) = (here(), here());
    assert!(leave(&a, None).is_none(), "nobody has written one");
    let first = "{\"type\":\"user\"}\n".repeat(200_000);
    write(&a, first.as_bytes());
    let (goes_on, mut kept, mark) = leave(&a, None).unwrap();
    assert_eq!((goes_on, mark), (false, mark_of(first.as_bytes())));
    assert!(kept.len() as u64 == first.len() as u64 / PIECE + 1 && kept[0].len() < 10_000, "in small pieces");
    lay_down(&b, mark, &kept).unwrap();
    assert_eq!(text(&b), first.as_bytes());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let laid = located(&b.config, session()).unwrap();
    assert_eq!((mode(&laid), mode(laid.parent().unwrap())), (0o600, 0o700));

    OpenOptions::new().append(true).open(&laid).unwrap().write_all(b"more\n").unwrap();
    let (goes_on, new, mark) = leave(&b, Some(mark)).unwrap();
    assert!(goes_on && new.len() == 1 && new[0].len() < 100, "only what is new");
    kept.extend(new);
    lay_down(&a, mark, &kept).unwrap();
    assert_eq!(text(&a), [first.as_bytes(), b"more\n"].concat(), "in the place of the one that was there");
    assert_eq!(fs::read_dir(own_file(&a).parent().unwrap()).unwrap().count(), 1, "and nothing beside it");
    let (goes_on, new, again) = leave(&a, Some(mark)).unwrap();
    assert_eq!((goes_on, new.len(), again), (true, 0, mark));
}

#[test]
fn a_line_in_the_making_stays_until_it_is_whole() {
    let (_folder, here) = here();
    write(&here, b"cut");
    assert!(leave(&here, None).is_none());
    append(&here, b" no more\nnext li");
    let (_, _, mark) = leave(&here, None).unwrap();
    assert_eq!(mark, mark_of(b"cut no more\n"));
    let (goes_on, pieces, same) = leave(&here, Some(mark)).unwrap();
    assert_eq!((goes_on, pieces.len(), same), (true, 0, mark));
    append(
        &here,
        &[b"ne".as_slice(), &vec![b'x'; 3 * usize::try_from(BLOCK).unwrap()], b"\nand th"].concat(),
    );
    let (goes_on, _, more) = leave(&here, Some(mark)).unwrap();
    assert!(goes_on && more.bytes > 3 * BLOCK, "{more:?}");
}

#[test]
fn one_that_was_rewritten_leaves_as_a_whole() {
    let before = b"one\ntwo\nthree\n";
    for after in [b"one\ntwO\nthree\nfour\n".as_slice(), b"one\n", b"other\n"] {
        let (_folder, here) = here();
        write(&here, after);
        let (goes_on, pieces, mark) = leave(&here, Some(mark_of(before))).unwrap();
        assert_eq!((goes_on, pieces.len(), mark), (false, 1, mark_of(after)));
        assert!(!here.reaches(&mark_of(before)).unwrap());
    }
}

#[test]
fn one_that_is_gone_is_no_transcript_without_news() {
    let (_folder, here) = here();
    let known = mark_of(b"one\n");
    assert_eq!(here.leaving(session(), Some(known)).unwrap_err().kind(), io::ErrorKind::NotFound);
    write(&here, b"");
    assert_eq!(here.leaving(session(), Some(known)).unwrap_err().kind(), io::ErrorKind::NotFound);
    let other = Mark { session: SessionId(Uuid::from_u128(8)), ..mark_of(b"one\n") };
    assert!(here.leaving(session(), Some(other)).unwrap().is_none(), "that was another's");
}

#[test]
fn one_that_becomes_shorter_on_its_way_out_is_not_sent() {
    let (_folder, here) = here();
    write(&here, b"one\ntwo\n");
    let mut leaving = here.leaving(session(), None).unwrap().unwrap();
    write(&here, b"one\n");
    assert_eq!(leaving.piece().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_is_current_if_it_begins_with_what_is_kept() {
    let (_folder, here) = here();
    let kept = b"one\ntwo\n";
    assert!(!here.reaches(&mark_of(kept)).unwrap(), "there is none");
    for (text, is_current) in [
        (kept.as_slice(), true),
        (b"one\ntwo\nthree, which no other host has\n", true),
        (b"one\ntwo\nthr", true),
        (b"one\n", false),
        (b"", false),
        (b"one\ntwO\n", false),
        (b"two\none\ntwo\n", false),
    ] {
        write(&here, text);
        assert_eq!(here.reaches(&mark_of(kept)).unwrap(), is_current, "{}", text.escape_ascii());
    }
    let nobodys = Mark { session: session(), bytes: 0, sha256: [0; 32] };
    assert!(!here.reaches(&nobodys).unwrap(), "no file begins with that");
}

#[test]
fn one_that_is_too_long_is_known_by_how_far_it_goes() {
    let (_folder, here) = here();
    let long = [vec![b'x'; usize::try_from(LONGEST).unwrap()], b"\n".to_vec()].concat();
    write(&here, &long);
    let leaving = here.leaving(session(), None).unwrap().unwrap();
    assert!(leaving.is_too_long());
    let mark = leaving.mark().unwrap();
    assert_eq!(mark, mark_of(&long));
    assert!(here.reaches(&mark).unwrap());
    assert!(
        matches!(here.laying(mark), Err(LayingError::Broken)),
        "none comes that is longer than any leaves"
    );
}

#[test]
fn what_is_not_whole_takes_nobodys_place() {
    let (_folder, here) = here();
    let (old, new) = (b"old\n".as_slice(), b"one\ntwo\nthree\n");
    write(&here, new);
    let (_, pieces, mark) = leave(&here, None).unwrap();
    write(&here, old);
    let bomb = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 1 << 24]).unwrap();
        encoder.finish().unwrap()
    };
    for hostile in [
        vec![],
        vec![b"no piece at all".to_vec()],
        vec![pieces[0][..pieces[0].len() / 2].to_vec()],
        vec![pieces[0].clone(), pieces[0].clone()],
        vec![bomb],
        vec![vec![]],
    ] {
        let refused = lay_down(&here, mark, &hostile);
        assert!(matches!(refused, Err(LayingError::Broken)), "{refused:?}");
        assert_eq!(text(&here), old);
    }
    let other = Mark { sha256: [7; 32], ..mark };
    assert!(matches!(lay_down(&here, other, &pieces), Err(LayingError::Broken)), "of another hash");
    assert_eq!(fs::read_dir(own_file(&here).parent().unwrap()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn what_a_killed_host_left_is_in_nobodys_way() {
    let (_folder, here) = here();
    write(&here, b"old\n");
    fs::write(own_file(&here).with_extension("laying"), b"half of a transcr").unwrap();
    let (_, pieces, mark) = leave(&here, None).unwrap();
    lay_down(&here, mark, &pieces).unwrap();
    assert_eq!(text(&here), b"old\n");
    assert!(!own_file(&here).with_extension("laying").exists());
}

#[test]
fn a_disk_that_takes_nothing_is_not_a_broken_transcript() {
    let (folder, here) = here();
    fs::write(folder.path().join("config"), b"a file where the folder should be").unwrap();
    let refused = lay_down(&here, mark_of(b"one\n"), &[]);
    let Err(error @ LayingError::File { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("data-dir"), "{error}");
}

#[test]
fn nobody_goes_on_with_one_that_was_set_aside() {
    let (_folder, here) = here();
    here.set_aside(session()).unwrap();
    write(&here, b"old\n");
    assert!(here.reaches(&mark_of(b"old\n")).unwrap());
    here.set_aside(session()).unwrap();
    assert!(located(&here.config, session()).is_none());
    assert_eq!(fs::read(own_file(&here).with_extension("outdated")).unwrap(), b"old\n");
}

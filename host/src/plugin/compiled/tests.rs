use std::time::Duration;

use super::*;

/// A folder, an engine, and a component that was kept there.
struct Kept {
    folder: tempfile::TempDir,
    engine: Engine,
    compiled: Compiled,
    content: ContentHash,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = Compiled::in_folder(&folder.path().join("compiled"), &engine).unwrap();
        let content = ContentHash::of(b"a plugin");
        let kept = Self { folder, engine, compiled, content };
        kept.put();
        kept
    }

    fn put(&self) {
        self.compiled.put(
            &self.content,
            &Component::new(&self.engine, wat::parse_str("(component)").unwrap()).unwrap(),
        );
    }

    fn file(&self) -> PathBuf {
        self.compiled.path(&self.content)
    }

    fn is_found(&self) -> bool {
        self.compiled.get(&self.engine, &self.content).is_some()
    }
}

#[test]
fn what_was_compiled_is_found_again_and_is_its_owners_only() {
    let kept = Kept::new();
    assert!(kept.is_found());
    for (path, mode) in [(kept.file(), 0o600), (kept.folder.path().join("compiled"), 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
    assert_eq!(fs::read_dir(&kept.compiled.folder).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn whatever_happened_to_a_file_it_is_not_used_and_the_next_compile_mends_it() {
    let kept = Kept::new();
    let whole = fs::read(kept.file()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases = [
        Vec::new(),
        whole[..16].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], b"more"].concat(),
        flipped(0),
        flipped(40),
        flipped(whole.len() - 1),
    ];
    for bytes in cases {
        fs::write(kept.file(), &bytes).unwrap();
        assert!(!kept.is_found(), "{} bytes", bytes.len());
        assert!(!kept.file().exists(), "it is out of the way");
        kept.put();
        assert!(kept.is_found());
    }
}

#[test]
fn another_plugins_file_under_this_ones_name_is_not_used() {
    let kept = Kept::new();
    let other = ContentHash::of(b"another plugin");
    fs::rename(kept.file(), kept.compiled.path(&other)).unwrap();
    assert!(kept.compiled.get(&kept.engine, &other).is_none());
}

#[test]
fn a_file_that_others_may_write_or_that_is_a_link_is_not_used() {
    let kept = Kept::new();
    fs::set_permissions(kept.file(), Permissions::from_mode(0o620)).unwrap();
    assert!(!kept.is_found());
    kept.put();
    let elsewhere = kept.folder.path().join("elsewhere");
    fs::rename(kept.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, kept.file()).unwrap();
    assert!(!kept.is_found());
    assert!(elsewhere.exists(), "only the link is removed");
}

#[test]
fn code_of_another_engine_is_neither_found_nor_fatal() {
    let kept = Kept::new();
    let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
    assert_ne!(fingerprint(&kept.engine), fingerprint(&other));
    // Under this engine's name all the same.
    assert!(kept.compiled.get(&other, &kept.content).is_none());
}

#[test]
fn what_was_unused_for_longest_goes_and_the_newest_stays() {
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let file = |second, size| (at(second), size, PathBuf::from(second.to_string()));
    let files = || vec![file(2, 10), file(4, 10), file(1, 10), file(3, 10)];
    let gone = |bytes, count| {
        let gone = too_many(files(), bytes, count).into_iter();
        gone.map(|path| path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(gone(40, 4), [""; 0]);
    assert_eq!(gone(39, 4), ["1"]);
    assert_eq!(gone(40, 2), ["2", "1"]);
    assert_eq!(gone(5, 4), ["3", "2", "1"], "one that is larger than all that may be kept is kept alone");
}

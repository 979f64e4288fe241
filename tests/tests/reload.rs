//! A plugin file that changes under a running host.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use hearth::{playground::Options, reload::Outcome};
use hearth_tests::{
    binary,
    outside::Outside,
    preload::Preload,
    world::{PATIENCE, World},
};
use tempfile::TempDir;

/// A folder of a plugin under test.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("bot.wasm")
    }

    /// Saves as careful editors do: beside the file, and then over it.
    fn save(&self, content: &Path) {
        let beside = self.0.path().join(".bot.wasm.swp");
        fs::copy(content, &beside).unwrap();
        fs::rename(beside, self.file()).unwrap();
    }

    async fn world(&self) -> World {
        World::new(&format!(
            "[bots.bot]\nplugin = '{}'\n[bots.echo]\nplugin = \"echo\"\n",
            self.file().display()
        ))
        .await
    }
}

fn dist(name: &str) -> PathBuf {
    binary::repository().join(format!("plugins/dist/{name}.wasm"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_after_a_save_runs_the_new_code() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    let room = world.room("bot");
    assert_eq!(world.ask(room, "well").await.plain, "well");
    shelf.save(&binary::guest("hostile"));
    world.generation("bot", 2).await;
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
    world.drained().await;
    let journal = world.journal("bot").await;
    let told: Vec<_> = journal
        .iter()
        .map(|row| (row.details["plugin"]["name"].clone(), row.details["plugin"]["generation"].clone()))
        .collect();
    assert_eq!(told, [("hostile".into(), 2.into()), ("echo".into(), 1.into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_save_leaves_the_last_good_code_running_and_is_mended_by_the_next() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    let room = world.room("bot");
    world.ask(room, "before").await;
    let half = fs::read(dist("assistant")).unwrap();
    for broken in [&b"no wasm"[..], &half[..half.len() / 2], b""] {
        fs::write(shelf.file(), broken).unwrap();
        assert_eq!(world.ask(room, "well").await.plain, "well");
    }
    fs::remove_file(shelf.file()).unwrap();
    assert_eq!(world.ask(room, "well").await.plain, "well");
    fs::copy(binary::guest("hostile"), shelf.file()).unwrap();
    world.generation("bot", 2).await;
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_turn_ends_on_the_code_it_began_with() {
    let shelf = Shelf::new();
    shelf.save(&dist("assistant"));
    let world = shelf.world().await;
    let (room, you) = (world.room("bot"), world.playground.you());
    let slow = world.playground.say(you, room, "demo:slow=3000 trap later").unwrap();
    let seen = |message: &hearth::playground::Message| message.id == slow && !message.boosts.is_empty();
    world.playground.wait_for(room, seen, PATIENCE).await.unwrap();
    shelf.save(&binary::guest("hostile"));
    world.generation("bot", 2).await;
    world.playground.wait_for(room, |message| message.author != you, PATIENCE).await.unwrap();
    world.drained().await;
    let journal = world.journal("bot").await;
    assert_eq!(journal[0].outcome, "answered");
    assert_eq!(journal[0].details["plugin"]["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_saved_unchanged_makes_no_generation() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    world.generation("bot", 1).await;
    shelf.save(&dist("echo"));
    shelf.save(&dist("echo"));
    shelf.save(&binary::guest("hostile"));
    // Had the same content counted, this would be a later one.
    world.generation("bot", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_its_plugin_gets_it_once_it_is_there() {
    let shelf = Shelf::new();
    let world = shelf.world().await;
    let room = world.room("bot");
    assert!(world.ask(room, "well").await.plain.starts_with("Something is wrong with my code"));
    shelf.save(&dist("echo"));
    world.generation("bot", 1).await;
    assert_eq!(world.ask(room, "well").await.plain, "well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_switched_to_another_release_is_followed() {
    let root = TempDir::new().unwrap();
    for (release, plugin) in [("release-1", dist("echo")), ("release-2", binary::guest("hostile"))] {
        fs::create_dir(root.path().join(release)).unwrap();
        fs::copy(plugin, root.path().join(release).join("bot.wasm")).unwrap();
    }
    let current = root.path().join("current");
    symlink("release-1", &current).unwrap();
    let world = World::new(&format!("[bots.bot]\nplugin = '{}'\n", current.join("bot.wasm").display())).await;
    assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well");
    symlink("release-2", root.path().join("next")).unwrap();
    fs::rename(root.path().join("next"), &current).unwrap();
    world.generation("bot", 2).await;
    assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well behaved");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_compiled_the_next_one_finds_and_what_was_damaged_since_is_compiled_again() {
    let mut world = World::new("[bots.echo]\nplugin = \"echo\"\n").await;
    let room = world.room("echo");
    world.ask(room, "first").await;
    let folder = world.config.host.data_dir.join("compiled");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("there is one plugin: {files:?}") };
    let inode = || fs::metadata(file).unwrap().ino();
    let written = inode();
    world.stop().await;
    world.start().await;
    assert_eq!(world.ask(room, "second").await.plain, "second");
    assert_eq!(inode(), written, "it was compiled again");

    let whole = fs::read(file).unwrap();
    for damaged in [&whole[..100], &[&whole[..whole.len() - 1], b"?"].concat()] {
        world.stop().await;
        fs::write(file, damaged).unwrap();
        world.start().await;
        assert_eq!(world.ask(room, "third").await.plain, "third");
        assert_ne!(fs::read(file).unwrap(), damaged);
    }
}

// === How files come ===

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_slowly_is_loaded_once_it_is_whole() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    world.generation("bot", 1).await;
    let whole = fs::read(binary::guest("hostile")).unwrap();
    let mut file = fs::File::create(shelf.file()).unwrap();
    for piece in whole.chunks(whole.len() / 8 + 1) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
        // As the next piece comes, what there is so far may be looked at and is no plugin.
        assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well");
        if piece.len() < whole.len() / 8 + 1 {
            break;
        }
    }
    drop(file);
    world.generation("bot", 2).await;
    assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well behaved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_deleted_and_made_again_is_followed() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("plugins");
    let file = folder.join("bot.wasm");
    fs::create_dir(&folder).unwrap();
    fs::copy(dist("echo"), &file).unwrap();
    let world = World::new(&format!("[bots.bot]\nplugin = '{}'\n", file.display())).await;
    world.generation("bot", 1).await;
    for (generation, plugin) in [(2, binary::guest("hostile")), (3, dist("echo"))] {
        fs::remove_dir_all(&folder).unwrap();
        world.ask(world.room("bot"), "well").await;
        fs::create_dir(&folder).unwrap();
        fs::copy(&plugin, &file).unwrap();
        world.generation("bot", generation).await;
    }
    assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_editors_leave_beside_a_plugin_is_not_taken_for_it() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    world.generation("bot", 1).await;
    for name in [".bot.wasm.swp", "bot.wasm~", "4913", "#bot.wasm#"] {
        fs::copy(binary::guest("hostile"), shelf.0.path().join(name)).unwrap();
    }
    let reloaded = world.reloader().reload().await.unwrap();
    assert_eq!(reloaded.bots[&"bot".into()], Outcome::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_system_can_t_watch_files_changes_are_found_by_looking() {
    let options = Options { webhook_read_timeout: PATIENCE, ..Options::default() };
    let mut outside = Outside::set(&["assistant"], "", "", options).await;
    let (config, plugin) = (outside.folder().join("bots.toml"), outside.folder().join("bot.wasm"));
    let toml = fs::read_to_string(&config).unwrap();
    let toml = toml.replace("plugin = \"assistant\"", &format!("plugin = '{}'", plugin.display()));
    fs::copy(dist("echo"), &plugin).unwrap();
    fs::write(&config, &toml).unwrap();
    let script = format!("export {}; exec \"$@\"", Preload::without_watching(outside.folder()).variable());
    outside.start_by(&["sh", "-c", &script, "blind"], Stdio::null()).await;
    outside.logs("files can't be watched here").await;
    outside.logs(r#""generation":1"#).await;
    fs::copy(binary::guest("hostile"), &plugin).unwrap();
    outside.logs(r#""generation":2"#).await;
    outside.say("well").await;
    outside.hear("well behaved").await;
    outside.save(&format!("{toml}model = \"m\"\n"));
    outside.logs(r#""generation":3"#).await;
}

// === Code that fails ===

/// A plugin that does what it is told, and its like: the same code with other bytes.
fn hostile(number: u8) -> Vec<u8> {
    let mut bytes = fs::read(binary::guest("hostile")).unwrap();
    // A section of its own, which nothing reads.
    bytes.extend_from_slice(&[0, 3, 1, b'n', number]);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_traps_again_and_again_makes_way_for_the_last_good_one_until_it_changes() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    let room = world.room("bot");
    assert_eq!(world.ask(room, "well").await.plain, "well");
    fs::write(shelf.file(), hostile(1)).unwrap();
    world.generation("bot", 2).await;
    for _ in 0..3 {
        let answer = world.ask(room, "trap").await;
        assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    }
    world.generation("bot", 1).await;
    assert_eq!(world.ask(room, "trap").await.plain, "trap");

    // Saved again as it is, it stays out.
    fs::write(shelf.file(), hostile(1)).unwrap();
    let reloaded = world.reloader().reload().await.unwrap();
    let Outcome::Refused(cause) = &reloaded.bots[&"bot".into()] else { panic!("{reloaded:?}") };
    assert!(cause.contains("hearth reload --lift bot"), "{cause}");
    let status = world.reloader().status();
    let bot = status.bots.iter().find(|bot| bot.bot.as_str() == "bot").unwrap();
    assert_eq!((bot.quarantined.len(), bot.running.as_ref().unwrap().plugin.as_str()), (1, "echo"));

    // Other content is another matter.
    fs::write(shelf.file(), hostile(2)).unwrap();
    world.generation("bot", 3).await;
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_out_runs_again_once_the_operator_lifts_it() {
    let shelf = Shelf::new();
    shelf.save(&dist("echo"));
    let world = shelf.world().await;
    let room = world.room("bot");
    world.ask(room, "well").await;
    fs::write(shelf.file(), hostile(1)).unwrap();
    world.generation("bot", 2).await;
    for _ in 0..3 {
        world.ask(room, "trap").await;
    }
    world.generation("bot", 1).await;
    let lifted = world.reloader().lift(&"bot".into()).await.unwrap().unwrap();
    assert_eq!(lifted.len(), 1);
    world.generation("bot", 3).await;
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
    assert_eq!(world.reloader().lift(&"nobody".into()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_has_nothing_to_go_back_to_stays() {
    let shelf = Shelf::new();
    fs::write(shelf.file(), hostile(1)).unwrap();
    let world = shelf.world().await;
    for _ in 0..4 {
        world.ask(world.room("bot"), "trap").await;
    }
    assert_eq!(world.ask(world.room("bot"), "well").await.plain, "well behaved");
    world.generation("bot", 1).await;
}

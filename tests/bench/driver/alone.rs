//! What is measured of Hearth alone: its start, and its promises to the disk.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::{
    Bench,
    figure::{Better, Figure, Side, milliseconds, quantile},
    hearth::{Cli, Disk, Hearth, Setup, echo, folder_on},
    load::{Door, word},
};

/// Plugins of the deployment that is restarted.
const PLUGINS: u8 = 20;
/// Webhooks on their way at the same time, while as many are taken as can be.
const SENDERS: usize = 64;
/// Rooms that these go to.
const ROOMS: u64 = 64;

/// What a flush costs on this disk: a page appended and flushed, as the store's log is.
pub(crate) fn disk(bench: &mut Bench) {
    let folder = folder_on(bench, Disk::Real);
    let mut figure = Figure::new("A flush of 4 KiB to this disk (fdatasync)", "ms", Better::Lower);
    for round in 0..bench.rounds(5) {
        let mut file = File::create(folder.path().join(round.to_string())).expect("the folder is writable");
        file.write_all(&vec![0; 4 << 20]).and_then(|()| file.sync_all()).expect("the disk has room");
        let mut times = Vec::new();
        for page in 0..100 {
            let began = Instant::now();
            file.write_all_at(&[1; 4096], page * 4096)
                .and_then(|()| file.sync_data())
                .expect("the disk works");
            times.push(milliseconds(began.elapsed()));
        }
        figure.add(Side::Hearth, quantile(&times, 0.5));
    }
    bench.report.add(figure);
}

/// Twenty plugins, compiled before: from the start of the process until it is ready.
pub(crate) async fn restart(bench: &mut Bench) {
    let folder = folder_on(bench, Disk::Real);
    let dist = hearth_tests::binary::repository().join("plugins/dist");
    let names = ["assistant", "echo", "oncall", "reminders"];
    let mut bots = Vec::new();
    for (number, name) in (0..PLUGINS).zip(names.iter().cycle()) {
        let mut component = fs::read(dist.join(format!("{name}.wasm"))).expect("plugins/dist has it");
        // A custom section without meaning: each is another content.
        component.extend([0, 3, 1, b'n', number]);
        let file = folder.path().join(format!("plugin-{number}.wasm"));
        fs::write(&file, component).expect("the folder is writable");
        let keys = match *name {
            "oncall" => {
                "grants = [\"campfire\"]\nsettings = { url = \"https://oncall.example.com/api\" }\n\
                 http = { \"oncall.example.com\" = {} }"
            }
            "reminders" => "grants = [\"schedule\"]\nsettings = { zone = \"UTC\" }",
            "assistant" => "grants = [\"campfire\", \"kv\"]",
            _ => "",
        };
        bots.push((format!("{name}-{number}"), file, keys));
    }
    let mut hearth = Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 0, bots }).await;
    let mut figure =
        Figure::new(format!("Restart with {PLUGINS} plugins, until ready"), "ms", Better::Lower).goal(150.0);
    for _ in 0..bench.rounds(7) {
        bench.noise.sample();
        hearth = hearth.restart().await;
        figure.add(Side::Hearth, milliseconds(hearth.ready_after));
    }
    let running = hearth.counter("hearth_plugin_generation", "").await;
    assert!(running >= f64::from(PLUGINS), "all plugins run: {running}");
    bench.report.add(figure);
}

/// As many messages as it takes, answered without an agent: how many, and how many flushes each costs.
pub(crate) async fn durable_events(bench: &mut Bench) {
    let hearth =
        Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 0, bots: vec![echo()] }).await;
    let mut rate =
        Figure::new("Messages taken durably and answered, without an agent", "per s", Better::Higher);
    let mut shared =
        Figure::new("Flushes for each message, as many at once as are taken", "", Better::Lower).goal(0.2);
    let mut cpu = Figure::new("… and CPU of the host", "ms", Better::Lower);
    for _ in 0..bench.rounds(3) {
        bench.noise.sample();
        let flushed = hearth.counter("hearth_store_flushes_total", "").await;
        let before = hearth.process.usage().cpu;
        let posts = bench.campfire.posts();
        let began = Instant::now();
        let sent =
            send_for(&hearth.doors[0], Duration::from_secs(if bench.arguments.quick { 2 } else { 4 })).await;
        while bench.campfire.posts() < posts + sent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        let sent = sent as f64;
        rate.add(Side::Hearth, sent / began.elapsed().as_secs_f64());
        let flushed = hearth.counter("hearth_store_flushes_total", "").await - flushed;
        shared.add(Side::Hearth, flushed / sent);
        cpu.add(Side::Hearth, 1e3 * (hearth.process.usage().cpu - before) / sent);
    }
    for figure in [rate, shared, cpu] {
        bench.report.add(figure);
    }
}

/// Sends for that long; how many were taken.
async fn send_for(door: &Door, span: Duration) -> u64 {
    let began = Instant::now();
    let senders = (0..SENDERS).map(|sender| {
        let door = door.clone();
        tokio::spawn(async move {
            let mut sent = 0_u64;
            while began.elapsed() < span {
                let room = 1 + (sender as u64 + sent * SENDERS as u64) % ROOMS;
                let status = door.send(room, &word()).await.expect("the webhook arrives");
                assert_eq!(status, 204, "the webhook is acknowledged");
                sent += 1;
            }
            sent
        })
    });
    join_all(senders).await.into_iter().map(|sent| sent.expect("it sends")).sum()
}

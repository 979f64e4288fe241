//! How what a message costs moves with the number of rooms and of bots, and what rooms cost that are quiet.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;

use crate::{
    Bench,
    figure::{Better, Figure, Side},
    hearth::{Cli, Disk, Hearth, Setup, echo},
    load::{Door, word},
};

/// Messages of one measurement; each room gets at least one.
const MESSAGES: u64 = 2_000;
const SENDERS: u64 = 32;

/// CPU for each message, over rooms and over bots; and the memory of a host that knows many lanes.
pub(crate) async fn growth(bench: &mut Bench) {
    for rooms in [10, 1_000, 10_000] {
        let hearth =
            Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 0, bots: vec![echo()] })
                .await;
        let title = format!("CPU for each message with {rooms} rooms");
        cost(bench, &hearth, title, rooms).await;
        let title = format!("Memory of the host with {rooms} known lanes");
        let mut memory = Figure::new(title, "MB", Better::Lower);
        memory.goal = (rooms == 10_000).then_some(150.0);
        memory.add(Side::Hearth, hearth.process.usage().memory / 1e6);
        bench.report.add(memory);
    }
    for count in [1, 10, 100] {
        let bots = (0..count).map(|number| (format!("echo-{number}"), echo().1, "")).collect();
        let hearth = Hearth::start(bench, Setup { cli: Cli::Stub, disk: Disk::Real, warm: 0, bots }).await;
        cost(bench, &hearth, format!("CPU for each message with {count} bots"), 100).await;
    }
}

async fn cost(bench: &mut Bench, hearth: &Hearth, title: String, rooms: u64) {
    let mut figure = Figure::new(title, "ms", Better::Lower);
    for _ in 0..if bench.arguments.quick { 1 } else { 3 } {
        bench.noise.sample();
        let messages = MESSAGES.max(rooms);
        let before = hearth.process.usage().cpu;
        send(bench, &hearth.doors, messages, rooms).await;
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        let messages = messages as f64;
        figure.add(Side::Hearth, 1e3 * (hearth.process.usage().cpu - before) / messages);
    }
    bench.report.add(figure);
}

/// That many messages, spread over rooms and bots, until all are answered.
async fn send(bench: &Bench, doors: &[Door], messages: u64, rooms: u64) {
    let posts = bench.campfire.posts();
    let next = AtomicU64::new(0);
    let senders = (0..SENDERS).map(async |_| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= messages {
                return;
            }
            let door = &doors[usize::try_from(number).expect("it is small") % doors.len()];
            let status = door.send(1 + number % rooms, &word()).await.expect("the webhook arrives");
            assert_eq!(status, 204, "the webhook is acknowledged");
        }
    });
    join_all(senders).await;
    while bench.campfire.posts() < posts + messages {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

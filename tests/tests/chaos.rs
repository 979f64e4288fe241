//! Everything goes wrong at random, and nothing that was acknowledged is lost or said twice.

use hearth::playground::Features;
use hearth_tests::chaos::{Profile, run, seconds_or};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_every_acknowledged_message_is_answered_once_and_in_order() {
    run(Profile {
        seconds: seconds_or(60),
        bots: &["echo", "assistant", "echo", "assistant", "echo"],
        features: Features::newest(),
        looks_up: true,
        puts_back: true,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_campfire_without_history_every_message_is_answered_once_or_listed() {
    run(Profile {
        // For as long as what fails can be listed.
        seconds: 15,
        bots: &["echo", "assistant"],
        features: Features::oldest(),
        looks_up: false,
        puts_back: false,
    })
    .await;
}

//! How fast a filter is tried on the events that the store holds.

use std::sync::LazyLock;
use std::time::Duration;

use divan::{Bencher, black_box};
use ergane::activities::Activities;
use ergane::app::App;
use ergane::app::events::IncomingEvent;
use ergane::app::live_match::{LastEvents, Only};
use ergane::app::principal::Principal;
use ergane::boot::Appliance;
use ergane::store::redb_store::StoreSettings;
use serde_json::{Value, json};
use tempfile::TempDir;

const EVENTS: usize = 100_000;
const BATCH: usize = 1_000;
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "urgent"];

struct Past {
    app: App,
    who: Principal,
    _appliance: Appliance,
    _directory: TempDir,
}

/// An appliance in which 100,000 events of one type and as many of another were accepted.
static PAST: LazyLock<Past> = LazyLock::new(|| {
    // Only the first of a process is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = TempDir::new().expect("a directory");
    let settings = StoreSettings { data_dir: directory.path().to_owned(), ..Default::default() };
    let runner = actix::System::new();
    let (appliance, app, who) = runner.block_on(async {
        let activities = Activities::built_in(&Default::default());
        let started =
            Appliance::start(&settings, Default::default(), activities, Default::default(), "");
        let appliance: Appliance = started.await.expect("it starts");
        let app = appliance.app().clone();
        app.first_start("key-of-the-benches-0123456789").await.expect("a first tenant");
        let who = app.local_owner().expect("an owner");
        for batch in 0..EVENTS / BATCH {
            for kind in ["deal:won", "deal:lost"] {
                let events = (0..BATCH).map(|place| event(kind, batch * BATCH + place));
                app.accept_events(&who, events.collect()).await.expect("they are accepted");
            }
        }
        (appliance, app, who)
    });
    // The threads of the engine outlive the set-up.
    std::mem::forget(runner);
    Past { app, who, _appliance: appliance, _directory: directory }
});

/// An event of about 1 KB.
fn event(kind: &str, number: usize) -> IncomingEvent {
    let payload = json!({"ticket": {
        "id": format!("t-{number}"), "title": "Unable to log in after the update",
        "priorityName": PRIORITIES[number % PRIORITIES.len()],
        "statusName": "open", "teamId": format!("team-{}", number % 50),
        "requestorEmail": "ann@customer.example", "score": number % 100,
        "description": "Since this morning nobody of us can log in. ".repeat(10),
        "tags": ["login", "vip", "regression"], "isEscalated": false, "assignedAgent": null,
        "createdAt": "2026-11-23T09:58:00.000Z",
        "customFields": {"plan": "enterprise", "region": "eu"},
    }, "previousTicket": {"statusName": "pending"}});
    IncomingEvent {
        kind: kind.to_owned(),
        source: "bench".to_owned(),
        payload,
        ..Default::default()
    }
}

fn main() {
    divan::main();
}

fn try_on_all(bencher: Bencher, filter: Value) {
    let wish = LastEvents {
        kind: "deal:won".to_owned(),
        last: EVENTS,
        limit: 50,
        only: Only::Matched,
        time_max: Duration::from_secs(60),
    };
    let past = &*PAST;
    bencher.bench(|| {
        let found = past.app.match_last(&past.who, black_box(&filter), &wish).expect("an answer");
        assert_eq!((found.looked, found.partial), (EVENTS, false));
        found.matched
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn three_conditions_on_a_hundred_thousand_events(bencher: Bencher) {
    let filter = json!({
        "ticket.priorityName": {"~in": ["urgent", "high"]},
        "ticket.statusName": {"~changedFrom": "pending"},
        "ticket.score": {"~gte": 40},
    });
    try_on_all(bencher, filter);
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn a_text_sought_in_a_hundred_thousand_events(bencher: Bencher) {
    try_on_all(bencher, json!({"ticket.description": {"~regex": "log (in|out)"}}));
}

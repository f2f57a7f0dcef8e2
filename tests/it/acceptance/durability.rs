//! What outlives a restart.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{begun, by_hand, echo, failing, reach_inner_networks, stands, step, transform, undone};
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, config_in};

/// Runs two tests one after another against the same data directory, with a restart between.
fn across_a_restart(
    before: impl AsyncFnOnce(&TestApp) -> Vec<String>,
    after: impl AsyncFnOnce(&TestApp, Vec<String>),
) {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    reach_inner_networks(&mut config);
    config.engine.stop_ms = 100;
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        let runs = before(&app).await;
        serving.stop().await;
        let (serving, app) = TestApp::open(&config).await;
        after(&app, runs).await;
        serving.stop().await;
    });
}

#[test]
fn row_100_everything_is_there_after_a_restart_and_runs_go_on() {
    let kept: RefCell<Vec<Value>> = RefCell::default();
    across_a_restart(
        async |app| {
            app.save(echo("w", "order:placed", json!({}), json!("kept"))).await;
            let nap = json!({"id": "nap", "sleep": "700ms"});
            let steps = json!([
                transform("a", json!("once")),
                nap,
                transform("b", json!("{{ steps.a.output }} more"))
            ]);
            app.save(by_hand("nap", steps)).await;
            let team = app.team().await;
            let ticket = app.ticket(&team, json!({"priorityName": "high"})).await;
            let run = app.publish("order:placed", json!({"n": 1})).await.remove(0);
            let finished = app.end_of(&run).await;
            let sleeping = begun(app, "nap", json!({})).await;
            app.until(&sleeping, "waiting").await;
            let workflow = app.get("/v1/workflows/nap").await.expect(200);
            kept.replace(vec![ticket, finished, workflow["definition"].clone()]);
            vec![run, sleeping]
        },
        async |app, runs| {
            let slept = app.end_of(&runs[1]).await;
            stands(&slept, "a=succeeded nap=succeeded b=succeeded");
            assert_eq!(step(&slept, "b")["output"], "once more");
            assert_eq!(step(&slept, "a")["attempts"].as_array().map(Vec::len), Some(1));
            let journal = app.get(&format!("/v1/runs/{}/journal", runs[1])).await.expect(200);
            let entries = journal["data"].as_array().expect("a list").iter();
            let done = entries.filter(|entry| entry["entry"]["type"] == "stepSucceeded");
            assert_eq!(done.count(), 2, "no finished step is done again: {journal:#}");
            app.publish("order:placed", json!({})).await;
            let run = app.get(&format!("/v1/runs/{}", runs[0])).await.expect(200);
            let all = app.get("/v1/tickets").await.expect(200);
            let definition = app.get("/v1/workflows/nap").await.expect(200)["definition"].clone();
            let mut found = vec![all["data"][0].clone(), run, definition];
            let mut expected = kept.take();
            for view in [&mut found[1], &mut expected[1]] {
                view.as_object_mut().expect("a run").remove("durationMs");
            }
            assert_eq!(found, expected);
        },
    );
}

#[test]
fn row_55_a_timer_that_fell_due_while_nothing_ran_fires_once_after_the_start() {
    across_a_restart(
        async |app| {
            let steps = json!([{"id": "nap", "sleep": "50ms"}, transform("b", json!(1))]);
            app.save(by_hand("nap", steps)).await;
            let mut runs = Vec::new();
            for _ in 0..20 {
                runs.push(begun(app, "nap", json!({})).await);
            }
            runs
        },
        async |app, runs| {
            for run in &runs {
                let run = app.end_of(run).await;
                stands(&run, "nap=succeeded b=succeeded");
                assert_eq!(step(&run, "b")["attempts"].as_array().map(Vec::len), Some(1));
            }
        },
    );
}

#[test]
fn row_101_a_call_in_flight_at_the_stop_is_made_again_with_the_same_key() {
    let (sender, receiver) = std::sync::mpsc::channel();
    across_a_restart(
        async |app| {
            let peer = Peer::start(|number, _| match number {
                0 => Reply::Never,
                _ => Reply::Status(200, json!({})),
            })
            .await;
            let call = json!({"id": "call", "activity": "workflows:http-request-platform",
                "input": {"url": peer.url, "method": "POST"}});
            app.save(by_hand("w", json!([transform("a", json!(1)), call]))).await;
            let run = begun(app, "w", json!({})).await;
            peer.until(1).await;
            sender.send(peer).expect("it is taken below");
            vec![run]
        },
        async |app, runs| {
            let peer = receiver.recv_timeout(Duration::from_secs(1)).expect("it was sent above");
            let received = peer.until(2).await;
            let run = app.end_of(&runs[0]).await;
            assert_eq!(run["status"], "succeeded", "{run:#}");
            let keys =
                [received[0].header("idempotency-key"), received[1].header("idempotency-key")];
            assert_eq!(keys[0], keys[1]);
            assert!(keys[0].contains(&runs[0]), "{keys:?}");
            assert_eq!(step(&run, "a")["attempts"].as_array().map(Vec::len), Some(1));
        },
    );
}

#[test]
fn undoing_goes_on_after_a_restart() {
    let (sender, receiver) = std::sync::mpsc::channel();
    across_a_restart(
        async |app| {
            let peer = Peer::start(|number, _| match number {
                1 => Reply::Never,
                _ => Reply::Status(200, json!({})),
            })
            .await;
            let call = json!({"id": "call", "activity": "workflows:http-request-platform",
                "input": {"url": peer.url, "method": "POST"},
                "compensate": {"activity": "workflows:http-request-platform",
                    "input": {"url": format!("{}/undo", peer.url), "method": "POST"}}});
            let account = json!({"id": "account", "activity": "accounts:create-account-platform",
                "input": {"name": "a", "primaryDomain": "a.example"}});
            app.save(by_hand("w", json!([account, call, failing("fails")]))).await;
            let run = begun(app, "w", json!({})).await;
            peer.until(2).await;
            sender.send(peer).expect("it is taken below");
            vec![run]
        },
        async |app, runs| {
            let peer = receiver.recv_timeout(Duration::from_secs(1)).expect("it was sent above");
            let run = app.end_of(&runs[0]).await;
            assert_eq!((&run["status"], &run["compensation"]), (&json!("failed"), &json!("done")));
            assert_eq!(undone(&run), ["call", "account"]);
            assert_eq!(peer.received().len(), 3);
            assert_eq!(app.get("/v1/accounts").await.expect(200)["data"], json!([]));
        },
    );
}

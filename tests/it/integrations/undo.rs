//! Whatever offers to be undone gives back what was there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::elsewhere::Elsewhere;
use super::{connect_all, run_of, step, with_outside};

/// An input for every activity that offers an undo.
fn inputs() -> Vec<(&'static str, Value)> {
    vec![
        ("jira.addComment", json!({"issue": "OPS-1", "body": "Look"})),
        ("jira.createIssue", json!({"summary": "Printer on fire"})),
        ("linear.createComment", json!({"issueId": "i1", "body": "Look"})),
        ("linear.createIssue", json!({"title": "Printer on fire"})),
        ("slack.addReaction", json!({"channel": "C1", "ts": "1.1", "name": "eyes"})),
        ("slack.createChannel", json!({"name": "fire"})),
        ("slack.postMessage", json!({"channel": "C1", "text": "Fire"})),
        ("slack.removeReaction", json!({"channel": "C1", "ts": "1.1", "name": "wave"})),
    ]
}

#[test]
fn whatever_offers_to_be_undone_gives_back_what_was_there() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let listed = app.get("/v1/activities").await.expect(200);
        let offering: BTreeSet<&str> = listed["data"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|activity| activity["compensation"] == "offered")
            .filter_map(|activity| activity["uniqueIdentifier"].as_str())
            .collect();
        let known: BTreeSet<&str> = inputs().iter().map(|(name, _)| *name).collect();
        assert_eq!(offering, known, "give every one an input here");
        let before = elsewhere.kept();
        for (activity, input) in inputs() {
            let mut undone = step("undone", activity, input);
            undone["compensate"] = json!("auto");
            let wrong = step(
                "wrong",
                "slack.updateMessage",
                json!({"channel": "C1", "ts": "0", "text": "x"}),
            );
            let run = run_of(&app, json!([undone, wrong])).await;
            assert_eq!(run["steps"][0]["status"], "succeeded", "{activity}: {run}");
            assert_eq!((&run["status"], &run["compensation"]), (&json!("failed"), &json!("done")));
            assert_eq!(elsewhere.kept(), before, "{activity}");
        }
        // What is undone was done: every one of them sent something else than its undo.
        assert!(elsewhere.peer.received().len() >= 3 * known.len());
    });
}

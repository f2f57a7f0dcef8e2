//! Workflows as things: versioned, switched, pinned, deleted, counted.

use serde_json::{Value, json};

use super::{begun, by_hand, echo, ended, stands, step, transform};
use crate::support::with_app;

#[test]
fn row_76_old_versions_stay_readable() {
    with_app(async |app| {
        let first = app.save(echo("w", "order:placed", json!({}), json!("one"))).await;
        assert_eq!((&first["version"], &first["active"]), (&json!(1), &json!(true)));
        let body = echo("w", "order:placed", json!({}), json!("two"));
        let second = app.put("/v1/workflows/w", body).await.expect(200);
        assert_eq!(second["version"], 2);
        assert_eq!(second["uniqueIdentifier"], first["uniqueIdentifier"]);
        assert_ne!(second["uid"], first["uid"]);
        let old = app.get("/v1/workflows/w?version=1").await.expect(200);
        assert_eq!(old["definition"], first["definition"]);
        assert_eq!(app.get("/v1/workflows/w").await.expect(200)["version"], 2);
        app.get("/v1/workflows/w?version=3").await.expect(404);
        let versions = app.get("/v1/workflows/w/versions").await.expect(200);
        let numbers: Vec<&Value> = versions["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|version| &version["version"])
            .collect();
        assert_eq!(numbers, [2, 1]);
    });
}

#[test]
fn row_77_an_update_does_not_alter_runs_that_have_begun() {
    with_app(async |app| {
        let definition = |shown: &str| {
            let nap = json!({"id": "nap", "sleep": "{{ trigger.payload.long }}"});
            by_hand("w", json!([nap, transform("show", json!(shown))]))
        };
        app.save(definition("old")).await;
        let sleeping = begun(&app, "w", json!({"long": "400ms"})).await;
        app.until(&sleeping, "waiting").await;
        app.put("/v1/workflows/w", definition("new")).await.expect(200);
        let old = app.end_of(&sleeping).await;
        assert_eq!((&old["version"], &step(&old, "show")["output"]), (&json!(1), &json!("old")));
        let new = ended(&app, "w", json!({"long": "1ms"})).await;
        assert_eq!((&new["version"], &step(&new, "show")["output"]), (&json!(2), &json!("new")));
    });
}

#[test]
fn row_78_a_deleted_workflow_starts_nothing_and_its_history_stays() {
    with_app(async |app| {
        app.save(echo("w", "order:placed", json!({}), json!(1))).await;
        let run = app.publish("order:placed", json!({})).await.remove(0);
        app.end_of(&run).await;
        app.delete("/v1/workflows/w").await.expect(204);
        app.get("/v1/workflows/w").await.refused(404, "workflow_not_found");
        assert!(app.publish("order:placed", json!({})).await.is_empty());
        let kept = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        stands(&kept, "show=succeeded");
        app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
        let listed = app.get("/v1/runs?workflow=w").await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
        app.delete("/v1/workflows/w").await.expect(404);
        app.save(echo("w", "order:placed", json!({}), json!(2))).await;
        assert_eq!(app.publish("order:placed", json!({})).await.len(), 1);
    });
}

#[test]
fn row_79_an_inactive_workflow_starts_nothing() {
    with_app(async |app| {
        app.save(echo("w", "order:placed", json!({}), json!(1))).await;
        let off = app.post("/v1/workflows/w/disable", json!({})).await.expect(200);
        assert_eq!(off["active"], false);
        let answer = app.post("/v1/events/order:placed", json!({})).await.expect(202);
        assert_eq!(answer["accepted"][0]["runs"], json!([]));
        let id = answer["accepted"][0]["id"].as_str().expect("an id");
        let explained = app.get(&format!("/v1/events/{id}/explain")).await.expect(200);
        assert_eq!(explained["data"][0]["outcome"], "inactive", "{explained}");
        let on = app.post("/v1/workflows/w/enable", json!({})).await.expect(200);
        assert_eq!(on["active"], true);
        assert_eq!(app.publish("order:placed", json!({})).await.len(), 1);
        let draft = echo("draft", "order:placed", json!({}), json!(1));
        let draft = app.post("/v1/workflows?draft=true", draft).await.expect(201);
        assert_eq!(draft["active"], false);
        assert_eq!(app.publish("order:placed", json!({})).await.len(), 1, "a draft waits");
    });
}

#[test]
fn row_80_a_workflow_belongs_to_its_tenant_and_keys_reach_only_theirs() {
    with_app(async |app| {
        app.save(echo("w", "order:placed", json!({}), json!(1))).await;
        app.post("/v1/tenants", json!({"slug": "wayne", "name": "Wayne"})).await.expect(201);
        let there = app
            .request(reqwest::Method::POST, "/v1/events/order:placed")
            .header("x-tenant", "wayne")
            .json(&json!({}));
        let there = crate::support::send(there).await.expect(202);
        assert_eq!(
            there["accepted"][0]["runs"],
            json!([]),
            "another tenant's workflow is not ours"
        );
        let listed = app.get("/v1/events").await.expect(200);
        assert_eq!(listed["data"], json!([]), "nor its events");
    });
}

#[test]
fn row_81_metadata_is_stored_and_returned() {
    with_app(async |app| {
        let metadata = json!({"owner": "ops", "deep": {"list": [1, null]}});
        let mut definition = echo("w", "order:placed", json!({}), json!(1));
        definition["metadata"] = metadata.clone();
        app.save(definition).await;
        let saved = app.get("/v1/workflows/w").await.expect(200);
        assert_eq!(saved["definition"]["metadata"], metadata, "{saved:#}");
        let exported = app.get("/v1/workflows/w?format=thena").await.expect(200);
        assert_eq!(exported["metadata"], metadata);
    });
}

#[test]
fn row_103_metrics_count_what_happened() {
    with_app(async |app| {
        app.save(echo("w", "order:placed", json!({}), json!(1))).await;
        app.save(by_hand("bad", json!([super::failing("it")]))).await;
        for _ in 0..3 {
            let run = app.publish("order:placed", json!({})).await.remove(0);
            app.end_of(&run).await;
        }
        ended(&app, "bad", json!({})).await;
        let text = app.get("/metrics").await.text;
        let value = |needle: &[&str]| -> f64 {
            let fits = |line: &&str| {
                !line.starts_with('#') && needle.iter().all(|part| line.contains(part))
            };
            let found = text.lines().filter(fits);
            found.map(|line| line.rsplit(' ').next().unwrap_or("").parse().unwrap_or(0.0)).sum()
        };
        assert_eq!(value(&["ergane_runs_total", "succeeded"]), 3.0, "{text}");
        assert_eq!(value(&["ergane_runs_total", "failed"]), 1.0, "{text}");
        assert!(value(&["ergane_events_total"]) >= 3.0, "{text}");
        assert!(value(&["ergane_run_duration_seconds_count"]) >= 4.0, "{text}");
        let workflow = app.get("/v1/workflows/w").await.expect(200);
        assert_eq!(workflow["totals"]["succeeded"], 3);
        assert_eq!(app.get("/v1/workflows/bad").await.expect(200)["totals"]["failed"], 1);
        let ended: Vec<&Value> = workflow["lastRuns"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|run| &run["status"])
            .collect();
        assert_eq!(ended, ["succeeded"; 3]);
    });
}

//! What is past its time goes, what is needed stays, and the file becomes smaller while it serves.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Answer, TestApp, with_app};

fn quick(name: &str, retention: Value) -> Value {
    json!({
        "name": name,
        "trigger": {"event": format!("{name}:made")},
        "retention": retention,
        "steps": [{"id": "note", "activity": "workflows:transform-platform", "input": {"value": "{{ trigger.payload.n }}"}}]
    })
}

async fn ended(app: &TestApp, name: &str, number: u32) -> (String, String) {
    let answer = app.post(&format!("/v1/events/{name}:made"), json!({ "n": number })).await;
    let answer = answer.expect(202);
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let accepted = &answer["accepted"][0];
    let (event, run) = (text(&accepted["id"]), text(&accepted["runs"][0]));
    app.end_of(&run).await;
    (event, run)
}

async fn run_pass(app: &TestApp) -> Value {
    for _ in 0..200 {
        let answer: Answer = app.post("/v1/retention/run", json!({})).await;
        if answer.status != 409 {
            return answer.expect(200);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a pass never ended")
}

/// Waits until so many runs ended more than a second ago, by the server's own word.
async fn until_past(app: &TestApp, count: u64) {
    let wanted = json!({ "runs": { "succeeded": "1s" } });
    for _ in 0..400 {
        let preview = app.put("/v1/retention?dryRun=true", wanted.clone()).await.expect(200);
        let rows = preview["data"].as_array().expect("rows").iter();
        let past = rows.filter(|row| row["rule"] == "runs.succeeded");
        if past.filter_map(|row| row["count"].as_u64()).sum::<u64>() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("time stands still")
}

#[test]
fn what_is_past_its_time_goes_and_says_so() {
    with_app(|app| async move {
        app.save(quick("short", json!({}))).await;
        let (event, run) = ended(&app, "short", 1).await;
        app.post("/v1/events/nobody:listens", json!({})).await.expect(202);
        until_past(&app, 1).await;
        let idle = run_pass(&app).await;
        assert_eq!(idle["removed"], json!({}), "the defaults are generous");
        let rules = json!({
            "runs": {"succeeded": "1s"}, "events": {"matched": "1s", "unmatched": "forever"}
        });
        let preview = app.put("/v1/retention?dryRun=true", rules.clone()).await.expect(200);
        assert_eq!(preview["total"], 2, "{preview}");
        assert_eq!(preview["data"][1]["rule"], "runs.succeeded");
        assert_eq!(preview["data"][1]["workflow"], "short");
        app.get(&format!("/v1/runs/{run}")).await.expect(200);
        let kept = app.put("/v1/retention", rules.clone()).await.expect(200);
        assert_eq!(kept["rules"]["runs"], rules["runs"]);
        assert_eq!(kept["effective"]["runs"]["failed"], "365d");
        let pass = run_pass(&app).await;
        assert_eq!(pass["removed"], json!({"runs": 1, "events": 1}), "{pass}");
        let gone = app.get(&format!("/v1/runs/{run}")).await;
        assert_eq!((gone.status, &gone.body["code"]), (410, &json!("run_removed")));
        for path in [format!("/v1/events/{event}"), format!("/v1/events/{event}/explain")] {
            let gone = app.get(&path).await;
            assert_eq!((gone.status, &gone.body["code"]), (410, &json!("event_removed")), "{path}");
        }
        assert_eq!(app.get("/v1/events/evt_ffffffffffff0000").await.status, 404);
        let runs = app.get("/v1/runs").await.expect(200);
        assert_eq!(runs["data"], json!([]));
        let (_, later) = ended(&app, "short", 2).await;
        app.get(&format!("/v1/runs/{later}")).await.expect(200);
        let metrics = app.get("/metrics").await.text;
        assert!(metrics.contains(r#"ergane_retention_removed_total{kind="runs"} 1"#), "{metrics}");
        let audit = app.get("/v1/audit?action=retention.change").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(app.get("/v1/audit/verify").await.expect(200)["valid"], true);
    });
}

#[test]
fn a_repeat_of_an_event_that_was_removed_is_still_a_repeat() {
    with_app(|app| async move {
        app.save(quick("once", json!({}))).await;
        let event = json!({"type": "once:made", "id": "mine-1", "source": "shop", "specversion": "1.0", "data": {"n": 1}});
        let answer = app.post("/v1/events", event.clone()).await.expect(202);
        let run = answer["accepted"][0]["runs"][0].as_str().expect("a run").to_owned();
        app.end_of(&run).await;
        until_past(&app, 1).await;
        let rules = json!({"runs": {"succeeded": "1s"}, "events": {"matched": "1s"}});
        app.put("/v1/retention", rules).await.expect(200);
        assert_eq!(run_pass(&app).await["removed"]["events"], 1);
        assert_eq!(app.get("/v1/events/mine-1").await.status, 410);
        let again = app.post("/v1/events", event).await.expect(202);
        assert_eq!(again["accepted"][0]["duplicate"], true, "{again}");
    });
}

#[test]
fn what_is_live_or_needed_stays_whatever_the_rules_say() {
    with_app(|app| async move {
        app.save(json!({
            "name": "waiting", "trigger": {"event": "waiting:made"},
            "steps": [{"id": "long", "sleep": "1h"}]
        }))
        .await;
        app.save(json!({
            "name": "parent", "trigger": {"event": "parent:made"},
            "steps": [{"id": "start", "run": {"workflow": "waiting", "input": {}, "wait": false}}]
        }))
        .await;
        let (event, parent) = ended(&app, "parent", 1).await;
        let asleep = app.publish("waiting:made", json!({})).await;
        app.save(quick("marker", json!({}))).await;
        ended(&app, "marker", 1).await;
        until_past(&app, 1).await;
        let rules = json!({
            "runs": {"succeeded": "1s", "count": 1}, "events": {"matched": "1s", "count": 1}
        });
        app.put("/v1/retention", rules).await.expect(200);
        app.post("/v1/system/storage/measure", json!({})).await.expect(200);
        assert_eq!(run_pass(&app).await["removed"], json!({"runs": 1, "events": 1}));
        app.get(&format!("/v1/runs/{parent}")).await.expect(200);
        app.get(&format!("/v1/events/{event}")).await.expect(200);
        assert_eq!(
            app.get(&format!("/v1/runs/{}", asleep[0])).await.expect(200)["status"],
            "waiting"
        );
        for run in app.get("/v1/runs?status=waiting").await.expect(200)["data"].as_array().unwrap()
        {
            let id = run["id"].as_str().unwrap();
            app.post(&format!("/v1/runs/{id}/cancel"), json!({})).await;
            app.end_of(id).await;
        }
        let removed = run_pass(&app).await["removed"].clone();
        assert_eq!(removed["runs"], 2, "the parent, and of two that slept all but one: {removed}");
    });
}

#[test]
fn a_definition_says_how_long_and_how_many_of_its_runs_are_kept() {
    with_app(|app| async move {
        let saved = app.save(quick("few", json!({"count": 2, "failed": "90d"}))).await;
        assert_eq!(
            saved["definition"]["retention"],
            json!({"failed": "90d", "count": 2}),
            "{saved}"
        );
        app.save(quick("many", json!({}))).await;
        let mut runs = Vec::new();
        for number in 0..5 {
            runs.push(ended(&app, "few", number).await.1);
            ended(&app, "many", number).await;
        }
        let preview = app.get("/v1/retention/preview").await.expect(200);
        let row = json!({"rule": "runs.count", "workflow": "few", "count": 3});
        assert_eq!(preview["data"], json!([row]));
        assert_eq!(run_pass(&app).await["removed"], json!({"runs": 3}));
        for (index, run) in runs.iter().enumerate() {
            let status = app.get(&format!("/v1/runs/{run}")).await.status;
            assert_eq!(status, if index < 3 { 410 } else { 200 }, "run {index}");
        }
        let bad = app.post("/v1/workflows", quick("bad", json!({"succeeded": "soon"}))).await;
        assert_eq!(
            (bad.status, &bad.body["errors"][0]["pointer"]),
            (422, &json!("/retention/succeeded"))
        );
        let bad = app.put("/v1/retention", json!({"runs": {"sucseeded": "1d"}})).await;
        assert_eq!(
            (bad.status, &bad.body["errors"][0]["pointer"]),
            (422, &json!("/runs/sucseeded"))
        );
        assert!(
            bad.body["errors"][0]["hint"].as_str().unwrap().contains("succeeded"),
            "{}",
            bad.text
        );
    });
}

#[test]
fn a_pause_keeps_everything_until_it_is_resumed() {
    with_app(|app| async move {
        assert_eq!(app.post("/v1/retention/pause", json!({})).await.expect(200)["paused"], true);
        let refused = app.post("/v1/retention/run", json!({})).await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("retention_paused")));
        assert_eq!(app.post("/v1/retention/resume", json!({})).await.expect(200)["paused"], false);
        run_pass(&app).await;
    });
}

#[test]
fn disk_use_is_told_by_tenant_and_kind_and_the_file_shrinks_while_it_serves() {
    with_app(|app| async move {
        app.save(quick("big", json!({}))).await;
        // What can be packed would take no room.
        let mut noise = 7u64;
        let mut letter = || {
            noise =
                noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            char::from(b'a' + (noise >> 40) as u8 % 26)
        };
        let filler: String = (0..20_000).map(|_| letter()).collect();
        for number in 0..60 {
            let payload = json!({"n": number, "filler": format!("{number}{filler}")});
            let run = app.publish("big:made", payload).await;
            app.end_of(&run[0]).await;
        }
        let storage = app.post("/v1/system/storage/measure", json!({})).await.expect(200);
        let own = storage["tenants"].as_array().unwrap();
        let own = own.iter().find(|tenant| tenant["tenant"] == "default").expect("the tenant");
        let kind = |name: &str| {
            let kinds = own["kinds"].as_array().unwrap().iter();
            kinds.clone().find(|kind| kind["kind"] == name).cloned().unwrap_or(Value::Null)
        };
        assert_eq!(kind("runs")["rows"], 60, "{own}");
        assert_eq!(kind("events")["rows"], 60);
        assert!(kind("events")["bytes"].as_u64().unwrap() > 100_000, "{own}");
        assert!(storage["file"]["bytes"].as_u64() > storage["file"]["rowBytes"].as_u64());
        let rules = json!({"runs": {"count": 1}, "events": {"matched": "1s"}});
        app.put("/v1/retention", rules).await.expect(200);
        until_past(&app, 60).await;
        let removed = run_pass(&app).await["removed"].clone();
        assert_eq!(removed, json!({"runs": 59, "events": 59}));
        let compacted = app.post("/v1/system/compact", json!({})).await.expect(200);
        assert!(
            compacted["bytesAfter"].as_u64() < compacted["bytesBefore"].as_u64(),
            "{compacted}"
        );
        let (_, run) = ended(&app, "big", 61).await;
        app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
        let metrics = app.get("/metrics").await.text;
        assert!(metrics.contains(r#"ergane_store_space_bytes{space="event"}"#), "{metrics}");
        let page = app.get("/system/storage").await;
        assert!(page.status == 200 || page.status == 303, "{}", page.status);
    });
}

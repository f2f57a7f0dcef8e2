//! Runs that are retried, restarted and moved, each checked first for what would be missing.

use serde_json::{Value, json};

use crate::acceptance::{begun, by_hand, events, failing, stands, step, transform};
use crate::support::with_app;

#[test]
fn a_retry_that_would_miss_something_is_refused_before_anything_happens() {
    with_app(async |app| {
        app.save(by_hand("w", json!([transform("a", json!({"n": 1})), failing("b")]))).await;
        let run = begun(&app, "w", json!({})).await;
        app.end_of(&run).await;
        let steps = json!([
            transform("a", json!({"n": 1, "m": 2})),
            transform("b", json!("{{ steps.a.output.m }}")),
            transform("c", json!("{{ trigger.payload.gone | default('none') }}")),
        ]);
        app.put("/v1/workflows/w", by_hand("w", steps)).await.expect(200);
        let path = format!("/v1/runs/{run}/retry");
        let before = app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
        let refused = app.post(&path, json!({"version": "latest"})).await;
        let refused = refused.refused(409, "unresolved_references");
        assert_eq!(refused["errors"][0]["pointer"], "/steps/1/input/output", "{refused:#}");
        assert_eq!(refused["errors"][0]["hint"], "the nearest existing path is `steps.a.output.n`");
        let plan =
            app.post(&format!("{path}?dryRun=true"), json!({"version": 2})).await.expect(200);
        assert_eq!((&plan["kept"], &plan["again"]), (&json!(["a"]), &json!(["b"])), "{plan:#}");
        assert_eq!((&plan["fresh"], &plan["from"]), (&json!(["c"]), &json!("b")));
        assert_eq!(plan["missing"][0]["path"], "steps.a.output.m");
        assert_eq!(plan["missing"][0]["sure"], true);
        let after = app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
        assert_eq!(before, after, "nothing has happened");
        let body = json!({"version": "latest", "input": {"output": "given"}});
        app.post(&path, body).await.expect(202);
        let run = app.end_of(&run).await;
        stands(&run, "a=succeeded b=succeeded c=succeeded");
        assert_eq!((&run["version"], &step(&run, "b")["output"]), (&json!(2), &json!("given")));
    });
}

#[test]
fn a_step_that_a_condition_may_pass_by_does_not_keep_a_run_from_going_on() {
    with_app(async |app| {
        let mut b = transform("b", json!("{{ steps.a.output.m }}"));
        b["if"] = json!({"steps.a.output.m": {"~isnull": false}});
        let first = json!([transform("a", json!({"n": 1})), failing("x"), b]);
        app.save(by_hand("w", first)).await;
        let run = begun(&app, "w", json!({})).await;
        app.end_of(&run).await;
        let plan = app.post(&format!("/v1/runs/{run}/retry?dryRun=true"), json!({})).await;
        let plan = plan.expect(200);
        assert_eq!(plan["missing"], json!([]), "its condition does not hold: {plan:#}");
        app.post(&format!("/v1/runs/{run}/retry"), json!({})).await.expect(202);
    });
}

#[test]
fn a_run_is_restarted_with_an_edited_event() {
    with_app(async |app| {
        let steps = json!([transform("a", json!("{{ trigger.payload.name }}"))]);
        let definition = json!({"name": "w", "trigger": {"event": "order:placed"}, "steps": steps});
        app.save(definition).await;
        let run = app.publish("order:placed", json!({"name": "Ada"})).await.remove(0);
        app.end_of(&run).await;
        let path = format!("/v1/runs/{run}/restart");
        let refused = app.post(&path, json!({"payload": {"nome": "Eve"}})).await;
        let refused = refused.refused(409, "unresolved_references");
        assert_eq!(refused["errors"][0]["pointer"], "/steps/0/input/output");
        let made = app.post(&path, json!({"payload": {"name": "Eve"}})).await.expect(202);
        let made = app.end_of(made["id"].as_str().expect("an id")).await;
        assert_eq!(step(&made, "a")["output"], "Eve");
        let event = events(&app, "order:placed").await.pop().expect("an event");
        assert_eq!(event["metadata"]["restartOf"], Value::from(run));
        assert_eq!(event["metadata"]["edited"], true);
    });
}

#[test]
fn a_waiting_run_moves_to_a_version_where_what_it_did_is_the_same() {
    with_app(async |app| {
        let steps = |a: i32, wait: &str, b: &str| {
            json!([
                transform("a", json!(a)),
                {"id": "paid", "waitFor": {"event": "order:paid", "timeout": wait}},
                transform("b", json!(b)),
            ])
        };
        app.save(by_hand("w", steps(1, "1h", "old"))).await;
        let run = begun(&app, "w", json!({})).await;
        let before = app.until(&run, "waiting").await;
        let versions = [steps(2, "2h", "new"), steps(1, "1h", "new")];
        for version in versions {
            app.put("/v1/workflows/w", by_hand("w", version)).await.expect(200);
        }
        let path = format!("/v1/runs/{run}/migrate");
        let refused = app.post(&path, json!({"version": 2})).await.refused(409, "not_migratable");
        let pointers: Vec<&Value> =
            refused["errors"].as_array().expect("a list").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(pointers, ["/steps/0/input", "/steps/1/waitFor"], "{refused:#}");
        let plan = app.post(&format!("{path}?dryRun=true"), json!({})).await.expect(200);
        assert_eq!((&plan["toVersion"], &plan["possible"]), (&json!(3), &json!(true)));
        app.post(&path, json!({})).await.expect(202);
        let moved = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        assert_eq!((&moved["version"], &moved["status"]), (&json!(3), &json!("waiting")));
        assert_eq!(moved["waitingFor"]["until"], before["waitingFor"]["until"]);
        app.post(&path, json!({})).await.refused(409, "same_version");
        app.publish("order:paid", json!({})).await;
        let ended = app.end_of(&run).await;
        assert_eq!(step(&ended, "b")["output"], "new", "{ended:#}");
        assert_eq!(step(&ended, "a")["attempts"].as_array().map(Vec::len), Some(1));
        app.post(&path, json!({"version": 1})).await.refused(409, "run_ended");
    });
}

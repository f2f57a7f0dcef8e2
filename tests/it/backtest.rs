//! A definition tried on recorded events, and nothing done.

use serde_json::{Value, json};

use crate::support::{TestApp, with_app};

fn definition(filter: Value, condition: Value) -> Value {
    json!({
        "name": "escalate", "trigger": {"event": "deal:won", "filter": filter},
        "steps": [
            {"id": "first", "activity": "workflows:transform-platform", "input": {"value": 1}},
            {"id": "second", "activity": "workflows:transform-platform", "input": {"value": 2},
                "if": condition},
        ],
    })
}

async fn with_events(app: &TestApp) {
    let saved = definition(json!({"amount": {"~gt": 5}}), json!({"region": {"~eq": "eu"}}));
    app.save(saved).await;
    for amount in 0..10 {
        let region = if amount % 2 == 0 { "eu" } else { "us" };
        app.publish("deal:won", json!({"amount": amount, "region": region})).await;
    }
}

#[test]
fn a_draft_says_what_it_would_start_and_what_changes_sides() {
    with_app(|app| async move {
        with_events(&app).await;
        let runs = app.get("/v1/runs").await.expect(200)["data"].as_array().map(Vec::len);
        let draft =
            definition(json!({"amount": {"~between": [4, 7]}}), json!({"region": {"~eq": "us"}}));
        let body = json!({"definition": draft, "since": "1h", "limit": 100});
        let answer = app.post("/v1/workflows/escalate/backtest", body).await.expect(200);
        for (field, value) in [
            ("looked", 10),
            ("starts", 4),
            ("startsNow", 4),
            ("gained", 2),
            ("lost", 2),
            ("stepsChanged", 2),
            ("against", 1),
        ] {
            assert_eq!(answer[field], value, "{field} in {answer}");
        }
        assert_eq!(answer["steps"], json!([{"id": "second", "runs": 2, "skipped": 2}]));
        let changes: Vec<_> =
            answer["data"].as_array().expect("a list").iter().map(|it| &it["change"]).collect();
        assert_eq!(&changes[..6], ["gained", "gained", "lost", "lost", "steps", "steps"]);
        let gained = &answer["data"][0];
        assert_eq!(
            (&gained["trace"]["result"], &gained["traceNow"]["result"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(gained["trace"]["children"][0]["actual"], 5, "the newest first");
        let lost = &answer["data"][2];
        assert!(lost["runId"].as_str().is_some_and(|id| id.starts_with("run_")), "{lost}");
        let after = app.get("/v1/runs").await.expect(200)["data"].as_array().map(Vec::len);
        assert_eq!(after, runs, "nothing was started");
    });
}

#[test]
fn a_saved_version_is_compared_with_the_active_one() {
    with_app(|app| async move {
        with_events(&app).await;
        let wider =
            definition(json!({"amount": {"~gt": 3}}), json!({"steps.first.output": {"~eq": 1}}));
        app.put("/v1/workflows/escalate?draft=true", wider).await.expect(200);
        let answer = app.post("/v1/workflows/escalate/backtest", json!({})).await.expect(200);
        assert_eq!((&answer["version"], &answer["against"]), (&json!(2), &json!(1)));
        assert_eq!((&answer["gained"], &answer["lost"]), (&json!(2), &json!(0)));
        assert_eq!(answer["undecidedSteps"], json!(["second"]));
        let body = json!({"version": 1, "show": 0});
        let answer = app.post("/v1/workflows/escalate/backtest", body).await.expect(200);
        assert_eq!((&answer["gained"], &answer["data"]), (&json!(0), &json!([])));
        app.post("/v1/workflows/nobody/backtest", json!({}))
            .await
            .refused(404, "workflow_not_found");
    });
}

#[test]
fn a_draft_of_something_new_is_tried_and_a_wrong_one_refused() {
    with_app(|app| async move {
        with_events(&app).await;
        let mut draft = definition(json!({"region": {"~eq": "eu"}}), json!({}));
        draft["name"] = json!("fresh");
        let body = json!({"definition": draft, "limit": 4});
        let answer = app.post("/v1/workflows/backtest", body).await.expect(200);
        assert_eq!((&answer["starts"], &answer["against"]), (&json!(2), &Value::Null));
        assert_eq!((&answer["gained"], &answer["total"]), (&json!(0), &json!(4)));
        let body = json!({"definition": {"name": "x", "trigger": {"event": "deal:won"}}});
        let problem = app.post("/v1/workflows/backtest", body).await.refused(422, "invalid");
        let pointer = problem["errors"][0]["pointer"].as_str().expect("a pointer");
        assert!(pointer.starts_with("/definition"), "{problem}");
        app.post("/v1/workflows/backtest", json!({})).await.refused(422, "invalid");
    });
}

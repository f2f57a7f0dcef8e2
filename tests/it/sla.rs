//! Promises about tickets: warned of, breached and kept, by real alarms.

use std::time::Duration;

use ergane::clock::Clock;
use serde_json::{Value, json};

use crate::acceptance::{echo, events};
use crate::support::{KEY, TestApp, config_in, with_app};

async fn policy(app: &TestApp, more: Value) -> Value {
    let mut body = json!({"name": "Gold"});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.post("/v1/sla-policies", body).await.expect(201)
}

/// Returns the events of a type once there are `count`.
async fn when_told(app: &TestApp, kind: &str, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let found = events(app, kind).await;
        if found.len() >= count {
            assert_eq!(found.len(), count, "{kind}");
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{kind} was never told {count} times");
}

fn metric<'a>(ticket: &'a Value, name: &str) -> &'a Value {
    let metrics = ticket["sla"]["metrics"].as_array().expect("metrics");
    metrics.iter().find(|it| it["metric"] == name).expect("a metric")
}

#[test]
fn a_ticket_warns_and_then_breaches_once_and_starts_workflows() {
    with_app(async |app| {
        let filter = json!({"ticket.priorityName": {"~eq": "urgent"}});
        let targets = json!({"firstResponse": "900ms", "resolution": "1h"});
        policy(&app, json!({"targets": targets, "filter": filter, "warnBefore": "600ms"})).await;
        app.save(echo("late", "ticket:sla:breached", json!({}), json!(1))).await;
        let team = app.team().await;
        let other = app.ticket(&team, json!({"priorityName": "low"})).await;
        assert_eq!(other["sla"], Value::Null);
        let ticket = app.ticket(&team, json!({"priorityName": "urgent"})).await;
        assert_eq!(metric(&ticket, "first_response")["status"], "running");
        let warned = when_told(&app, "ticket:sla:breach_warning", 1).await.remove(0);
        assert_eq!(warned["payload"]["ticket"]["id"], ticket["id"]);
        assert_eq!(warned["payload"]["sla"]["metric"], "first_response");
        assert_eq!(warned["payload"]["sla"]["policy"], "Gold");
        assert_eq!(
            (&warned["actor"]["type"], &warned["subject"]),
            (&json!("SYSTEM"), &ticket["id"])
        );
        let breached = when_told(&app, "ticket:sla:breached", 1).await.remove(0);
        let due = breached["payload"]["sla"]["dueAt"].as_str().expect("a time");
        assert!(breached["time"].as_str().expect("a time") >= due, "never early");
        assert!(warned["time"].as_str() < breached["time"].as_str());
        let run = app.end_of(breached["runs"][0].as_str().expect("a run")).await;
        assert_eq!(run["status"], "succeeded");
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        let comments = format!("{path}/comments");
        app.post(&comments, json!({"content": "We are on it."})).await.expect(201);
        let late = app.get(&path).await.expect(200);
        let clock = metric(&late, "first_response");
        assert_eq!((&clock["status"], clock["metAt"].is_string()), (&json!("breached"), true));
        assert_eq!(metric(&late, "resolution")["status"], "running");
        assert_eq!(events(&app, "ticket:sla:breached").await.len(), 1);
        assert_eq!(events(&app, "ticket:updated").await.len(), 0, "clocks alone are no update");
    });
}

#[test]
fn an_answer_in_time_and_a_pause_tell_nothing() {
    with_app(async |app| {
        let targets = json!({"firstResponse": "1500ms", "resolution": "1500ms"});
        policy(&app, json!({"targets": targets, "pauseStatuses": ["on hold"]})).await;
        let team = app.team().await;
        let kept = app.ticket(&team, json!({})).await;
        let path = format!("/v1/tickets/{}", kept["id"].as_str().expect("an id"));
        let note = json!({"content": "Only for us.", "commentVisibility": "private"});
        app.post(&format!("{path}/comments"), note).await.expect(201);
        let shown = app.get(&path).await.expect(200);
        assert_eq!(metric(&shown, "first_response")["status"], "running", "a note is no answer");
        app.post(&format!("{path}/comments"), json!({"content": "Hi"})).await.expect(201);
        let held = app.patch(&path, json!({"statusName": "On hold"})).await.expect(200);
        assert_eq!(metric(&held, "first_response")["status"], "met");
        let clock = metric(&held, "resolution");
        assert_eq!((&clock["status"], &clock["dueAt"]), (&json!("paused"), &Value::Null));
        let gone = app.ticket(&team, json!({})).await;
        app.delete(&format!("/v1/tickets/{}", gone["id"].as_str().expect("an id")))
            .await
            .expect(204);
        let late = app.ticket(&team, json!({})).await;
        for event in when_told(&app, "ticket:sla:breached", 2).await {
            assert_eq!(event["subject"], late["id"]);
        }
        let closed = app.patch(&path, json!({"statusName": "Closed"})).await.expect(200);
        assert_eq!(metric(&closed, "resolution")["status"], "met");
        assert_eq!(closed["sla"]["alarmAt"], Value::Null);
    });
}

#[test]
fn a_deadline_that_passed_while_the_appliance_was_down_is_told_once() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let config = config_in(directory.path());
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        policy(&app, json!({"targets": {"resolution": "300ms"}})).await;
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let due = metric(&ticket, "resolution")["dueAt"].as_str().expect("a time");
        let due = due.parse().expect("a time");
        serving.stop().await;
        while Clock::system().now() <= due {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (serving, app) = TestApp::open(&config).await;
        let breached = when_told(&app, "ticket:sla:breached", 1).await.remove(0);
        assert_eq!(breached["subject"], ticket["id"]);
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        app.patch(&path, json!({"title": "Later"})).await.expect(200);
        assert_eq!(events(&app, "ticket:sla:breached").await.len(), 1);
        assert_eq!(app.key, KEY);
        serving.stop().await;
    });
}

#[test]
fn a_promise_that_was_withdrawn_is_not_breached() {
    with_app(async |app| {
        let gold = policy(&app, json!({"targets": {"resolution": "600ms"}})).await;
        let silver = json!({"name": "Silver", "targets": {"resolution": "900ms"}, "position": 1});
        app.post("/v1/sla-policies", silver).await.expect(201);
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        assert_eq!(ticket["sla"]["policyName"], "Gold", "the lower position applies");
        let path = format!("/v1/sla-policies/{}", gold["id"].as_str().expect("an id"));
        app.delete(&path).await.expect(204);
        let breached = when_told(&app, "ticket:sla:breached", 1).await.remove(0);
        assert_eq!(breached["payload"]["sla"]["policy"], "Silver");
    });
}

#[test]
fn a_wrong_policy_is_refused_with_every_place() {
    with_app(async |app| {
        let body = json!({"name": "Gold", "targets": {"firstRespond": "1h"}, "warnBefore": "soon",
            "filter": {"ticket.title": {"~like": "x"}},
            "businessHours": {"timezone": "Mars/Olympus", "days": {}}});
        let problem = app.post("/v1/sla-policies", body).await.refused(422, "invalid");
        let mut found: Vec<_> = problem["errors"].as_array().expect("problems").iter().collect();
        found.retain(|it| it["pointer"].is_string());
        let found: Vec<_> = found.iter().filter_map(|it| it["pointer"].as_str()).collect();
        assert_eq!(
            found,
            [
                "/filter/ticket.title/~0like",
                "/targets/firstRespond",
                "/warnBefore",
                "/businessHours/timezone",
            ]
        );
        let missing = app.post("/v1/sla-policies", json!({"name": "Gold"})).await;
        let missing = missing.refused(422, "invalid");
        assert_eq!(missing["errors"].as_array().map(Vec::len), Some(1), "{missing}");
        policy(&app, json!({"targets": {"update": "1d"}})).await;
        let again = json!({"name": "gold", "targets": {"update": "1d"}});
        app.post("/v1/sla-policies", again).await.refused(409, "duplicate");
    });
}

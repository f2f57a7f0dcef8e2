//! Steps that somebody must approve: asked, listed, decided, reminded, and decided by silence.

use serde_json::{Value, json};

use crate::acceptance::{begun, by_hand, ended, events, stands, step, transform, undone};
use crate::support::{TestApp, with_app};

fn asked(id: &str, approval: Value) -> Value {
    let mut step = transform(id, json!("done"));
    step["approval"] = approval;
    step
}

fn account(id: &str) -> Value {
    json!({
        "id": id, "activity": "accounts:create-account-platform",
        "input": {"name": id, "primaryDomain": format!("{id}.example")},
    })
}

async fn key(app: &TestApp, name: &str, scopes: Value) -> TestApp {
    let made = app.post("/v1/keys", json!({"name": name, "scopes": scopes})).await.expect(201);
    app.with_key(made["key"].as_str().expect("a key"))
}

async fn list(app: &TestApp, status: &str) -> Vec<Value> {
    let body = app.get(&format!("/v1/approvals?status={status}")).await.expect(200);
    body["data"].as_array().expect("a list").clone()
}

#[test]
fn an_approved_step_runs_and_the_decision_is_recorded() {
    with_app(async |app| {
        let approval = json!({
            "approvers": ["role:lead", "{{ trigger.payload.boss }}"], "timeout": "1h",
            "reason": "Refund {{ trigger.payload.sum }}",
        });
        app.save(by_hand("refund", json!([asked("pay", approval)]))).await;
        let run = begun(&app, "refund", json!({"sum": 70, "boss": "ada@example.com"})).await;
        let waiting = app.until(&run, "waiting").await;
        assert_eq!(waiting["waitingFor"]["kind"], "approval");
        assert_eq!(waiting["waitingFor"]["approvers"], json!(["role:lead", "ada@example.com"]));
        assert!(waiting["waitingFor"]["until"].is_string());
        assert_eq!(waiting["state"], "SUSPENDED");
        let open = list(&app, "pending").await;
        assert_eq!(open.len(), 1);
        assert_eq!((&open[0]["run"], &open[0]["step"]), (&json!(run), &json!("pay")));
        assert_eq!(open[0]["reason"], "Refund 70");
        let tasks = app.get(&format!("/api/v1/workflows/{run}/tasks")).await.expect(200);
        assert_eq!(tasks["data"][0]["status"], "AWAITING_USER_INPUT", "{tasks}");

        let path = format!("/v1/runs/{run}/steps/pay/approve");
        app.post(&path, json!({"comment": "fine"})).await.expect(202);
        let done = app.end_of(&run).await;
        stands(&done, "pay=succeeded");
        let approval = &step(&done, "pay")["approval"];
        assert_eq!(
            (&approval["status"], &approval["comment"]),
            (&json!("approved"), &json!("fine"))
        );
        assert!(list(&app, "pending").await.is_empty());
        let decided = list(&app, "decided").await;
        assert_eq!(decided[0]["status"], "approved");
        assert!(decided[0]["decidedBy"].is_string(), "{decided:?}");
        app.post(&path, json!({})).await.refused(409, "not_awaiting_approval");
        let unknown = format!("/v1/runs/{run}/steps/nope/approve");
        app.post(&unknown, json!({})).await.expect(404);
    });
}

#[test]
fn a_rejected_step_fails_as_its_step_says() {
    with_app(async |app| {
        for (name, policy, status, undo) in [
            ("stop", "compensate", "failed", vec!["made".to_owned()]),
            ("abort", "abort", "failed", vec![]),
            ("go-on", "continue", "succeeded", vec![]),
        ] {
            let mut gate = asked("pay", json!({"approvers": ["role:lead"]}));
            gate["onFailure"] = json!(policy);
            let mut made = account("made");
            made["input"]["primaryDomain"] = json!(format!("{name}.example"));
            app.save(by_hand(name, json!([made, gate]))).await;
            let run = begun(&app, name, json!({})).await;
            app.until(&run, "waiting").await;
            let path = format!("/v1/runs/{run}/steps/pay/reject");
            app.post(&path, json!({"comment": "too much"})).await.expect(202);
            let run = app.end_of(&run).await;
            assert_eq!((&run["status"], undone(&run)), (&json!(status), undo), "{run:#}");
            assert_eq!(step(&run, "pay")["error"]["code"], "rejected");
        }
    });
}

#[test]
fn only_who_may_decides() {
    with_app(async |app| {
        app.save(by_hand("w", json!([asked("pay", json!({"approvers": ["key:deploy"]}))]))).await;
        let run = begun(&app, "w", json!({})).await;
        app.until(&run, "waiting").await;
        let path = format!("/v1/runs/{run}/steps/pay/approve");
        let reader = key(&app, "reader", json!(["runs:write", "approvals:read"])).await;
        reader.post(&path, json!({})).await.refused(403, "forbidden");
        let other = key(&app, "other", json!(["approvals:write"])).await;
        other.post(&path, json!({})).await.refused(403, "forbidden");
        let deploy = key(&app, "deploy", json!(["approvals:write", "runs:read"])).await;
        deploy.post(&path, json!({})).await.expect(202);
        let run = app.end_of(&run).await;
        assert_eq!(step(&run, "pay")["approval"]["decidedBy"], "deploy");
    });
}

#[test]
fn silence_decides_after_a_reminder_and_an_escalation() {
    with_app(async |app| {
        for (name, on_timeout, status) in
            [("yes", "approve", "succeeded"), ("no", "reject", "failed")]
        {
            let approval = json!({
                "approvers": ["role:lead"], "timeout": "150ms", "onTimeout": on_timeout,
                "reminder": "30ms", "escalate": {"after": "60ms", "to": "role:boss"},
            });
            app.save(by_hand(name, json!([asked("pay", approval)]))).await;
            let run = ended(&app, name, json!({})).await;
            assert_eq!(run["status"], status, "{run:#}");
            let approval = &step(&run, "pay")["approval"];
            assert_eq!(approval["decidedBy"], "timeout");
            assert_eq!(approval["approvers"], json!(["role:lead", "role:boss"]));
            let id = run["id"].as_str().expect("an id");
            let journal = app.get(&format!("/v1/runs/{id}/journal")).await.expect(200);
            let entries = journal["data"].as_array().expect("a list").iter();
            let kinds: Vec<&str> = entries.filter_map(|it| it["entry"]["type"].as_str()).collect();
            for kind in ["approvalRequested", "approvalReminded", "approvalEscalated"] {
                assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
            }
            for kind in ["requested", "reminded", "escalated", "decided"] {
                let events = events(&app, &format!("approval:{kind}")).await;
                assert!(events.iter().any(|event| event["payload"]["runId"] == id), "{kind}");
            }
        }
    });
}

#[test]
fn a_cancelled_run_withdraws_its_approval() {
    with_app(async |app| {
        app.save(by_hand("w", json!([asked("pay", json!(true))]))).await;
        let run = begun(&app, "w", json!({})).await;
        app.until(&run, "waiting").await;
        app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
        app.end_of(&run).await;
        assert!(list(&app, "pending").await.is_empty());
        assert_eq!(list(&app, "decided").await[0]["status"], "withdrawn");
    });
}

//! What each tenant may use: refused beyond it with when to come back, shown with its use, set for
//! one tenant; and what a suspended tenant does, which is nothing until it goes on.

use ergane::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{TestApp, config_in, send, with_app, with_config};

/// Makes a tenant with an owner's key of its own.
pub async fn tenant(app: &TestApp, slug: &str) -> TestApp {
    app.post("/v1/tenants", json!({ "slug": slug, "name": slug })).await.expect(201);
    let key = app.request(Method::POST, "/v1/keys").header("x-tenant", slug);
    let made = send(key.json(&json!({ "name": "owner", "scopes": ["*"] }))).await.expect(201);
    app.with_key(made["key"].as_str().expect("a key"))
}

fn quota<'a>(usage: &'a Value, name: &str) -> &'a Value {
    let all = usage["data"].as_array().expect("a list");
    all.iter().find(|quota| quota["name"] == name).expect("a quota of that name")
}

fn waiting(event: &str) -> Value {
    json!({"name": "waits", "trigger": {"event": event}, "steps": [
        {"id": "rest", "sleep": "1h"}, {"id": "after", "activity":
            "workflows:transform-platform", "input": {"set": {"a": 1}}}]})
}

#[test]
fn events_beyond_the_rate_are_refused_and_those_accepted_are_all_there() {
    with_app(async |app| {
        let acme = tenant(&app, "acme").await;
        let limits = json!({ "eventsPerSecond": 5, "eventsBurst": 10 });
        let set = app.put("/v1/tenants/acme/quotas", limits).await.expect(200);
        assert_eq!(quota(&set, "eventsBurst")["limit"], 10);
        assert_eq!(quota(&set, "eventsBurst")["own"], true);
        assert_eq!(quota(&set, "workflows")["own"], false);

        let (mut accepted, mut refused) = (0, 0);
        for number in 0..40 {
            let answer = acme.post("/v1/events/thing:happened", json!({ "n": number })).await;
            match answer.status {
                202 => accepted += 1,
                429 => {
                    refused += 1;
                    assert!(answer.header("retry-after").is_some(), "{}", answer.text);
                    assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
                    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
                    let problem = answer.refused(429, "quota_exceeded");
                    assert_eq!(
                        (&problem["quota"], &problem["limit"]),
                        (&json!("eventsPerSecond"), &json!(5))
                    );
                }
                other => panic!("answered {other}: {}", answer.text),
            }
        }
        assert!(accepted >= 10 && refused > 0, "{accepted} accepted, {refused} refused");
        let kept = acme.get("/v1/events?type=thing:happened&limit=200").await.expect(200);
        assert_eq!(kept["data"].as_array().map(Vec::len), Some(accepted));
        // A neighbour is asked for nothing.
        for _ in 0..40 {
            app.post("/v1/events/thing:happened", json!({})).await.expect(202);
        }
        let usage = acme.get("/v1/system/usage").await.expect(200);
        let burst = quota(&usage, "eventsBurst");
        assert!(burst["used"].as_u64() > Some(0) && burst["resets"].is_string(), "{burst}");
        assert!(quota(&usage, "storedBytes")["used"].as_u64() > Some(1_000));
    });
}

#[test]
fn what_is_counted_is_refused_beyond_its_number_and_fits_again_when_one_is_gone() {
    with_app(async |app| {
        let acme = tenant(&app, "acme").await;
        let limits = json!({ "workflows": 2, "secrets": 1, "keys": 2, "people": 1, "webhooks": 1,
            "connections": 1, "eventTypes": 1, "records": 3 });
        app.put("/v1/tenants/acme/quotas", limits).await.expect(200);
        let flow = |name: &str| {
            json!({"name": name, "trigger": {"event": "a:b"}, "steps": [
                {"id": "s", "activity": "workflows:transform-platform", "input": {"set": {}}}]})
        };
        acme.save(flow("one")).await;
        acme.save(flow("two")).await;
        let problem =
            acme.post("/v1/workflows", flow("three")).await.refused(409, "quota_exceeded");
        assert_eq!(
            (&problem["quota"], &problem["limit"], &problem["used"]),
            (&json!("workflows"), &json!(2), &json!(2))
        );
        // A new version is no further workflow.
        acme.put("/v1/workflows/one", flow("one")).await;
        let secret = json!({ "value": "v", "hosts": ["a.example"] });
        acme.put("/v1/secrets/one", secret.clone()).await;
        acme.put("/v1/secrets/two", secret.clone()).await.refused(409, "quota_exceeded");
        acme.delete("/v1/secrets/one").await.expect(204);
        assert!(acme.put("/v1/secrets/two", secret).await.status < 300);
        let key = json!({ "name": "more", "scopes": ["runs:read"] });
        acme.post("/v1/keys", key.clone()).await.expect(201);
        acme.post("/v1/keys", key).await.refused(409, "quota_exceeded");
        let person = |email: &str| json!({ "email": email, "roles": ["viewer"] });
        acme.post("/v1/people", person("a@example.com")).await.expect(201);
        acme.post("/v1/people", person("b@example.com")).await.refused(409, "quota_exceeded");
        let hook = json!({ "url": "https://a.example/h", "types": ["ticket:*"] });
        acme.post("/v1/webhooks", hook.clone()).await.expect(201);
        acme.post("/v1/webhooks", hook).await.refused(409, "quota_exceeded");
        let kind = |name: &str| json!({ "type": name, "name": name, "schema": {"type": "object"} });
        acme.post("/v1/event-types", kind("x:y")).await.expect(201);
        acme.post("/v1/event-types", kind("x:z")).await.refused(409, "quota_exceeded");

        let usage = acme.get("/v1/tenants/acme/quotas").await.expect(200);
        for (name, used) in [("workflows", 2), ("secrets", 1), ("keys", 2), ("people", 1)] {
            assert_eq!(quota(&usage, name)["used"], used, "{name}");
            assert!(quota(&usage, name)["percent"].as_u64() >= Some(100));
        }
        let shown = app.get("/v1/tenants/acme").await.expect(200);
        assert_eq!((&shown["keys"], &shown["people"]), (&json!(2), &json!(1)));
        app.put("/v1/tenants/acme/quotas", json!({ "workflows": null })).await.expect(200);
        acme.save(flow("three")).await;
    });
}

#[test]
fn runs_that_wait_fill_a_tenant_and_their_end_makes_room() {
    with_app(async |app| {
        let acme = tenant(&app, "acme").await;
        app.put("/v1/tenants/acme/quotas", json!({ "waitingRuns": 1 })).await.expect(200);
        acme.save(waiting("a:b")).await;
        let run = acme.publish("a:b", json!({})).await.remove(0);
        acme.until(&run, "waiting").await;
        let problem = acme.post("/v1/events/a:b", json!({})).await.refused(429, "quota_exceeded");
        assert_eq!(problem["quota"], "waitingRuns");
        acme.post(&format!("/v1/runs/{run}/cancel"), json!({})).await;
        acme.until(&run, "cancelled").await;
        acme.post("/v1/events/a:b", json!({})).await.expect(202);
    });
}

#[test]
fn quotas_are_set_by_the_owner_of_the_appliance_alone_and_recorded() {
    with_app(async |app| {
        let acme = tenant(&app, "acme").await;
        let other = tenant(&app, "other").await;
        let own = json!({ "keys": 9 });
        acme.put("/v1/tenants/acme/quotas", own.clone()).await.refused(403, "forbidden");
        other.get("/v1/tenants/acme/quotas").await.refused(404, "tenant_not_found");
        other.put("/v1/tenants/acme/quotas", own.clone()).await.refused(404, "tenant_not_found");
        other.post("/v1/tenants/acme/suspend", json!({})).await.refused(404, "tenant_not_found");
        other.get("/v1/tenants/acme").await.refused(404, "tenant_not_found");
        let wrong = json!({ "eventPerSecond": 1 });
        let problem = app.put("/v1/tenants/acme/quotas", wrong).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["hint"], "did you mean `eventsPerSecond`?");
        app.put("/v1/tenants/acme/quotas", json!({ "keys": -1 })).await.refused(422, "invalid");
        app.put("/v1/tenants/acme/quotas", own).await.expect(200);
        app.patch("/v1/tenants/acme", json!({ "name": "Acme Inc" })).await.expect(200);
        assert_eq!(app.get("/v1/tenants/acme").await.expect(200)["name"], "Acme Inc");
        let audit = app.get("/v1/audit?action=tenant.setQuotas").await.expect(200);
        assert_eq!(audit["data"][0]["target"], "acme", "{audit}");
        assert_eq!(audit["data"][0]["after"]["quotas"]["keys"], 9, "{audit}");
    });
}

#[test]
fn requests_beyond_the_rate_are_refused_whichever_key_makes_them() {
    with_app(async |app| {
        let acme = tenant(&app, "acme").await;
        let key = json!({ "name": "second", "scopes": ["runs:read"] });
        let second = acme.post("/v1/keys", key).await.expect(201);
        let second = app.with_key(second["key"].as_str().expect("a key"));
        let limits = json!({ "requestsPerSecond": 1, "requestsBurst": 4 });
        app.put("/v1/tenants/acme/quotas", limits).await.expect(200);
        let mut statuses = Vec::new();
        for number in 0..12 {
            let by = if number % 2 == 0 { &acme } else { &second };
            statuses.push(by.get("/v1/runs").await.status);
        }
        assert!(statuses[..4].iter().all(|status| *status == 200), "{statuses:?}");
        assert!(statuses.contains(&429), "{statuses:?}");
        app.get("/v1/runs").await.expect(200);
    });
}

fn quick(directory: &TempDir) -> Config {
    config_in(directory.path())
}

#[test]
fn a_suspended_tenant_takes_no_work_rests_and_goes_on_exactly_once() {
    let directory = TempDir::new().expect("a directory");
    actix::System::new().block_on(async {
        let config = quick(&directory);
        let (serving, app) = TestApp::open(&config).await;
        let acme = tenant(&app, "acme").await;
        acme.save(json!({"name": "naps", "trigger": {"event": "a:b"}, "steps": [
            {"id": "rest", "sleep": "700ms"}, {"id": "say", "activity":
                "workflows:publish-event-platform", "input": {"type": "a:said", "payload": {}}}]}))
            .await;
        let run = acme.publish("a:b", json!({})).await.remove(0);
        acme.until(&run, "waiting").await;
        let shown = app.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        assert!(shown["suspendedAt"].is_string(), "{shown}");
        acme.post("/v1/events/a:b", json!({})).await.refused(403, "tenant_suspended");
        acme.post("/v1/teams", json!({ "name": "T" })).await.refused(403, "tenant_suspended");
        acme.get("/v1/runs").await.expect(200);
        let inside = app.request(Method::POST, "/v1/events/a:b").header("x-tenant", "acme");
        send(inside.json(&json!({}))).await.refused(403, "tenant_suspended");
        // Its deadline passes; a run of a neighbour that slept as long has ended meanwhile.
        app.save(json!({"name": "naps", "trigger": {"event": "a:b"}, "steps": [
            {"id": "rest", "sleep": "1500ms"}]}))
            .await;
        let other = app.publish("a:b", json!({})).await.remove(0);
        assert_eq!(app.end_of(&other).await["status"], "succeeded");
        assert_eq!(acme.get(&format!("/v1/runs/{run}")).await.expect(200)["status"], "waiting");
        serving.stop().await;

        let (serving, app) = TestApp::open(&config).await;
        let acme = app.with_key(&acme.key);
        let later = app.publish("a:b", json!({})).await.remove(0);
        assert_eq!(app.end_of(&later).await["status"], "succeeded");
        assert_eq!(acme.get(&format!("/v1/runs/{run}")).await.expect(200)["status"], "waiting");
        app.post("/v1/tenants/acme/resume", json!({})).await.expect(200);
        assert_eq!(acme.end_of(&run).await["status"], "succeeded");
        let said = acme.get("/v1/events?type=a:said").await.expect(200);
        assert_eq!(said["data"].as_array().map(Vec::len), Some(1), "{said}");
        acme.post("/v1/events/a:b", json!({})).await.expect(202);
        app.post("/v1/tenants/default/suspend", json!({})).await.refused(409, "protected");
        serving.stop().await;
    });
}

#[test]
fn a_flood_of_runs_and_overdue_deadlines_leaves_a_neighbour_their_turn() {
    let change = |config: &mut Config| config.engine.wake_batch_max = 16;
    with_config(change, async |app| {
        let acme = tenant(&app, "acme").await;
        acme.save(json!({"name": "naps", "trigger": {"event": "nap:taken"}, "steps": [
            {"id": "rest", "sleep": "200ms"}, {"id": "say", "activity":
                "workflows:transform-platform", "input": {"set": {"a": 1}}}]}))
            .await;
        app.save(json!({"name": "quick", "trigger": {"event": "a:b"}, "steps": [
            {"id": "rest", "sleep": "1ms"}]}))
            .await;
        let batch: Vec<Value> = (0..500)
            .map(|n| {
                json!({"specversion": "1.0", "id": n.to_string(), "source": "s",
                    "type": "nap:taken", "data": {}})
            })
            .collect();
        let request = acme.request(Method::POST, "/v1/events").json(&batch);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let naps = send(request).await.expect(202);
        let run = app.publish("a:b", json!({})).await.remove(0);
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        for nap in naps["accepted"].as_array().expect("a list") {
            let id = nap["runs"][0].as_str().expect("a run");
            assert_eq!(acme.end_of(id).await["status"], "succeeded");
        }
    });
}

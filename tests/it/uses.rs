//! What uses connections, secrets and activities; how activities fare; activities tried alone.

use serde_json::{Value, json};

use crate::acceptance::reach_inner_networks;
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

async fn pager() -> Peer {
    Peer::start(|_, _| Reply::Status(200, json!({ "id": "P1", "token": "hush-hush-hush" }))).await
}

async fn connected(app: &TestApp, base: &str) {
    let body = json!({"name": "pager", "app": "http",
        "settings": {"baseUrl": base, "testPath": "/health"},
        "secrets": {"token": "hush-hush-hush"}});
    app.post("/v1/connections", body).await.expect(201);
}

fn paging() -> Value {
    json!({"name": "page-somebody", "title": "Page somebody", "trigger": {"event": "page:wanted"},
    "steps": [
        {"id": "page", "activity": "workflows:http-request-platform",
         "input": {"method": "POST", "path": "/page", "connection": "pager",
             "headers": {"x-token": "{{ secrets.pager_token }}"}}},
        {"id": "keep", "activity": "workflows:transform-platform", "input": {"output": "1"}},
    ]})
}

#[test]
fn what_a_workflow_uses_is_told_where_it_is_used() {
    with_app(|app| async move {
        connected(&app, "https://pager.example.com").await;
        app.put("/v1/secrets/pager_token", json!({"value": "x", "hosts": ["pager.example.com"]}))
            .await
            .expect(200);
        app.save(paging()).await;
        let used = json!([{"workflow": "page-somebody", "title": "Page somebody", "active": true,
            "steps": ["page"]}]);
        for path in [
            "/v1/connections/pager/uses",
            "/v1/secrets/pager_token/uses",
            "/v1/activities/workflows:http-request-platform/uses",
        ] {
            assert_eq!(app.get(path).await.expect(200)["data"], used, "{path}");
        }
        let unused = app.get("/v1/activities/slack.postMessage/uses").await.expect(200);
        assert_eq!(unused["data"], json!([]));
        app.get("/v1/connections/nobody/uses").await.refused(404, "connection_not_found");
        app.get("/v1/secrets/nobody/uses").await.refused(404, "secret_not_found");
    });
}

#[test]
fn a_secret_says_who_set_it() {
    with_app(|app| async move {
        let put = json!({"value": "x", "hosts": []});
        let secret = app.put("/v1/secrets/token", put).await.expect(200);
        assert!(secret["updatedBy"].is_string(), "{secret}");
    });
}

#[test]
fn a_test_of_a_connection_is_remembered_with_what_was_said() {
    with_config(reach_inner_networks, async |app| {
        let peer = pager().await;
        connected(&app, &peer.url).await;
        let test = app.post("/v1/connections/pager/test", json!({})).await;
        assert!(!test.text.contains("hush-hush-hush"), "{}", test.text);
        let test = test.expect(200);
        assert_eq!((&test["ok"], &test["response"]["status"]), (&json!(true), &json!(200)));
        assert_eq!(test["request"]["url"], format!("{}/health", peer.url));
        assert!(test["latencyMs"].is_u64(), "{test}");
        let view = app.get("/v1/connections/pager").await.expect(200);
        assert_eq!(view["lastTest"]["ok"], true, "{view}");
        app.delete("/v1/connections/pager").await.expect(204);
        connected(&app, &peer.url).await;
        let again = app.get("/v1/connections/pager").await.expect(200);
        assert_eq!(again.get("lastTest"), None, "{again}");
    });
}

#[test]
fn an_activity_is_tried_without_effect_and_for_real() {
    with_config(reach_inner_networks, async |app| {
        let peer = pager().await;
        connected(&app, &peer.url).await;
        let path = "/v1/activities/workflows:http-request-platform/try";
        let input = json!({"method": "POST", "path": "/page", "connection": "pager"});
        let mock = app.post(path, json!({"input": input})).await.expect(200);
        assert_eq!((&mock["mode"], &mock["ok"]), (&json!("mock"), &json!(true)));
        assert_eq!(peer.received().len(), 0);
        let real = app.post(path, json!({"input": input, "mode": "real"})).await;
        assert!(!real.text.contains("hush-hush-hush"), "{}", real.text);
        let real = real.expect(200);
        assert_eq!(real["ok"], true, "{real}");
        assert_eq!(peer.received().len(), 1);
        let wrong = app.post(path, json!({"input": {"method": 5}})).await;
        let wrong = wrong.refused(422, "invalid");
        assert!(wrong["errors"].to_string().contains("/input"), "{wrong}");
        app.post(path, json!({"mode": "perhaps"})).await.expect(422);
    });
}

#[test]
fn an_activity_on_our_own_records_is_done_once_or_leaves_nothing_behind() {
    with_app(|app| async move {
        let path = "/v1/activities/accounts:create-account-platform/try";
        let input = json!({"name": "ACME", "primaryDomain": "acme.example"});
        let made = app.post(path, json!({"input": input, "mode": "real"})).await.expect(200);
        assert_eq!(made["ok"], true, "{made}");
        let accounts = app.get("/v1/accounts").await.expect(200);
        assert_eq!(accounts["data"].as_array().map(Vec::len), Some(1));
        let path = "/v1/activities/accounts:get-account-platform/try";
        let missing = json!({"input": {"accountId": "nobody"}, "mode": "real"});
        let missing = app.post(path, missing).await.expect(200);
        assert_eq!(missing["ok"], false, "{missing}");
        assert!(missing["error"]["code"].is_string(), "{missing}");
        let audit = app.get("/v1/audit?action=activity.try").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(1), "{audit}");
        let pause = "/v1/activities/workflows:sleep-platform/try";
        let pause = app.post(pause, json!({"input": {"duration": "1s"}, "mode": "real"})).await;
        pause.expect(422);
        let limited = json!({"name": "few", "scopes": ["runs:write", "workflows:read"]});
        let limited = app.post("/v1/keys", limited).await.expect(201);
        let limited = app.with_key(limited["key"].as_str().expect("a key"));
        let path = "/v1/activities/accounts:create-account-platform/try";
        let refused = limited.post(path, json!({"input": input, "mode": "real"})).await;
        refused.refused(403, "forbidden");
    });
}

#[test]
fn how_an_activity_fared_is_told_from_its_runs() {
    with_app(|app| async move {
        app.save(json!({"name": "sums", "trigger": {"event": "sum:wanted"}, "steps": [
            {"id": "sum", "activity": "workflows:transform-platform",
             "input": {"output": "{{ trigger.payload.a }}"}, "retry": {"attempts": 1}}]}))
            .await;
        for payload in [json!({"a": 1}), json!({"a": 2})] {
            let run = app.publish("sum:wanted", payload).await.remove(0);
            assert_eq!(app.end_of(&run).await["status"], "succeeded");
        }
        let path = "/v1/activities/workflows:transform-platform/record";
        let record = app.get(path).await.expect(200);
        assert_eq!((&record["runs"], &record["succeeded"]), (&json!(2), &json!(2)), "{record}");
        assert!(record["p95Ms"].is_i64() || record["p95Ms"].is_u64(), "{record}");
        app.get("/v1/activities/nobody/record").await.refused(404, "activity_not_found");
    });
}

#[test]
fn a_manifest_is_checked_before_an_app_is_made_of_it() {
    with_app(|app| async move {
        let manifest = json!({"app": {"name": "Pager"}, "scopes": {"required": ["tickets:read"]}});
        let check = app.post("/v1/apps?dryRun=true", manifest.clone()).await.expect(200);
        assert_eq!((&check["slug"], &check["exists"]), (&json!("pager"), &json!(false)));
        assert_eq!(check["scopesRequired"], json!(["tickets:read"]));
        assert_eq!(app.get("/v1/apps").await.expect(200)["data"], json!([]));
        app.post("/v1/apps", manifest.clone()).await.expect(201);
        let check = app.post("/v1/apps?dryRun=true", manifest).await.expect(200);
        assert_eq!(check["exists"], true);
        app.post("/v1/apps?dryRun=true", json!({"app": {}})).await.expect(422);
    });
}

//! Steps act, and are allowed to act, as the identity that their workflow names.

use ergane::config::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::acceptance::reach_inner_networks;
use crate::peer::Peer;
use crate::people::{PASSWORD, joined};
use crate::support::{TestApp, with_app, with_config};

fn quick(config: &mut Config) {
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
    reach_inner_networks(config);
}

fn as_agent(name: &str, agent: &str, steps: Value) -> Value {
    json!({"name": name, "trigger": {"event": format!("thing:{}", name.replace('-', "_"))},
        "executingAgent": agent, "steps": steps})
}

fn account(id: &str, domain: &str) -> Value {
    json!({"id": id, "activity": "accounts:create-account-platform",
        "input": {"name": "ACME", "primaryDomain": domain}, "retry": {"attempts": 4}})
}

async fn key(app: &TestApp, name: &str, scopes: Value) -> (String, TestApp) {
    let made = app.post("/v1/keys", json!({ "name": name, "scopes": scopes })).await.expect(201);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), app.with_key(&text("key")))
}

async fn run(app: &TestApp, name: &str, payload: Value) -> Value {
    let kind = format!("thing:{}", name.replace('-', "_"));
    let run = app.publish(&kind, payload).await.remove(0);
    app.end_of(&run).await
}

async fn actor_of(app: &TestApp, kind: &str) -> Value {
    let events = app.get(&format!("/v1/events?type={kind}")).await.expect(200);
    events["data"][0]["actor"].clone()
}

#[test]
fn the_events_that_steps_cause_name_their_identity() {
    with_config(quick, |app| async move {
        joined(&app, "ada@example.com", &["operator"]).await;
        let ada = app.get("/v1/people/ada@example.com").await.expect(200)["id"].clone();
        let (bot, _) = key(&app, "bot", json!(["accounts:write"])).await;
        for (name, agent, kind, id) in [
            ("by-mail", "ada@example.com", "USER", ada.as_str().expect("an id")),
            ("by-id", ada.as_str().expect("an id"), "USER", ada.as_str().expect("an id")),
            ("by-key", &bot, "KEY", &bot),
            ("by-key-name", "key:bot", "KEY", &bot),
        ] {
            app.save(as_agent(name, agent, json!([account("make", &format!("{name}.example"))])))
                .await;
            let ended = run(&app, name, json!({})).await;
            assert_eq!(ended["status"], "succeeded", "{ended}");
            let actor = actor_of(&app, "account:created").await;
            assert_eq!((&actor["type"], &actor["id"]), (&json!(kind), &json!(id)), "{name}");
            let events = app.get("/v1/events?type=account:created").await.expect(200);
            assert_eq!(events["data"][0]["cause"]["runId"], ended["id"]);
        }
    });
}

#[test]
fn what_the_identity_may_not_do_is_refused_at_the_saving_with_its_place() {
    with_app(|app| async move {
        let (bot, _) = key(&app, "bot", json!(["tickets:write", "workflows:write"])).await;
        let refused = |answer: crate::support::Answer, pointer: &str, code: &str| {
            let problem = answer.expect(422);
            let errors = problem["errors"].as_array().expect("a list").clone();
            let found = errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code);
            assert!(found, "{pointer} {code}: {problem}");
        };
        let nested = json!([{"id": "all", "parallel": [[{"id": "a", "sleep": "1s"}],
            [account("make", "a.example")]]}]);
        let body = as_agent("nested", &bot, nested);
        refused(
            app.post("/v1/workflows", body.clone()).await,
            "/steps/0/parallel/1/0/activity",
            "unauthorized",
        );
        let checked = app.post("/v1/workflows/validate", body).await.expect(200);
        assert_eq!(checked["valid"], false);
        for agent in ["nobody@example.com", "key:nobody"] {
            let body = as_agent("nobody", agent, json!([account("make", "a.example")]));
            refused(app.post("/v1/workflows", body).await, "/executingAgent", "unknown_identity");
        }
        let thena = json!({"name": "In Thena's words", "triggerEvent": "thing:x",
            "executingAgent": bot, "workflowDefinition": [{"stepIdentifier": 1, "input": {
                "name": "A", "primaryDomain": "a.example"},
                "activity": {"uniqueIdentifier": "accounts:create-account-platform"}}]});
        let problem = app.post("/api/v1/workflows", thena).await.expect(400);
        assert_eq!(
            problem["errors"][0]["path"], "/workflowDefinition/0/activity/uniqueIdentifier",
            "{problem}"
        );
    });
}

#[test]
fn nobody_saves_what_they_may_not_do_themselves() {
    with_config(quick, |app| async move {
        let (_, saver) = key(&app, "saver", json!(["workflows:write", "tickets:write"])).await;
        let plain = |steps: Value| json!({"name": "plain", "trigger": {"event": "thing:plain"}, "steps": steps});
        let body = plain(json!([account("make", "a.example")]));
        let refused = saver.post("/v1/workflows", body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/steps/0/activity");
        assert_eq!(refused["errors"][0]["code"], "unauthorized");
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": "https://api.example.com"}});
        saver.post("/v1/workflows", plain(json!([call]))).await.expect(422);
        let (_, caller) = key(&app, "caller", json!(["workflows:write", "http:write"])).await;
        caller.post("/v1/workflows", plain(json!([call]))).await.expect(201);
        let search = json!({"id": "find", "activity": "tickets:search-tickets-platform",
            "input": {}});
        let body = as_agent("above", "key:bootstrap", json!([search]));
        let refused = saver.post("/v1/workflows", body).await.expect(422);
        assert_eq!(refused["errors"][0]["code"], "identity_above_you", "{refused}");
        let body = as_agent("own", "key:saver", json!([search]));
        saver.post("/v1/workflows", body).await.expect(201);
    });
}

#[test]
fn a_step_is_refused_at_its_moment_and_never_tried_again() {
    with_config(quick, |app| async move {
        let peer = Peer::friendly().await;
        let mut ada = joined(&app, "ada@example.com", &["editor"]).await;
        ada.get("/").await;
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": peer.url}, "retry": {"attempts": 4}});
        let (bot, _) = key(&app, "bot", json!(["accounts:write"])).await;
        for (name, agent, steps) in [
            ("inside", "ada@example.com", json!([account("step", "one.example")])),
            ("outside", "ada@example.com", json!([call])),
            ("key", bot.as_str(), json!([account("step", "two.example")])),
        ] {
            app.save(as_agent(name, agent, steps)).await;
        }
        let refused = |ended: Value, part: &str| {
            assert_eq!(
                (&ended["status"], &ended["error"]["code"]),
                (&json!("failed"), &json!("unauthorized")),
                "{ended}"
            );
            assert_eq!(ended["steps"][0]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
            assert_eq!(ended["steps"][0]["error"]["class"], "terminal", "{ended}");
            let message = ended["error"]["message"].as_str().expect("a message");
            assert!(message.contains(part), "{message}");
        };
        assert_eq!(run(&app, "outside", json!({})).await["status"], "succeeded");
        let path = "/v1/people/ada@example.com";
        app.patch(path, json!({ "roles": ["viewer"] })).await.expect(200);
        refused(run(&app, "inside", json!({})).await, "accounts:write");
        refused(run(&app, "outside", json!({})).await, "http:write");
        app.patch(path, json!({ "roles": ["editor"], "disabled": true })).await.expect(200);
        refused(run(&app, "inside", json!({})).await, "is disabled");
        app.delete(&format!("/v1/keys/{bot}")).await.expect(204);
        refused(run(&app, "key", json!({})).await, "neither a person");
        assert_eq!(peer.received().len(), 1, "nothing left after it was refused");
        let accounts = app.get("/v1/accounts").await.expect(200);
        assert_eq!(accounts["data"], json!([]));
    });
}

#[test]
fn an_identity_that_is_limited_to_a_team_touches_the_tickets_of_no_other() {
    with_config(quick, |app| async move {
        let ours = app.team().await;
        let theirs = app.post("/v1/teams", json!({ "name": "B" })).await.expect(201);
        let theirs = theirs["id"].as_str().expect("an id").to_owned();
        let (mine, other) =
            (app.ticket(&ours, json!({})).await, app.ticket(&theirs, json!({})).await);
        joined(&app, "ada@example.com", &["operator"]).await;
        app.patch("/v1/people/ada@example.com", json!({ "teams": [ours] })).await.expect(200);
        let id = json!("{{ trigger.payload.id }}");
        for (name, activity, input) in [
            ("update", "tickets:update-ticket-platform", json!({"id": id, "title": "Changed"})),
            ("get", "tickets:get-ticket-platform", json!({"id": id})),
            (
                "comment",
                "communications:create-comment-platform",
                json!({"entityType": "ticket", "entityId": id, "content": "hello"}),
            ),
        ] {
            let step = json!([{"id": "step", "activity": activity, "input": input}]);
            app.save(as_agent(name, "ada@example.com", step)).await;
            let ended = run(&app, name, json!({ "id": mine["id"] })).await;
            assert_eq!(ended["status"], "succeeded", "{name}: {ended}");
            let ended = run(&app, name, json!({ "id": other["id"] })).await;
            assert_eq!(ended["error"]["code"], "unauthorized", "{name}: {ended}");
        }
        let search = json!([{"id": "step", "activity": "tickets:search-tickets-platform",
            "input": {}}]);
        app.save(as_agent("search", "ada@example.com", search)).await;
        let ended = run(&app, "search", json!({})).await;
        let text = ended["steps"][0]["output"].to_string();
        assert!(text.contains(mine["id"].as_str().expect("an id")), "{text}");
        assert!(!text.contains(other["id"].as_str().expect("an id")), "{text}");
        let path = format!("/v1/tickets/{}", other["id"].as_str().expect("an id"));
        assert_eq!(app.get(&path).await.expect(200)["title"], other["title"]);
    });
}

#[test]
fn whoever_is_limited_to_teams_sees_their_workflows_and_runs_alone() {
    with_config(quick, |app| async move {
        let ours = app.team().await;
        let theirs = app.post("/v1/teams", json!({ "name": "B" })).await.expect(201);
        let theirs = theirs["id"].as_str().expect("an id").to_owned();
        let nap = json!([{"id": "nap", "sleep": "4h"}]);
        let mut runs = Vec::new();
        for (name, team) in [("ours", json!(ours)), ("theirs", json!(theirs)), ("all", Value::Null)]
        {
            let mut body = json!({"name": name, "trigger": {"event": "thing:happened"},
                "steps": nap});
            if !team.is_null() {
                body["teamId"] = team;
            }
            app.save(body).await;
            let started = app.post(&format!("/v1/workflows/{name}/run"), json!({})).await;
            runs.push(started.expect(202)["id"].as_str().expect("an id").to_owned());
        }
        let mut ada = joined(&app, "ada@example.com", &["editor"]).await;
        app.patch("/v1/people/ada@example.com", json!({ "teams": [ours] })).await.expect(200);
        assert_eq!(ada.sign_in("ada@example.com", PASSWORD, "").await.status, 303);
        let wanted = json!({ "name": "hers", "scopes": ["workflows:write", "runs:write"] });
        let made = ada.call(Method::POST, "/v1/keys", wanted).await;
        // An editor makes no keys, so that her browser stands for them.
        assert_eq!(made.status, 403);
        let names = |list: Value, field: &str| -> Vec<String> {
            let rows = list["data"].as_array().expect("a list").iter();
            rows.map(|row| row[field].as_str().expect("a name").to_owned()).collect()
        };
        let listed = ada.get("/v1/workflows").await.expect(200);
        assert_eq!(names(listed, "name"), ["all", "ours"]);
        let listed = ada.get("/v1/runs").await.expect(200);
        assert_eq!(names(listed, "workflow"), ["all", "ours"]);
        let listed = ada.get("/api/v1/workflows").await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "{listed}");
        ada.get(&format!("/v1/runs/{}", runs[0])).await.expect(200);
        for (method, path) in [
            (Method::GET, format!("/v1/runs/{}", runs[1])),
            (Method::GET, format!("/v1/runs/{}/journal", runs[1])),
            (Method::GET, format!("/api/v1/workflows/{}/tasks", runs[1])),
            (Method::POST, format!("/v1/runs/{}/cancel", runs[1])),
            (Method::GET, "/v1/workflows/theirs".to_owned()),
            (Method::GET, "/v1/workflows/theirs/versions".to_owned()),
            (Method::GET, "/api/v1/workflows/theirs".to_owned()),
            (Method::POST, "/v1/workflows/theirs/disable".to_owned()),
            (Method::POST, "/v1/workflows/theirs/run".to_owned()),
            (Method::DELETE, "/v1/workflows/theirs".to_owned()),
            (Method::GET, "/api/v1/workflows/executions?workflowId=theirs".to_owned()),
        ] {
            let answer = ada.call(method.clone(), &path, json!({})).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
        }
        // Who is limited makes nothing that is not.
        let mut body = json!({"name": "hers", "trigger": {"event": "thing:x"}, "steps": nap});
        let refused = ada.call(Method::POST, "/v1/workflows", body.clone()).await.expect(422);
        assert_eq!(refused["errors"][0]["code"], "identity_needed");
        body["executingAgent"] = json!("ada@example.com");
        body["teamId"] = json!(theirs);
        let refused = ada.call(Method::POST, "/v1/workflows", body.clone()).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/teamId");
        body["teamId"] = json!(ours);
        ada.call(Method::POST, "/v1/workflows", body).await.expect(201);
        assert_eq!(app.get("/v1/workflows/theirs").await.expect(200)["active"], true);
    });
}

//! What programs rely on beside what `api` asks: control of runs, keys, tenants, versions of things.

use reqwest::Method;
use serde_json::{Value, json};

use crate::acceptance::{
    begun, by_hand, echo, ended, failing, reach_inner_networks, stands, step, transform, undone,
};
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, send, with_app, with_config};

fn account(id: &str) -> Value {
    json!({
        "id": id, "activity": "accounts:create-account-platform",
        "input": {"name": id, "primaryDomain": format!("{id}.example")},
    })
}

fn ids(list: &Value, field: &str) -> Vec<String> {
    let all = list["data"].as_array().expect("a list").iter();
    all.map(|one| one[field].as_str().expect("a text").to_owned()).collect()
}

async fn count(app: &TestApp, list: &str) -> usize {
    app.get(&format!("/v1/{list}?limit=200")).await.expect(200)["data"]
        .as_array()
        .map_or(0, Vec::len)
}

#[test]
fn a_cancelled_run_is_undone_unless_told_otherwise() {
    with_app(async |app| {
        app.save(by_hand("w", json!([account("a"), account("b"), {"id": "nap", "sleep": "1h"}])))
            .await;
        let kept = begun(&app, "w", json!({})).await;
        app.until(&kept, "waiting").await;
        let path = format!("/v1/runs/{kept}/cancel");
        app.post(&path, json!({"compensate": false})).await.expect(202);
        let kept = app.end_of(&kept).await;
        assert_eq!((&kept["status"], &kept["compensation"]), (&json!("cancelled"), &json!("none")));
        stands(&kept, "a=succeeded b=succeeded nap=cancelled");
        assert_eq!(count(&app, "accounts").await, 2);
        for id in ids(&app.get("/v1/accounts").await.expect(200), "id") {
            app.delete(&format!("/v1/accounts/{id}")).await.expect(204);
        }
        let gone = begun(&app, "w", json!({})).await;
        app.until(&gone, "waiting").await;
        app.post(&format!("/v1/runs/{gone}/cancel"), json!({})).await.expect(202);
        let gone = app.end_of(&gone).await;
        assert_eq!((&gone["status"], &gone["compensation"]), (&json!("cancelled"), &json!("done")));
        assert_eq!(undone(&gone), ["b", "a"]);
        assert_eq!(count(&app, "accounts").await, 0);
    });
}

#[test]
fn a_call_in_flight_does_not_keep_a_cancelled_run_for_ever() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, _| Reply::Never).await;
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "timeout": "500ms", "retry": {"attempts": 5}, "input": {"url": peer.url}});
        app.save(by_hand("w", json!([account("a"), call, account("b")]))).await;
        let run = begun(&app, "w", json!({})).await;
        peer.until(1).await;
        app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
        let run = app.end_of(&run).await;
        assert_eq!((&run["status"], &run["compensation"]), (&json!("cancelled"), &json!("done")));
        assert_eq!(peer.received().len(), 1, "it is not tried again");
        assert_eq!(count(&app, "accounts").await, 0);
    });
}

#[test]
fn a_failed_run_goes_on_from_the_step_that_failed() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, received| match received.body["right"] == true {
            true => Reply::Status(200, json!({"fine": true})),
            false => Reply::Status(400, json!({})),
        })
        .await;
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "onFailure": "abort", "input": {"url": peer.url, "method": "POST",
                "body": "{{ trigger.payload }}"}});
        app.save(by_hand("w", json!([account("a"), call, account("b")]))).await;
        let run = ended(&app, "w", json!({"right": false})).await;
        stands(&run, "a=succeeded call=failed b=pending");
        assert_eq!(run["canRetry"], true);
        let path = format!("/v1/runs/{}/retry", run["id"].as_str().expect("an id"));
        let problem = app.post(&path, json!({"from": "no-such"})).await;
        assert!(matches!(problem.status, 409 | 422), "{}", problem.text);
        app.post(&path, json!({})).await.expect(202);
        let run = app.end_of(run["id"].as_str().expect("an id")).await;
        assert_eq!(run["status"], "failed", "the same input fails again");
        let input = json!({"url": peer.url, "method": "POST", "body": {"right": true}});
        app.post(&path, json!({"input": input})).await.expect(202);
        let run = app.end_of(run["id"].as_str().expect("an id")).await;
        stands(&run, "a=succeeded call=succeeded b=succeeded");
        assert_eq!(run["status"], "succeeded");
        assert_eq!(count(&app, "accounts").await, 2, "no finished step was done again");
        let keys: Vec<String> = peer
            .received()
            .iter()
            .map(|received| received.header("idempotency-key").to_owned())
            .collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
        let restarted = app.post(&path.replace("/retry", "/restart"), json!({})).await.expect(202);
        assert_ne!(restarted["id"], run["id"]);
        let restarted = app.end_of(restarted["id"].as_str().expect("an id")).await;
        assert_eq!(restarted["trigger"]["payload"], run["trigger"]["payload"]);
    });
}

#[test]
fn the_journal_tells_a_run_in_order() {
    with_app(async |app| {
        app.save(by_hand("w", json!([account("a"), failing("fails")]))).await;
        let run = ended(&app, "w", json!({})).await;
        let path = format!("/v1/runs/{}/journal", run["id"].as_str().expect("an id"));
        let journal = app.get(&path).await.expect(200);
        let entries = journal["data"].as_array().expect("a list");
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entry["number"], index + 1);
            assert!(entry["at"].is_string(), "{entry}");
        }
        let kinds: Vec<&str> =
            entries.iter().map(|it| it["entry"]["type"].as_str().unwrap_or("?")).collect();
        let at = |kind: &str| kinds.iter().position(|found| *found == kind);
        let order = ["created", "stepSucceeded", "stepFailed", "undoSucceeded", "finished"].map(at);
        assert!(order.iter().all(Option::is_some), "{kinds:?}");
        assert!(order.is_sorted(), "{kinds:?}");
    });
}

#[test]
fn concurrency_queues_skips_or_replaces() {
    with_app(async |app| {
        for policy in ["queue", "skip", "cancel-running"] {
            app.save(json!({
                "name": policy,
                "trigger": {"event": format!("{policy}:now")},
                "concurrency": {"key": "{{ trigger.payload.k }}", "limit": 1, "policy": policy},
                "steps": [{"id": "nap", "sleep": "{{ trigger.payload.long }}"}],
            }))
            .await;
        }
        let one = app.publish("queue:now", json!({"k": 1, "long": "250ms"})).await.remove(0);
        let two = app.publish("queue:now", json!({"k": 1, "long": "1ms"})).await.remove(0);
        let other = app.publish("queue:now", json!({"k": 2, "long": "1ms"})).await.remove(0);
        assert_eq!(app.end_of(&other).await["status"], "succeeded", "another key is free");
        let waiting = app.get(&format!("/v1/runs/{two}")).await.expect(200);
        assert_eq!(waiting["status"], "queued", "{waiting:#}");
        assert_eq!(waiting["waitingFor"]["kind"], "concurrency");
        let (one, two) = (app.end_of(&one).await, app.end_of(&two).await);
        assert_eq!((&one["status"], &two["status"]), (&json!("succeeded"), &json!("succeeded")));
        assert!(two["startedAt"].as_str() >= one["endedAt"].as_str());

        let one = app.publish("skip:now", json!({"k": 1, "long": "1h"})).await.remove(0);
        let answer = app.post("/v1/events/skip:now", json!({"k": 1, "long": "1ms"})).await;
        let accepted = answer.expect(202)["accepted"][0].clone();
        assert_eq!(accepted["runs"], json!([]));
        let id = accepted["id"].as_str().expect("an id");
        let explained = app.get(&format!("/v1/events/{id}/explain")).await.expect(200);
        assert_eq!(explained["data"][0]["outcome"], "limited", "{explained:#}");
        app.post(&format!("/v1/runs/{one}/cancel"), json!({})).await.expect(202);
        app.end_of(&one).await;
        assert_eq!(app.publish("skip:now", json!({"k": 1, "long": "1ms"})).await.len(), 1);

        let one = app.publish("cancel-running:now", json!({"k": 1, "long": "1h"})).await.remove(0);
        app.until(&one, "waiting").await;
        let two = app.publish("cancel-running:now", json!({"k": 1, "long": "1ms"})).await.remove(0);
        assert_eq!(app.end_of(&one).await["status"], "cancelled");
        assert_eq!(app.end_of(&two).await["status"], "succeeded");
    });
}

#[test]
fn a_dry_run_answers_the_difference_and_saves_nothing() {
    with_app(async |app| {
        let body = |shown: &str| echo("w", "order:placed", json!({}), json!(shown));
        let plan = app.put("/v1/workflows/w?dryRun=true", body("one")).await.expect(200);
        assert_eq!((&plan["action"], &plan["toVersion"]), (&json!("create"), &json!(1)));
        app.get("/v1/workflows/w").await.expect(404);
        app.put("/v1/workflows/w", body("one")).await.expect(201);
        let plan = app.put("/v1/workflows/w?dryRun=true", body("one")).await.expect(200);
        assert_eq!((&plan["action"], &plan["diff"]), (&json!("none"), &json!([])));
        let plan = app.put("/v1/workflows/w?dryRun=true", body("two")).await.expect(200);
        assert_eq!((&plan["action"], &plan["toVersion"]), (&json!("update"), &json!(2)));
        assert_eq!(plan["diff"].as_array().map(Vec::len), Some(1), "{plan:#}");
        assert!(plan["diff"][0].to_string().contains("two"), "{plan:#}");
        let same = app.put("/v1/workflows/w", body("one")).await.expect(200);
        assert_eq!(same["version"], 1, "what is the same makes no version");
        app.put("/v1/workflows/other", body("one")).await.refused(422, "invalid");
        app.post("/v1/workflows", body("one")).await.refused(409, "workflow_exists");
    });
}

#[test]
fn yaml_is_kept_as_it_was_written() {
    with_app(async |app| {
        let text = "# Why it is so.\nname: w\ntrigger: manual\nsteps:\n  - id: nap # short\n    sleep: 1ms\n";
        let request = app.request(Method::POST, "/v1/workflows");
        let request = request.header("content-type", "application/yaml").body(text);
        send(request).await.expect(201);
        let kept = app.get("/v1/workflows/w?format=yaml").await;
        assert_eq!(kept.header("content-type"), Some("application/yaml"));
        assert_eq!(kept.text, text);
        assert_eq!(ended(&app, "w", json!({})).await["status"], "succeeded");
        let definition = app.get("/v1/workflows/w").await.expect(200)["definition"].clone();
        let verdict = app.post("/v1/workflows/validate", definition.clone()).await.expect(200);
        assert_eq!((&verdict["valid"], &verdict["definition"]), (&json!(true), &definition));
        for bad in ["name: w\nname: w\n", "name: [\n", "\tname: w\n", "- just\n- a list\n"] {
            let request = app.request(Method::POST, "/v1/workflows");
            let answer = send(request.header("content-type", "application/yaml").body(bad)).await;
            assert!(matches!(answer.status, 400 | 422), "{bad}: {}", answer.text);
        }
    });
}

#[test]
fn a_workflow_runs_by_hand_on_a_payload_an_event_and_a_version() {
    with_app(async |app| {
        app.save(echo(
            "w",
            "order:placed",
            json!({"n": {"~gt": 5}}),
            json!("{{ trigger.payload.n }}"),
        ))
        .await;
        let run = ended(&app, "w", json!({"n": 1})).await;
        assert_eq!(step(&run, "show")["output"], 1, "by hand the filter is not asked");
        let sent = app.post("/v1/events/order:placed?id=e1", json!({"n": 3})).await.expect(202);
        assert_eq!(sent["accepted"][0]["runs"], json!([]));
        let run = app.post("/v1/workflows/w/run", json!({"event": "e1"})).await.expect(202);
        let run = app.end_of(run["id"].as_str().expect("an id")).await;
        assert_eq!(step(&run, "show")["output"], 3);
        let again = echo("w", "order:placed", json!({}), json!("new"));
        app.put("/v1/workflows/w", again).await.expect(200);
        let body = json!({"payload": {"n": 9}, "version": 1});
        let run = app.post("/v1/workflows/w/run", body).await.expect(202);
        let run = app.end_of(run["id"].as_str().expect("an id")).await;
        assert_eq!((&run["version"], &step(&run, "show")["output"]), (&json!(1), &json!(9)));
        app.post("/v1/workflows/w/run", json!({"version": 7})).await.expect(404);
        app.post("/v1/workflows/none/run", json!({})).await.refused(404, "workflow_not_found");
        app.post("/v1/workflows/w/run", json!({"event": "none"})).await.expect(404);
        app.post("/v1/workflows/w/run", json!({"paylod": {}})).await.refused(422, "invalid");
    });
}

#[test]
fn replaying_starts_what_matches_now_or_what_is_named() {
    with_app(async |app| {
        app.publish("order:placed", json!({"n": 1})).await;
        app.save(echo("later", "order:placed", json!({}), json!(1))).await;
        app.save(echo("picky", "order:placed", json!({"n": {"~gt": 5}}), json!(1))).await;
        let id = ids(&app.get("/v1/events").await.expect(200), "id").remove(0);
        let explained = app.get(&format!("/v1/events/{id}/explain")).await.expect(200);
        let outcomes: Vec<&Value> =
            explained["data"].as_array().expect("a list").iter().map(|it| &it["outcome"]).collect();
        assert_eq!(outcomes, ["newer", "newer"], "{explained:#}");
        let path = format!("/v1/events/{id}/replay");
        let replayed = app.post(&path, json!({})).await.expect(202);
        assert_eq!(replayed["accepted"][0]["runs"].as_array().map(Vec::len), Some(1));
        let named = app.post(&path, json!({"workflow": "picky"})).await.expect(202);
        let run = named["accepted"][0]["runs"][0].as_str().expect("a run").to_owned();
        assert_eq!(app.end_of(&run).await["workflow"], "picky");
        app.post(&path, json!({"workflow": "none"})).await.refused(404, "workflow_not_found");
        app.post("/v1/events/none/replay", json!({})).await.refused(404, "event_not_found");
    });
}

#[test]
fn an_explanation_shows_each_condition_with_what_was_wanted_and_what_was_there() {
    with_app(async |app| {
        let filter = json!({"~and": [{"ticket.priority": {"~in": ["high", "urgent"]}},
            {"~or": [{"ticket.vip": {"~eq": true}}, {"ticket.age": {"~gt": 3}}]}]});
        app.save(echo("w", "order:placed", filter, json!(1))).await;
        let payload = json!({"ticket": {"priority": "low", "age": 9}});
        let answer = app.post("/v1/events/order:placed", payload).await.expect(202);
        let id = answer["accepted"][0]["id"].as_str().expect("an id");
        let explained = app.get(&format!("/v1/events/{id}/explain")).await.expect(200);
        let one = &explained["data"][0];
        assert_eq!((&one["workflow"], &one["version"]), (&json!("w"), &json!(1)));
        assert_eq!((&one["outcome"], &one["runId"]), (&json!("filtered"), &Value::Null));
        let mut leaves = Vec::new();
        collect(&one["trace"], &mut leaves);
        assert_eq!(leaves.len(), 3, "{one:#}");
        for leaf in &leaves {
            for name in ["op", "path", "expected", "actual", "result", "reason"] {
                assert!(leaf.get(name).is_some(), "{name} of {leaf}");
            }
        }
        assert_eq!(leaves[0]["actual"], "low");
        assert_eq!(leaves[0]["expected"], json!(["high", "urgent"]));
        assert_eq!((&leaves[0]["result"], &leaves[2]["result"]), (&json!(false), &json!(true)));
        app.get("/v1/events/none/explain").await.refused(404, "event_not_found");
    });
}

fn collect<'a>(trace: &'a Value, leaves: &mut Vec<&'a Value>) {
    match trace["children"].as_array() {
        Some(children) => children.iter().for_each(|child| collect(child, leaves)),
        None => leaves.push(trace),
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the end of a key is an instant of this machine")]
fn keys_end_when_told_and_reach_no_other_tenant() {
    with_app(async |app| {
        let past = json!({"name": "k", "scopes": ["*"], "expiresAt": "2020-01-01T00:00:00Z"});
        let problem = app.post("/v1/keys", past).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/expiresAt");
        let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(600);
        let body =
            json!({"name": "short", "scopes": ["runs:read"], "expiresAt": soon.to_rfc3339()});
        let made = app.post("/v1/keys", body).await.expect(201);
        let short = app.with_key(made["key"].as_str().expect("a key"));
        short.get("/v1/runs").await.expect(200);
        let mut tries = 0;
        while short.get("/v1/runs").await.status != 401 {
            tries += 1;
            assert!(chrono::Utc::now() < soon + chrono::TimeDelta::seconds(10), "{tries} tries");
        }
        // A key ends to the millisecond.
        let early = soon.timestamp_millis() - chrono::Utc::now().timestamp_millis();
        assert!(early <= 0, "{early} ms before its time");
        let unknown = json!({"name": "k", "scopes": ["rnus:read"]});
        let problem = app.post("/v1/keys", unknown).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/scopes/0");
        app.post("/v1/tenants", json!({"slug": "wayne"})).await.expect(201);
        let named = |key: &str, tenant: &str| {
            let request = app.client.get(format!("{}/v1/runs", app.base));
            send(request.header("x-api-key", key).header("x-tenant", tenant))
        };
        named(&app.key, "wayne").await.expect(200);
        named(&app.key, "none").await.expect(404);
        let reader = json!({"name": "reader", "scopes": ["runs:read"]});
        let reader = app.post("/v1/keys", reader).await.expect(201);
        let answer = named(reader["key"].as_str().expect("a key"), "wayne").await;
        assert!(matches!(answer.status, 403 | 404), "{}", answer.text);
        app.post("/v1/tenants", json!({"slug": "wayne"})).await.refused(409, "tenant_exists");
    });
}

#[test]
fn a_change_meant_for_another_version_of_a_record_is_refused() {
    with_app(async |app| {
        let made =
            app.post("/v1/accounts", json!({"name": "W", "primaryDomain": "w.example"})).await;
        let tag = made.header("etag").expect("a tag").to_owned();
        let path = format!("/v1/accounts/{}", made.body["id"].as_str().expect("an id"));
        let meant = |method: Method, tag: &str, body: Value| {
            send(app.request(method, &path).header("if-match", tag).json(&body))
        };
        let changed = meant(Method::PATCH, &tag, json!({"name": "X"})).await;
        let newer = changed.header("etag").expect("a tag").to_owned();
        changed.expect(200);
        assert_ne!(newer, tag);
        let stale = meant(Method::PATCH, &tag, json!({"name": "Y"})).await;
        assert_eq!(stale.header("etag"), Some(newer.as_str()));
        stale.refused(412, "stale");
        meant(Method::DELETE, &tag, json!({})).await.refused(412, "stale");
        let known = app.request(Method::GET, &path).header("if-none-match", &newer);
        assert_eq!(send(known).await.status, 304);
        assert_eq!(app.get(&path).await.expect(200)["name"], "X");
        meant(Method::DELETE, "*", json!({})).await.expect(204);
    });
}

#[test]
fn an_event_starts_every_workflow_that_matches_and_each_once() {
    with_app(async |app| {
        for number in 0..30 {
            let filter = json!({"n": {"~gte": number}});
            app.save(echo(&format!("w{number}"), "order:placed", filter, json!(number))).await;
        }
        let runs = app.publish("order:placed", json!({"n": 19})).await;
        assert_eq!(runs.len(), 20);
        for run in &runs {
            assert_eq!(app.end_of(run).await["status"], "succeeded");
        }
        assert_eq!(count(&app, "runs").await, 20);
        let matched = app.get("/v1/events?matched=true").await.expect(200);
        assert_eq!(ids(&matched, "id").len(), 1);
    });
}

#[test]
fn a_broken_step_stops_its_own_run_alone() {
    with_app(async |app| {
        let huge = "{{ trigger.payload.text * 100000000 }}";
        let bad = by_hand("bad", json!([transform("it", json!("{{ trigger.payload.x.y.z }}"))]));
        app.save(bad).await;
        let endless = by_hand(
            "endless",
            json!([transform("it", json!("{% for i in range(100000000) %}x{% endfor %}"))]),
        );
        let endless = app.post("/v1/workflows", endless).await;
        assert!(matches!(endless.status, 201 | 422), "{}", endless.text);
        let swollen =
            app.post("/v1/workflows", by_hand("swollen", json!([transform("it", json!(huge))])));
        let swollen = swollen.await;
        assert!(matches!(swollen.status, 201 | 422), "{}", swollen.text);
        app.save(by_hand("good", json!([transform("it", json!(1))]))).await;
        for name in ["bad", "endless", "swollen"] {
            if app.get(&format!("/v1/workflows/{name}")).await.status == 200 {
                let run = ended(&app, name, json!({"text": "x".repeat(1_000)})).await;
                if name != "endless" {
                    assert_eq!(run["status"], "failed", "{name}: {}", run["steps"][0]["error"]);
                    assert!(run["error"]["message"].is_string());
                }
            }
            assert_eq!(ended(&app, "good", json!({})).await["status"], "succeeded");
        }
    });
}

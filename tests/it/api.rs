//! The API as programs meet it: what it takes, what it refuses, and in which words.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, send, with_app, with_config};

fn napping(name: &str, filter: Value) -> Value {
    json!({
        "name": name,
        "trigger": {"event": "deal:won", "filter": filter},
        "steps": [{"id": "nap", "sleep": "10ms"}],
    })
}

fn cloud_event(id: &str, amount: u64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/crm", "type": "deal:won",
        "data": {"amount": amount},
    })
}

async fn send_as(app: &TestApp, content_type: &str, path: &str, body: impl ToString) -> Answer {
    let request = app.request(Method::POST, path).header("content-type", content_type);
    send(request.body(body.to_string())).await
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list["data"].as_array().expect("a list").iter();
    items.map(|item| item[field].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn cloud_events_come_in_three_modes_and_repeats_are_recognised() {
    with_app(|app| async move {
        app.save(napping("nap", json!({}))).await;
        let first =
            send_as(&app, "application/cloudevents+json", "/v1/events", cloud_event("1", 5));
        let first = first.await.expect(202);
        assert_eq!(first["accepted"][0]["id"], "1");
        assert_eq!(first["accepted"][0]["duplicate"], false);
        let runs = first["accepted"][0]["runs"].clone();
        assert_eq!(runs.as_array().map(Vec::len), Some(1));
        let binary = app
            .request(Method::POST, "/v1/events")
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "/crm")
            .header("ce-type", "deal.won")
            .json(&json!({"amount": 5}));
        let again = send(binary).await.expect(202);
        assert_eq!(again["accepted"][0], json!({"id": "1", "duplicate": true, "runs": runs}));
        let batch =
            json!([cloud_event("2", 1), {"specversion": "1.0", "id": "3"}, cloud_event("2", 1)]);
        let batch = send_as(&app, "application/cloudevents-batch+json", "/v1/events", batch).await;
        let batch = batch.expect(202);
        assert_eq!(batch["accepted"].as_array().map(Vec::len), Some(2));
        assert_eq!(batch["accepted"][1]["duplicate"], true);
        assert_eq!(batch["rejected"][0]["index"], 1);
        assert_eq!(batch["rejected"][0]["problem"]["errors"].as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn bad_events_are_refused_with_where_and_why() {
    with_app(|app| async move {
        let schema = json!({"type": "object", "required": ["amount"],
            "properties": {"amount": {"type": "number"}}});
        let registration = json!({"type": "deal:won", "name": "Deal won", "schema": schema});
        app.post("/v1/event-types", registration.clone()).await.expect(201);
        app.post("/v1/event-types", registration).await.expect(201);
        let broken = json!({"type": "x:y", "schema": {"type": 5}});
        app.post("/v1/event-types", broken).await.refused(422, "invalid");
        let wrong = app.post("/v1/events/deal:won", json!({"amount": "much"})).await;
        assert_eq!(wrong.refused(422, "invalid")["errors"][0]["pointer"], "/data/amount");
        let wrong = app.post("/v1/events", cloud_event("", 1)).await.refused(422, "invalid");
        assert_eq!(wrong["errors"][0]["pointer"], "/id");
        let large = json!({"amount": 1, "text": "x".repeat(300 << 10)});
        let large = app.post("/v1/events/deal:won", large).await.refused(413, "too_large");
        assert_eq!(large["limit"], 256 << 10);
        let huge = app.post("/v1/events/deal:won", json!("x".repeat(2 << 20))).await;
        assert_eq!(huge.refused(413, "too_large")["limit"], 1 << 20);
        let many: Vec<Value> = (0..1_001).map(|id| cloud_event(&id.to_string(), 1)).collect();
        app.post("/v1/events", json!(many)).await.refused(413, "too_large");
        let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
        let deep = send_as(&app, "application/json", "/v1/events/a:b", deep).await;
        deep.refused(400, "json_too_deep");
        let text = send_as(&app, "application/json", "/v1/events/a:b", "{\n \"a\": tru }").await;
        let text = text.refused(400, "invalid_json");
        assert_eq!((&text["line"], &text["errors"][0]["pointer"]), (&json!(2), &json!("/a")));
        let form = send_as(&app, "application/x-www-form-urlencoded", "/v1/events", "a=b").await;
        form.refused(415, "unsupported_media_type");
    });
}

#[test]
fn an_event_is_explained_and_replayed() {
    with_app(|app| async move {
        app.save(napping("large", json!({"amount": {"~gt": 100}}))).await;
        app.save(napping("small", json!({"amount": {"~lte": 100}}))).await;
        app.save(napping("off", json!({}))).await;
        app.post("/v1/workflows/off/disable", json!({})).await.expect(200);
        let sent = app.post("/v1/events/deal:won?id=d%2F1", json!({"amount": 7})).await.expect(202);
        assert_eq!(sent["accepted"][0]["id"], "d/1");
        app.save(napping("later", json!({}))).await;
        let explained = app.get("/v1/events/d%2F1/explain").await.expect(200);
        let outcomes: Vec<_> =
            texts(&explained, "workflow").into_iter().zip(texts(&explained, "outcome")).collect();
        let expected =
            [("large", "filtered"), ("later", "newer"), ("off", "inactive"), ("small", "started")];
        assert_eq!(outcomes, expected.map(|(name, outcome)| (name.to_owned(), outcome.to_owned())));
        let leaf = &explained["data"][0]["trace"]["children"][0];
        let leaf = if leaf.is_null() { &explained["data"][0]["trace"] } else { leaf };
        assert_eq!(
            (&leaf["op"], &leaf["expected"], &leaf["actual"], &leaf["result"]),
            (&json!("~gt"), &json!(100), &json!(7), &json!(false))
        );
        assert_eq!(explained["data"][3]["runId"], sent["accepted"][0]["runs"][0]);
        let replayed = app.post("/v1/events/d%2F1/replay", json!({})).await.expect(202);
        assert_eq!(replayed["accepted"][0]["runs"].as_array().map(Vec::len), Some(2));
        let one =
            app.post("/v1/events/d%2F1/replay", json!({"workflow": "large"})).await.expect(202);
        assert_eq!(one["accepted"][0]["runs"].as_array().map(Vec::len), Some(1));
        let event = one["accepted"][0]["id"].as_str().expect("an id");
        let event = app.get(&format!("/v1/events/{event}")).await.expect(200);
        assert_eq!(event["metadata"]["replayOf"], "d/1");
        app.get("/v1/events/none/explain").await.refused(404, "event_not_found");
    });
}

#[test]
fn events_are_listed_in_pages_that_join() {
    with_app(|app| async move {
        app.save(napping("nap", json!({"amount": {"~gt": 2}}))).await;
        for amount in 0..5 {
            app.post("/v1/events/deal:won", json!({"amount": amount})).await.expect(202);
        }
        app.post("/v1/events/other:kind", json!({})).await.expect(202);
        let (mut seen, mut cursor) = (HashSet::new(), String::new());
        for _ in 0..3 {
            let path = format!("/v1/events?type=deal:won&limit=2&cursor={cursor}");
            let page = app.get(&path).await.expect(200);
            seen.extend(texts(&page, "id"));
            cursor = page["nextCursor"].as_str().unwrap_or("").to_owned();
            assert!(texts(&page, "type").iter().all(|kind| kind == "deal:won"));
        }
        assert_eq!((seen.len(), cursor.as_str()), (5, ""));
        let matched = app.get("/v1/events?matched=true&since=1h").await.expect(200);
        assert_eq!(matched["data"].as_array().map(Vec::len), Some(2));
        let first = app.get("/v1/events?limit=1").await.expect(200);
        let cursor = first["nextCursor"].as_str().expect("more");
        let other = app.get(&format!("/v1/events?type=x&cursor={cursor}")).await;
        other.refused(400, "cursor_mismatch");
        app.get("/v1/events?limit=201").await.refused(400, "invalid_parameter");
        let typo = app.get("/v1/events?typ=x").await.refused(400, "invalid_parameter");
        assert!(typo["detail"].as_str().expect("a text").contains("`type`"));
    });
}

#[test]
fn filters_are_tried_on_given_and_on_past_events() {
    with_app(|app| async move {
        for amount in 0..4 {
            app.post("/v1/events/deal:won", json!({"amount": amount})).await.expect(202);
        }
        let filter = json!({"amount": {"~gte": 2}});
        let given =
            json!({"filter": filter, "event": {"type": "deal:won", "payload": {"amount": 9}}});
        let given = app.post("/v1/filters/test", given).await.expect(200);
        assert_eq!(given["matches"], true);
        let past = json!({"filter": filter, "type": "deal:won", "last": 3});
        let past = app.post("/v1/filters/test", past).await.expect(200);
        assert_eq!((&past["matched"], &past["total"]), (&json!(2), &json!(3)));
        let wrong = json!({"filter": {"amount": {"~startz": 1}}, "event": {"type": "a:b"}});
        let wrong = app.post("/v1/filters/test", wrong).await.refused(422, "invalid");
        assert!(wrong["errors"][0]["pointer"].as_str().expect("a pointer").starts_with("/filter/"));
        app.post("/v1/filters/test", json!({"filter": {}})).await.refused(422, "invalid");
        let operators = app.get("/v1/filter-operators").await.expect(200);
        assert!(texts(&operators, "name").contains(&"~eq".to_owned()));
    });
}

#[test]
fn a_workflow_is_saved_in_versions() {
    with_app(|app| async move {
        let created = app.post("/v1/workflows", napping("nap", json!({}))).await;
        let tag = created.header("etag").expect("a tag").to_owned();
        assert_eq!(created.header("location"), Some("/v1/workflows/nap"));
        let created = created.expect(201);
        assert_eq!((&created["version"], &created["active"]), (&json!(1), &json!(true)));
        app.post("/v1/workflows", napping("nap", json!({}))).await.refused(409, "workflow_exists");
        let changed = napping("nap", json!({"amount": {"~gt": 1}}));
        let plan = app.put("/v1/workflows/nap?dryRun=true", changed.clone()).await.expect(200);
        assert_eq!((&plan["action"], &plan["toVersion"]), (&json!("update"), &json!(2)));
        assert_eq!(plan["diff"][0]["pointer"], "/trigger/filter");
        let same = app.put("/v1/workflows/nap", napping("nap", json!({}))).await.expect(200);
        assert_eq!(same["version"], 1);
        let stale = app.request(Method::PUT, "/v1/workflows/nap").header("if-match", "\"9\"");
        send(stale.json(&changed)).await.refused(412, "stale");
        let fresh = app.request(Method::PUT, "/v1/workflows/nap").header("if-match", &tag);
        assert_eq!(send(fresh.json(&changed)).await.expect(200)["version"], 2);
        let draft =
            app.put("/v1/workflows/nap?draft=true", napping("nap", json!({"a": {"~eq": 1}})));
        assert_eq!(draft.await.expect(200)["version"], 3);
        let active = app.get("/v1/workflows/nap").await.expect(200);
        assert_eq!(active["version"], 2);
        let versions = app.get("/v1/workflows/nap/versions").await.expect(200);
        assert_eq!(versions["data"].as_array().map(Vec::len), Some(3));
        let old = app.get("/v1/workflows/nap?version=1").await.expect(200);
        assert_eq!(old["definition"]["trigger"], json!({"event": "deal:won"}));
        app.post("/v1/workflows/nap/enable?version=3", json!({})).await.expect(200);
        assert_eq!(app.get("/v1/workflows/nap").await.expect(200)["version"], 3);
        app.delete("/v1/workflows/nap").await.expect(204);
        app.get("/v1/workflows/nap").await.refused(404, "workflow_not_found");
        assert!(app.publish("deal:won", json!({"a": 1})).await.is_empty());
        let again = app.post("/v1/workflows", napping("nap", json!({}))).await.expect(201);
        assert_eq!(again["active"], true);
    });
}

#[test]
fn a_definition_is_checked_whole() {
    with_app(|app| async move {
        let wrong = json!({
            "name": "Bad Name",
            "trigger": {"event": "ticket:craeted", "filter": {"a": {"~startz": 1}}},
            "steps": [{"id": "a", "activity": "tickets:nothing-platform", "input": {}}],
        });
        let verdict = app.post("/v1/workflows/validate", wrong.clone()).await.expect(200);
        assert_eq!(verdict["valid"], false);
        let pointers: Vec<_> = verdict["problems"]
            .as_array()
            .expect("problems")
            .iter()
            .map(|problem| problem["pointer"].as_str().unwrap_or("").to_owned())
            .collect();
        for pointer in ["/name", "/trigger/event", "/steps/0/activity"] {
            assert!(pointers.contains(&pointer.to_owned()), "{pointer}: {pointers:?}");
        }
        let refused = app.post("/v1/workflows", wrong).await.refused(422, "invalid");
        assert_eq!(refused["errors"].as_array().map(Vec::len), Some(pointers.len()));
        let yaml =
            "# rests\nname: nap\ntrigger: {event: 'deal:won'}\nsteps:\n  - {id: nap, sleep: 1s}\n";
        let saved = send_as(&app, "application/yaml", "/v1/workflows", yaml).await.expect(201);
        assert_eq!(saved["name"], "nap");
        assert!(app.get("/v1/workflows/nap?format=yaml").await.text.starts_with("# rests"));
        let broken = send_as(&app, "application/yaml", "/v1/workflows", "a: [1").await;
        broken.refused(400, "invalid_yaml");
        let broken = send_as(&app, "application/yaml", "/v1/workflows/validate", "a: [1").await;
        assert_eq!(broken.expect(200)["valid"], false);
        let other = app.put("/v1/workflows/other", napping("nap", json!({}))).await;
        assert_eq!(other.refused(422, "invalid")["errors"][0]["pointer"], "/name");
        let thena = app.get("/v1/workflows/nap?format=thena").await.expect(200);
        assert_eq!(thena["workflowDefinition"][0]["isSleepActivity"], true);
    });
}

#[test]
fn a_failed_run_shows_what_it_undid_and_can_be_retried() {
    with_app(|app| async move {
        let team = app.team().await;
        app.save(json!({
            "name": "open-and-comment",
            "trigger": {"event": "deal:won"},
            "steps": [
                {"id": "open", "activity": "tickets:create-ticket-platform", "input": {
                    "title": "Deal {{ trigger.payload.id }}", "requestorEmail": "a@b.example",
                    "teamId": team,
                }},
                {"id": "comment", "activity": "communications:create-comment-platform",
                    "retry": {"attempts": 1},
                    "input": {"entityId": "{{ trigger.payload.on }}", "content": "Won"}},
            ],
        }))
        .await;
        let other = app.ticket(&team, json!({"title": "Other"})).await;
        let run = app.publish("deal:won", json!({"id": 7, "on": "nothing"})).await.remove(0);
        let failed = app.end_of(&run).await;
        assert_eq!(
            (&failed["status"], &failed["compensation"]),
            (&json!("failed"), &json!("done"))
        );
        assert_eq!(failed["error"]["step"], "comment");
        assert_eq!(failed["canRetry"], true);
        let (open, comment) = (&failed["steps"][0], &failed["steps"][1]);
        assert_eq!((&open["status"], &open["compensation"]), (&json!("succeeded"), &json!("done")));
        assert_eq!(open["input"]["title"], "Deal 7");
        assert_eq!(comment["attempts"][0]["outcome"], "failed");
        assert_eq!(failed["compensations"][0]["step"], "open");
        assert_eq!(texts(&app.get("/v1/tickets").await.expect(200), "title"), ["Other"]);
        let input = json!({"entityId": other["id"], "content": "Won"});
        let late = json!({"from": "comment", "input": input});
        let late = app.post(&format!("/v1/runs/{run}/retry"), late).await.refused(422, "invalid");
        assert_eq!(late["errors"][0]["pointer"], "/from");
        let dashboard = app.get("/v1/runs?status=failed&q=comment").await.expect(200);
        assert_eq!(dashboard["data"].as_array().map(Vec::len), Some(1));
        let retried = app.post(&format!("/v1/runs/{run}/retry"), json!({})).await.expect(202);
        assert_eq!(retried["id"], run.as_str());
        let again = app.end_of(&run).await;
        assert_eq!(again["steps"][0]["attempts"].as_array().map(Vec::len), Some(2));
        let tried = json!({"mode": "mock", "failAt": "comment", "payload": {"id": 1, "on": "x"}});
        let tried = app.post("/v1/workflows/open-and-comment/test", tried).await.expect(200);
        assert_eq!(tried["run"]["compensations"][0]["step"], "open");
    });
}

#[test]
fn a_workflow_is_tried_without_any_effect() {
    with_app(|app| async move {
        let mut long = napping("nap", json!({"amount": {"~gt": 5}}));
        long["steps"][0]["sleep"] = json!("30d");
        app.save(long).await;
        let tried = app.post("/v1/workflows/nap/test", json!({"payload": {"amount": 7}})).await;
        let tried = tried.expect(200);
        assert_eq!((&tried["matches"], &tried["problems"]), (&json!(true), &json!([])));
        assert_eq!(tried["run"]["status"], "succeeded");
        let other = app.post("/v1/workflows/nap/test", json!({"payload": {"amount": 3}})).await;
        assert_eq!(other.expect(200)["matches"], false);
        let typo = json!({"mode": "mock", "failAt": "napp"});
        let typo = app.post("/v1/workflows/nap/test", typo).await.refused(422, "invalid");
        assert_eq!(typo["errors"][0]["pointer"], "/failAt");
        assert_eq!(app.get("/v1/runs").await.expect(200)["data"], json!([]));
        assert_eq!(app.get("/v1/events").await.expect(200)["data"], json!([]));
        assert_eq!(app.get("/v1/system/info").await.expect(200)["status"], "ready");
    });
}

#[test]
fn runs_are_listed_waited_for_and_stopped() {
    with_app(|app| async move {
        app.save(napping("nap", json!({}))).await;
        let mut long = napping("long", json!({"long": {"~eq": true}}));
        long["steps"][0]["sleep"] = json!("1h");
        app.save(long).await;
        let runs = app.publish("deal:won", json!({"long": true})).await;
        assert_eq!(runs.len(), 2);
        let listed = app.get("/v1/runs?status=waiting").await.expect(200);
        let sleeping = listed["data"]
            .as_array()
            .and_then(|data| data.iter().find(|run| run["workflow"] == "long"));
        let sleeping = sleeping.expect("it sleeps")["id"].as_str().expect("an id").to_owned();
        let short = runs.iter().find(|id| **id != sleeping).expect("the other");
        let ended = app.end_of(short).await;
        assert_eq!(
            (&ended["status"], &ended["steps"][0]["status"]),
            (&json!("succeeded"), &json!("succeeded"))
        );
        let waiting = app.until(&sleeping, "waiting").await;
        assert_eq!(waiting["waitingFor"]["kind"], "sleep");
        assert!(waiting["waitingFor"]["until"].is_string());
        let journal = app.get(&format!("/v1/runs/{short}/journal")).await.expect(200);
        assert_eq!(journal["data"][0]["number"], 1);
        assert_eq!(journal["data"][0]["entry"]["type"], "created");
        for (query, count) in [
            ("workflow=nap", 1),
            ("status=succeeded,waiting", 2),
            ("event=deal:won", 2),
            ("event=none", 0),
            ("q=LONG", 1),
            ("since=1h&until=1h", 0),
        ] {
            let listed = app.get(&format!("/v1/runs?{query}")).await.expect(200);
            assert_eq!(listed["data"].as_array().map(Vec::len), Some(count), "{query}");
        }
        app.get("/v1/runs?status=succeded").await.refused(400, "invalid_parameter");
        app.get("/v1/runs/run_1").await.refused(404, "run_not_found");
        let stopped = app.post(&format!("/v1/runs/{sleeping}/cancel"), json!({})).await.expect(202);
        assert_eq!(stopped["status"], "cancelled");
        app.post(&format!("/v1/runs/{sleeping}/cancel"), json!({})).await.refused(409, "run_ended");
        let retried = app.post(&format!("/v1/runs/{sleeping}/retry"), json!({})).await.expect(202);
        assert_eq!(retried["id"], sleeping.as_str());
        app.until(&sleeping, "waiting").await;
        app.post(&format!("/v1/runs/{short}/retry"), json!({})).await.refused(409, "not_retryable");
        let again = app.post(&format!("/v1/runs/{short}/restart"), json!({})).await.expect(202);
        assert_ne!(again["id"], short.as_str());
        let by_hand = app.post("/v1/workflows/nap/run", json!({"payload": {"by": "hand"}})).await;
        let by_hand = by_hand.expect(202);
        let id = by_hand["id"].as_str().expect("an id");
        assert_eq!(app.end_of(id).await["trigger"]["payload"]["by"], "hand");
    });
}

#[test]
fn records_change_by_merge_and_say_which_version_they_are() {
    with_app(|app| async move {
        let team = app.team().await;
        let missing = app.post("/v1/tickets", json!({"titel": "x"})).await.refused(422, "invalid");
        let pointers: Vec<_> = missing["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| error["pointer"].as_str().unwrap_or("").to_owned())
            .collect();
        for pointer in ["/title", "/requestorEmail", "/teamId", "/titel"] {
            assert!(pointers.contains(&pointer.to_owned()), "{pointer}: {pointers:?}");
        }
        let ticket = app.ticket(&team, json!({"description": "smoke"})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        let shown = app.get(&path).await;
        let tag = shown.header("etag").expect("a tag").to_owned();
        let known = app.request(Method::GET, &path).header("if-none-match", &tag);
        assert_eq!(send(known).await.status, 304);
        let patch = |tag: &str| {
            let request = app.request(Method::PATCH, &path).header("if-match", tag);
            request.json(&json!({"priorityName": "urgent", "description": null}))
        };
        send(patch("\"0\"")).await.refused(412, "stale");
        let changed = send(patch(&tag)).await;
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
        let changed = changed.expect(200);
        assert!(
            changed["priorityName"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("urgent"))
        );
        assert_eq!((&changed["description"], &changed["title"]), (&Value::Null, &ticket["title"]));
        let events = app.get("/v1/events?type=ticket:*").await.expect(200);
        let kinds = texts(&events, "type");
        assert!(
            kinds.contains(&"ticket:updated".to_owned())
                && kinds.contains(&"ticket:created".to_owned())
        );
        let dotted = app.get("/v1/events?type=ticket.*").await.expect(200);
        assert_eq!(texts(&dotted, "id"), texts(&events, "id"));
        for (action, field, value) in [
            ("escalate", "isEscalated", true),
            ("archive", "isArchived", true),
            ("unarchive", "isArchived", false),
        ] {
            let acted = app.post(&format!("{path}/{action}"), json!({})).await.expect(200);
            assert_eq!(acted[field], value, "{action}");
        }
        app.post(&format!("{path}/assign"), json!({"assignedAgentId": "nobody"}))
            .await
            .refused(422, "invalid");
        let listed = app.get("/v1/tickets?priority=urgent&archived=false").await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn comments_become_conversations() {
    with_app(|app| async move {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let path = format!("/v1/tickets/{}/comments", ticket["id"].as_str().expect("an id"));
        let first = app.post(&path, json!({"content": "Did you try water?"})).await.expect(201);
        let reply = json!({"content": "Yes", "parentCommentId": first["id"]});
        app.post(&path, reply).await.expect(201);
        app.post(&path, json!({})).await.refused(422, "invalid");
        let flat = app.get(&path).await.expect(200);
        assert_eq!(texts(&flat, "content"), ["Did you try water?", "Yes"]);
        let threads = app.get(&format!("{path}?threads=true")).await.expect(200);
        assert_eq!(threads["data"][0]["replies"][0]["content"], "Yes");
        let comment = format!("/v1/comments/{}", first["id"].as_str().expect("an id"));
        let edited = app.patch(&comment, json!({"content": "Foam?"})).await.expect(200);
        assert_eq!((&edited["content"], &edited["isEdited"]), (&json!("Foam?"), &json!(true)));
        app.post(&format!("{comment}/reactions"), json!({"emoji": "fire"})).await.expect(200);
        app.delete(&comment).await.expect(204);
        app.get("/v1/tickets/none/comments").await.refused(404, "ticket_not_found");
    });
}

#[test]
fn keys_open_only_what_they_may() {
    with_app(|app| async move {
        let anonymous = send(app.client.get(format!("{}/v1/runs", app.base))).await;
        assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"));
        anonymous.refused(401, "unauthenticated");
        let wanted = json!({"name": "reader", "scopes": ["runs:read", "keys:write"]});
        let made = app.post("/v1/keys", wanted).await.expect(201);
        let key = made["key"].as_str().expect("a key").to_owned();
        let reader = TestApp { base: app.base.clone(), key, client: app.client.clone() };
        reader.get("/v1/runs").await.expect(200);
        reader.post("/v1/events/a:b", json!({})).await.refused(403, "forbidden");
        let more = json!({"name": "more", "scopes": ["runs:write"]});
        reader.post("/v1/keys", more).await.refused(403, "forbidden");
        reader.post("/v1/tenants", json!({"slug": "mine"})).await.refused(403, "forbidden");
        assert_eq!(reader.get("/v1/me").await.expect(200)["scopes"][0], "runs:read");
        let typo = json!({"name": "typo", "scopes": ["rnus:read"]});
        app.post("/v1/keys", typo).await.refused(422, "invalid");
        app.delete(&format!("/v1/keys/{}", made["id"].as_str().expect("an id"))).await.expect(204);
        reader.get("/v1/runs").await.refused(401, "unauthenticated");
        assert!(!app.get("/v1/keys").await.text.contains("\"key\""));
    });
}

#[test]
fn nothing_of_one_tenant_is_seen_by_another() {
    with_app(|app| async move {
        app.post("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
        app.post("/v1/tenants", json!({"slug": "acme"})).await.refused(409, "tenant_exists");
        app.post("/v1/tenants", json!({"slug": "Not A Slug"})).await.refused(422, "invalid");
        let in_acme = |method, path: &str| app.request(method, path).header("x-tenant", "acme");
        let wanted = json!({"name": "boss", "scopes": ["*"]});
        let made = send(in_acme(Method::POST, "/v1/keys").json(&wanted)).await.expect(201);
        let key = made["key"].as_str().expect("a key").to_owned();
        let acme = TestApp { base: app.base.clone(), key, client: app.client.clone() };
        app.save(napping("nap", json!({}))).await;
        let run = app.publish("deal:won", json!({})).await.remove(0);
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let ticket = ticket["id"].as_str().expect("an id");
        let event = app.get("/v1/events?limit=1").await.expect(200);
        let event = event["data"][0]["id"].as_str().expect("an id");
        for path in [
            format!("/v1/runs/{run}"),
            format!("/v1/runs/{run}/journal"),
            format!("/v1/tickets/{ticket}"),
            format!("/v1/teams/{team}"),
            format!("/v1/events/{event}"),
            "/v1/workflows/nap".to_owned(),
        ] {
            app.get(&path).await.expect(200);
            assert_eq!(acme.get(&path).await.status, 404, "{path}");
        }
        for path in ["/v1/runs", "/v1/tickets", "/v1/workflows", "/v1/teams"] {
            assert_eq!(acme.get(path).await.expect(200)["data"], json!([]), "{path}");
        }
        let events = acme.get("/v1/events").await.expect(200);
        for event in events["data"].as_array().expect("a list") {
            assert_eq!(event["payload"]["organization"]["name"], "Acme", "of its own making");
        }
        acme.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.refused(404, "run_not_found");
        assert!(acme.publish("deal:won", json!({})).await.is_empty());
        let out = acme.request(Method::GET, "/v1/runs").header("x-tenant", "default");
        send(out).await.refused(404, "tenant_not_found");
        acme.post("/v1/tenants", json!({"slug": "third"})).await.refused(403, "forbidden");
        assert_eq!(texts(&acme.get("/v1/tenants").await.expect(200), "slug"), ["acme"]);
        let unknown = app.request(Method::GET, "/v1/runs").header("x-tenant", "nobody");
        send(unknown).await.refused(404, "tenant_not_found");
    });
}

#[test]
fn a_repeated_request_gets_the_same_answer() {
    with_app(|app| async move {
        let make = |key: &str, name: &str| {
            let request = app.request(Method::POST, "/v1/teams").header("idempotency-key", key);
            request.json(&json!({"name": name}))
        };
        let first = send(make("k1", "One")).await;
        assert_eq!(first.header("idempotency-replayed"), None);
        let tag = first.header("etag").map(str::to_owned);
        let first = first.expect(201);
        let again = send(make("k1", "One")).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("etag").map(str::to_owned), tag);
        assert_eq!(again.expect(201), first);
        send(make("k1", "Two")).await.refused(422, "idempotency_key_reused");
        assert_ne!(send(make("k2", "Two")).await.expect(201)["id"], first["id"]);
        send(make(&"k".repeat(300), "Three")).await.refused(400, "invalid_parameter");
    });
}

#[test]
fn every_answer_says_what_it_answers() {
    with_app(|app| async move {
        let missing = app.request(Method::GET, "/v1/nothing").header("x-request-id", "abc-1");
        let missing = send(missing).await;
        assert_eq!(missing.header("content-type"), Some("application/problem+json"));
        assert_eq!(missing.header("x-request-id"), Some("abc-1"));
        let problem = missing.refused(404, "not_found");
        assert_eq!(
            (&problem["requestId"], &problem["instance"]),
            (&json!("abc-1"), &json!("/v1/nothing"))
        );
        let method = app.delete("/v1/runs").await;
        assert_eq!(method.header("allow"), Some("GET"));
        method.refused(405, "method_not_allowed");
        let fine = app.get("/v1/runs").await;
        for name in
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"]
        {
            assert!(fine.header(name).is_some(), "{name}");
        }
        assert_eq!(fine.header("cache-control"), Some("no-store"));
        assert_eq!(fine.header("x-content-type-options"), Some("nosniff"));
        for path in ["/healthz", "/readyz", "/metrics", "/docs", "/v1/openapi.json"] {
            let public = send(app.client.get(format!("{}{path}", app.base))).await;
            assert_eq!(public.status, 200, "{path}");
        }
        assert!(app.get("/metrics").await.text.contains("ergane_http_requests_total"));
        assert_eq!(app.get("/v1/openapi.json").await.expect(200)["openapi"], "3.1.0");
        let activities = app.get("/v1/activities").await.expect(200);
        for identifier in texts(&activities, "uniqueIdentifier") {
            app.get(&format!("/v1/activities/{identifier}")).await.expect(200);
        }
        app.get("/v1/event-types/org:created").await.expect(200);
    });
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let slow = |config: &mut ergane::config::Config| {
        (config.http.requests_per_second, config.http.requests_burst) = (1, 3);
        config.http.base_path = "/under/here".to_owned();
    };
    with_config(slow, |app| async move {
        for _ in 0..3 {
            app.get("/v1/runs").await.expect(200);
        }
        let refused = app.get("/v1/runs").await;
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        assert!(refused.header("retry-after").is_some());
        refused.refused(429, "busy");
        let public = send(app.client.get(format!("{}/healthz", app.base))).await;
        assert_eq!(public.status, 200);
    });
}

//! Why events started what they started, why runs wait, and what a filter would have let through.

use serde_json::{Value, json};

use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

fn transform(id: &str) -> Value {
    json!({"id": id, "activity": "workflows:transform-platform", "input": {"value": {"a": 1}}})
}

async fn explained(app: &TestApp, event: &str, query: &str) -> Value {
    app.get(&format!("/v1/events/{event}/explain{query}")).await.expect(200)
}

fn of<'a>(answer: &'a Value, workflow: &str) -> &'a Value {
    let mut data = answer["data"].as_array().expect("a list").iter();
    data.find(|it| it["workflow"] == workflow).unwrap_or(&Value::Null)
}

async fn send(app: &TestApp, kind: &str, id: &str, payload: Value) -> Value {
    let event =
        json!({"specversion": "1.0", "type": kind, "source": "crm", "id": id, "data": payload});
    let request = app.request(reqwest::Method::POST, "/v1/events");
    let request = request.header("content-type", "application/cloudevents+json");
    crate::support::send(request.body(event.to_string())).await.expect(202)["accepted"][0].clone()
}

#[test]
fn every_workflow_says_why_it_did_or_did_not_start() {
    with_app(|app| async move {
        for (name, event, filter) in [
            ("starts", "deal:won", json!({"amount": {"~gt": 5}})),
            ("filtered", "deal:won", json!({"amuont": {"~gt": 5}})),
            ("misspelled", "deal:wom", json!({})),
            ("foreign", "invoice:paid", json!({})),
        ] {
            let trigger = json!({"event": event, "filter": filter});
            app.save(json!({"name": name, "trigger": trigger, "steps": [transform("a")]})).await;
        }
        send(&app, "deal:won", "d-1", json!({"amount": 10})).await;

        let answer = explained(&app, "d-1", "").await;
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{answer}");
        assert_eq!(answer["duplicates"], Value::Null);
        assert_eq!(of(&answer, "starts")["outcome"], "started");
        let refused = of(&answer, "filtered");
        let leaf = &refused["trace"];
        let leaf = if leaf["path"].is_null() { &leaf["children"][0] } else { leaf };
        assert_eq!(
            (&refused["outcome"], &leaf["hint"]),
            (&json!("filtered"), &json!("payload.amount"))
        );

        let answer = explained(&app, "d-1", "?all=true").await;
        let near = of(&answer, "misspelled");
        assert_eq!(near["outcome"], "other-type");
        assert!(near["hint"].as_str().is_some_and(|hint| hint.contains("`deal:won`")), "{near}");
        assert_eq!(of(&answer, "foreign")["hint"], Value::Null);
        assert_eq!(answer["data"][3]["workflow"], "foreign", "near misses come before the rest");
    });
}

#[test]
fn a_trigger_on_a_derived_event_is_told_from_the_general_one() {
    with_app(|app| async move {
        for (name, event) in
            [("status", "ticket:status:changed"), ("priority", "ticket:priority:changed")]
        {
            app.save(json!({"name": name, "trigger": {"event": event}, "steps": [transform("a")]}))
                .await;
        }
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        app.patch(&path, json!({"priorityName": "Urgent"})).await.expect(200);
        let events = app.get("/v1/events?type=ticket:updated").await.expect(200);
        let id = events["data"][0]["id"].as_str().expect("an event").to_owned();
        let answer = explained(&app, &id, "?all=true").await;
        let hint = |name| of(&answer, name)["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint("status").contains("here it did not"), "{answer}");
        assert!(hint("priority").contains("came as an event of its own"), "{answer}");
    });
}

#[test]
fn a_repeated_delivery_is_counted_and_told() {
    with_app(|app| async move {
        assert_eq!(send(&app, "deal:won", "d-1", json!({})).await["duplicate"], false);
        for _ in 0..2 {
            assert_eq!(send(&app, "deal:won", "d-1", json!({})).await["duplicate"], true);
        }
        let answer = explained(&app, "d-1", "").await;
        assert_eq!(answer["duplicates"]["count"], 2);
        assert!(answer["duplicates"]["lastAt"].is_string());
    });
}

#[test]
fn a_run_says_what_it_waits_for_and_behind_whom() {
    with_config(
        |config| config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")],
        |app| async move {
            let peer = Peer::start(|_, _| Reply::Never).await;
            app.save(json!({
                "name": "one-by-one", "trigger": {"event": "deal:won"},
                "concurrency": {"key": "{{trigger.payload.deal}}", "limit": 1, "policy": "queue"},
                "steps": [{"id": "call", "activity": "workflows:http-request-platform",
                    "timeout": "30s", "retry": {"attempts": 2},
                    "input": {"method": "GET", "url": peer.url}, "compensate": "none"}],
            }))
            .await;
            let mut runs = Vec::new();
            for _ in 0..3 {
                runs.extend(app.publish("deal:won", json!({"deal": "d1"})).await);
            }
            peer.until(1).await;
            let first = app.until(&runs[0], "running").await;
            assert_eq!(first["waitingFor"]["kind"], "call", "{first}");
            assert_eq!(
                (&first["waitingFor"]["step"], &first["waitingFor"]["attempt"]),
                (&json!("call"), &json!(1))
            );
            let last = app.until(&runs[2], "queued").await;
            assert_eq!(last["waitingFor"]["kind"], "concurrency");
            assert_eq!(last["waitingFor"]["behind"], json!([runs[0], runs[1]]));
            let reason = last["waitingFor"]["reason"].as_str().expect("a sentence");
            assert!(
                reason.contains("number 2 in the queue of the concurrency key `d1`"),
                "{reason}"
            );
            for run in runs.iter().rev() {
                app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
            }
        },
    );
}

#[test]
fn a_pause_before_a_retry_tells_the_attempt_and_the_failure() {
    with_config(
        |config| config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")],
        |app| async move {
            let peer = Peer::start(|_, _| Reply::Status(503, json!({}))).await;
            app.save(json!({
                "name": "again", "trigger": {"event": "deal:won"},
                "steps": [{"id": "call", "activity": "workflows:http-request-platform",
                    "retry": {"attempts": 4, "initial": "1h", "max": "1h"},
                    "input": {"method": "GET", "url": peer.url}, "compensate": "none"}],
            }))
            .await;
            let run = app.publish("deal:won", json!({})).await.remove(0);
            let waiting = app.until(&run, "retrying").await["waitingFor"].clone();
            assert_eq!((&waiting["kind"], &waiting["attempt"]), (&json!("retry"), &json!(2)));
            assert!(waiting["until"].is_string());
            let reason = waiting["reason"].as_str().expect("a sentence");
            assert!(reason.starts_with("attempt 2 of 4 of step `call` begins at"), "{reason}");
        },
    );
}

#[test]
fn a_filter_is_tried_on_the_last_events_of_a_type_alone() {
    with_app(|app| async move {
        for amount in 0..30 {
            app.publish("deal:won", json!({"amount": amount, "note": "x"})).await;
            app.publish("deal:lost", json!({"amount": amount})).await;
        }
        let wish = json!({"filter": {"amount": {"~gte": 20}}, "type": "deal:won", "last": 15,
            "limit": 3, "only": "unmatched"});
        let answer = app.post("/v1/filters/test", wish).await.expect(200);
        for (field, value) in [("matched", 10), ("total", 15), ("looked", 15)] {
            assert_eq!(answer[field], value, "{field}");
        }
        assert_eq!(answer["partial"], false);
        let shown = answer["data"].as_array().expect("a list");
        let actual: Vec<_> = shown.iter().map(|it| &it["trace"]["children"][0]["actual"]).collect();
        assert_eq!(actual, [&json!(19), &json!(18), &json!(17)], "the newest first");
        let wish = json!({"filter": {}, "type": "deal:*", "last": 100_000});
        let answer = app.post("/v1/filters/test", wish).await.expect(200);
        assert_eq!((&answer["total"], &answer["matched"]), (&json!(60), &json!(60)));
        let wish = json!({"filter": {}, "type": "deal:none"});
        let answer = app.post("/v1/filters/test", wish).await.expect(200);
        assert_eq!((&answer["total"], &answer["data"]), (&json!(0), &json!([])));
        let wish = json!({"filter": {"a": {"~eqq": 1}}, "type": "deal:won", "only": "some"});
        app.post("/v1/filters/test", wish).await.refused(422, "invalid");
    });
}

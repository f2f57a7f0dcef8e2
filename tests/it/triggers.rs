//! What stands between an event and a run: gates, teams, related records, lasting states, loops.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, with_app, with_config};

/// A workflow whose only step answers `shown`.
fn shows(name: &str, trigger: Value, shown: Value) -> Value {
    json!({
        "name": name, "trigger": trigger,
        "steps": [{"id": "show", "activity": "workflows:transform-platform",
            "input": {"output": shown}}],
    })
}

async fn shown(app: &TestApp, run: &str) -> Value {
    let run = app.end_of(run).await;
    assert_eq!(run["status"], "succeeded", "{run:#}");
    run["steps"][0]["output"].clone()
}

/// Publishes an event and returns its id.
async fn send(app: &TestApp, kind: &str, payload: Value) -> String {
    let answer = app.post(&format!("/v1/events/{kind}"), payload).await.expect(202);
    answer["accepted"][0]["id"].as_str().expect("an id").to_owned()
}

/// Returns what is told of a workflow about an event.
async fn explained(app: &TestApp, event: &str, workflow: &str) -> Value {
    let body = app.get(&format!("/v1/events/{event}/explain")).await.expect(200);
    let mut of_workflow = body["data"].as_array().expect("a list").iter();
    let found = of_workflow.find(|it| it["workflow"] == workflow).cloned();
    found.unwrap_or_else(|| panic!("{workflow} is not told of: {body:#}"))
}

/// Waits until an event is told to have started the workflow.
async fn until_started(app: &TestApp, event: &str, workflow: &str) -> String {
    for _ in 0..2_000 {
        let told = explained(app, event, workflow).await;
        if told["outcome"] == "started" {
            return told["runId"].as_str().expect("a run").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{event} never started {workflow}");
}

async fn until_runs(app: &TestApp, workflow: &str, count: usize) -> Vec<Value> {
    for _ in 0..2_000 {
        let page = app.get(&format!("/v1/runs?workflow={workflow}")).await.expect(200);
        let runs = page["data"].as_array().expect("a list");
        if runs.len() >= count {
            return runs.clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{workflow} never had {count} runs");
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().expect("an id").to_owned()
}

#[test]
fn an_event_tells_at_which_gate_it_was_held() {
    with_app(async |app| {
        let key = "{{ trigger.payload.k }}";
        for (name, gate) in [
            ("once", json!({"dedupe": {"key": key, "window": "1h"}})),
            ("calm", json!({"throttle": {"key": key, "period": "1h"}})),
            ("paced", json!({"rateLimit": {"key": key, "period": "1h"}})),
        ] {
            let mut trigger = json!({"event": "shop:sold"});
            trigger.as_object_mut().expect("an object").extend(gate.as_object().unwrap().clone());
            app.save(shows(name, trigger, json!("seen"))).await;
        }
        let first = send(&app, "shop:sold", json!({"k": 1})).await;
        let second = send(&app, "shop:sold", json!({"k": 1})).await;
        for (name, outcome, reason) in [
            ("once", "duplicate", first.as_str()),
            ("calm", "limited", "1 in 1h"),
            ("paced", "delayed", "until 20"),
        ] {
            assert_eq!(explained(&app, &first, name).await["outcome"], "started", "{name}");
            let held = explained(&app, &second, name).await;
            assert_eq!(held["outcome"], outcome, "{held}");
            assert!(held["reason"].as_str().unwrap_or_default().contains(reason), "{held}");
        }
        assert_eq!(app.publish("shop:sold", json!({"k": 2})).await.len(), 3, "another key");
    });
}

#[test]
fn gathered_events_name_the_run_that_they_started_together() {
    with_app(async |app| {
        let quiet = json!({"event": "shop:sold", "debounce": {"wait": "150ms"}});
        let output = json!({"n": "{{ trigger.payload.n }}", "of": "{{ run.events }}"});
        app.save(shows("quiet", quiet, output)).await;
        let batch = json!({"event": "shop:sold", "batch": {"size": 3, "wait": "1h"}});
        let output = json!({"count": "{{ trigger.payload.count }}",
            "n": "{{ trigger.payload.events | map(attribute='payload.n') | list }}"});
        app.save(shows("together", batch, output)).await;
        let mut events = Vec::new();
        for n in 0..3 {
            events.push(send(&app, "shop:sold", json!({"n": n})).await);
        }
        let quiet = until_started(&app, &events[2], "quiet").await;
        let batch = until_started(&app, &events[2], "together").await;
        for event in &events {
            assert_eq!(explained(&app, event, "quiet").await["runId"], json!(quiet));
            assert_eq!(explained(&app, event, "together").await["runId"], json!(batch));
            let view = app.get(&format!("/v1/events/{event}")).await.expect(200);
            assert_eq!(view["runs"].as_array().map(Vec::len), Some(2), "{view}");
        }
        assert_eq!(shown(&app, &quiet).await, json!({"n": 2, "of": 3}));
        assert_eq!(shown(&app, &batch).await, json!({"count": 3, "n": [0, 1, 2]}));
        let run = app.get(&format!("/v1/runs/{batch}")).await.expect(200);
        assert_eq!(run["eventsGathered"], 3);
        let again = send(&app, "shop:sold", json!({"n": 9})).await;
        assert_eq!(explained(&app, &again, "together").await["outcome"], "batched");
        app.post("/v1/workflows/together/disable", json!({})).await.expect(200);
        let dropped = explained(&app, &again, "together").await;
        assert!(dropped["reason"].as_str().unwrap_or_default().contains("dropped"), "{dropped}");
    });
}

#[test]
fn an_urgent_ticket_without_a_reply_starts_a_run_when_the_time_is_over() {
    with_app(async |app| {
        let team = app.team().await;
        let waiting = app.ticket(&team, json!({"priorityName": "urgent"})).await;
        let trigger = json!({"record": "ticket", "for": "400ms",
            "filter": {"ticket.priorityName": {"~eq": "urgent"}},
            "resetBy": ["ticket:comment:created"]});
        app.save(shows("unanswered", trigger, json!("{{ trigger.payload.ticket.id }}"))).await;
        let saved = app.get("/v1/workflows/unanswered").await.expect(200);
        assert_eq!(saved["triggerKind"], "lasting");
        assert_eq!(saved["definition"]["trigger"]["resetBy"], json!(["ticket:comment:added"]));
        let answered = app.ticket(&team, json!({"priorityName": "urgent"})).await;
        let calm = app.ticket(&team, json!({"priorityName": "urgent"})).await;
        app.ticket(&team, json!({"priorityName": "low"})).await;
        let path = format!("/v1/tickets/{}", id_of(&calm));
        app.patch(&path, json!({"priorityName": "medium"})).await.expect(200);
        let path = format!("/v1/tickets/{}/comments", id_of(&answered));
        app.post(&path, json!({"content": "We are on it."})).await.expect(201);
        let runs = until_runs(&app, "unanswered", 2).await;
        let mut subjects = Vec::new();
        for run in &runs {
            assert_eq!(run["eventType"], "ticket:lasting");
            subjects.push(shown(&app, &id_of(run)).await);
        }
        assert_eq!(subjects, [answered["id"].clone(), waiting["id"].clone()], "newest first");
        let known = app.get("/v1/event-types?source=platform").await.expect(200);
        assert!(known.to_string().contains("\"ticket:lasting\""));
    });
}

#[test]
fn related_records_are_joined_in_before_the_filter_and_stay_with_the_run() {
    with_app(async |app| {
        let team = app.team().await;
        let account = json!({"name": "Example", "primaryDomain": "example.com",
            "classification": "ENTERPRISE"});
        let account = app.post("/v1/accounts", account).await.expect(201);
        let ticket = app.ticket(&team, json!({"accountId": account["id"]})).await;
        // The body is Thena's own, as its reference shows it.
        let body = json!({
            "name": "Big customers", "triggerEvent": "crm:called", "type": "MANUAL",
            "filters": {"{{context.event.message.payload.ticket.account.classification}}":
                {"~eq": "ENTERPRISE"}},
            "annotations": [{"entityType": "Ticket",
                "requiredFields": {"ticketId": "{{context.event.message.payload.ticketId}}"},
                "relations": ["account", "account.classification", "team"],
                "pathToAnnotate": "context.event.message.payload.ticket"},
              {"entityType": "CustomerContact",
                "requiredFields": {"email": "{{context.event.message.payload.ticket.requestorEmail}}"},
                "pathToAnnotate": "context.caller"},
              {"entityType": "User", "requiredFields": {"email": "nobody@example.com"},
                "pathToAnnotate": "context.agent"}],
            "workflowDefinition": [{"stepIdentifier": 1,
                "activity": {"uniqueIdentifier": "workflows:transform-platform"},
                "input": {"output": {
                    "account": "{{context.event.message.payload.ticket.account.name}}",
                    "team": "{{context.event.message.payload.ticket.team.name}}",
                    "caller": "{{context.caller.email}}", "agent": "{{context.agent}}"}}}],
        });
        let saved = app.post("/v1/workflows", body.clone()).await.expect(201);
        let exported = app.get("/v1/workflows/big-customers?format=thena").await.expect(200);
        assert_eq!(exported["annotations"][0], body["annotations"][0], "{saved:#}");
        let event = send(&app, "crm:called", json!({"ticketId": ticket["id"]})).await;
        let told = explained(&app, &event, "big-customers").await;
        assert_eq!(told["outcome"], "started", "{told:#}");
        assert_eq!(told["annotations"][0]["id"], ticket["id"]);
        let missing = told["annotations"][2]["reason"].as_str().unwrap_or_default();
        assert!(missing.contains("no User with the email `nobody@example.com`"), "{told:#}");
        let run = told["runId"].as_str().expect("a run");
        let expected = json!({"account": "Example", "team": "Support", "caller": "ada@example.com",
            "agent": null});
        assert_eq!(shown(&app, run).await, expected);
        let path = format!("/v1/accounts/{}", id_of(&account));
        app.patch(&path, json!({"classification": "SMB"})).await.expect(200);
        let run = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        let kept = &run["trigger"]["payload"]["ticket"]["account"]["classification"];
        assert_eq!(kept, "ENTERPRISE", "a run keeps what it began with");
        let small = send(&app, "crm:called", json!({"ticketId": ticket["id"]})).await;
        assert_eq!(explained(&app, &small, "big-customers").await["outcome"], "filtered");
        let trial = json!({"payload": {"ticketId": ticket["id"]}});
        let trial = app.post("/v1/workflows/big-customers/test", trial).await.expect(200);
        assert_eq!(trial["matches"], false, "{trial:#}");
    });
}

#[test]
fn a_workflow_of_a_team_takes_no_events_of_another() {
    with_app(async |app| {
        let own = app.team().await;
        let other = app.post("/v1/teams", json!({"name": "Billing"})).await.expect(201);
        let mut definition = shows("ours", json!({"event": "ticket:created"}), json!("seen"));
        definition["teamId"] = json!(own);
        app.save(definition).await;
        for (team, outcome) in [(own.clone(), "started"), (id_of(&other), "other-team")] {
            app.ticket(&team, json!({})).await;
            let page = app.get("/v1/events?type=ticket:created&limit=1").await.expect(200);
            let told = explained(&app, &id_of(&page["data"][0]), "ours").await;
            assert_eq!(told["outcome"], outcome, "{told}");
        }
    });
}

#[test]
fn a_chain_of_runs_is_cut_where_a_workflow_comes_back_too_often() {
    with_config(
        |config| config.engine.cause_repeats_max = 2,
        async |app| {
            let publishes = |name: &str, on: &str, then: &str| {
                json!({"name": name, "trigger": {"event": on}, "steps": [{"id": "go",
                    "activity": "workflows:publish-event-platform", "compensate": "none",
                    "input": {"type": then, "payload": {}}}]})
            };
            app.save(publishes("ping", "game:ping", "game:pong")).await;
            let saved = app.save(publishes("pong", "game:pong", "game:ping")).await;
            let warning = &saved["warnings"][0];
            assert_eq!(warning["code"], "loop", "{saved:#}");
            let detail = warning["detail"].as_str().unwrap_or_default();
            assert!(detail.ends_with("pong → game:ping → ping → game:pong → pong"), "{detail}");
            let checked = publishes("pong", "game:pong", "game:ping");
            let checked = app.post("/v1/workflows/validate", checked).await.expect(200);
            assert_eq!(checked["warnings"][0]["code"], "loop");
            app.publish("game:ping", json!({})).await;
            let runs = until_runs(&app, "pong", 3).await;
            app.end_of(&id_of(&runs[0])).await;
            let page = app.get("/v1/events?type=game:ping&limit=1").await.expect(200);
            let told = explained(&app, &id_of(&page["data"][0]), "ping").await;
            assert_eq!(told["outcome"], "loop", "{told}");
            let chain = told["reason"].as_str().unwrap_or_default();
            assert_eq!(chain.matches('→').count(), 5, "six runs led there: {chain}");
            assert!(chain.contains(&id_of(&runs[0])), "{chain}");
            let all = app.get("/v1/runs?limit=200").await.expect(200);
            assert_eq!(all["data"].as_array().map(Vec::len), Some(6));
        },
    );
}

#[test]
fn a_hundred_posts_of_one_event_at_once_start_one_run() {
    with_app(async |app| {
        app.save(shows("once", json!({"event": "shop:sold"}), json!("seen"))).await;
        let event = json!({"specversion": "1.0", "id": "order-7", "source": "shop",
            "type": "shop:sold", "data": {"n": 1}});
        let posts = (0..100).map(|_| {
            let request = app.request(reqwest::Method::POST, "/v1/events");
            let request = request.header("content-type", "application/cloudevents+json");
            crate::support::send(request.body(event.to_string()))
        });
        let mut first = 0;
        let mut runs = Vec::new();
        for answer in futures_util::future::join_all(posts).await {
            let accepted = answer.expect(202)["accepted"][0].clone();
            first += usize::from(accepted["duplicate"] == false);
            runs.push(accepted["runs"].clone());
        }
        assert_eq!(first, 1);
        assert!(runs.iter().all(|run| *run == runs[0]), "all are told of the same run");
        let all = app.get("/v1/runs?limit=200").await.expect(200);
        assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn ten_thousand_events_in_batches_are_accounted_for_by_type_and_tenant() {
    with_app(async |app| {
        let tenant = json!({"slug": "other", "name": "Other"});
        app.post("/v1/tenants", tenant).await.expect(201);
        let batched = json!({"event": "flood:a", "batch": {"size": 100, "wait": "1h"}});
        app.save(shows("gathers", batched, json!("{{ trigger.payload.count }}"))).await;
        app.save(shows("listens", json!({"event": "flood:b"}), json!(1))).await;
        let mut sent: HashMap<(bool, &str), usize> = HashMap::new();
        for batch in 0..20 {
            let is_other = batch % 4 == 3;
            let events: Vec<Value> = (0..500)
                .map(|number| {
                    let kind = ["flood:a", "flood:b", "flood:c"][number % 3];
                    *sent.entry((is_other, kind)).or_default() += 1;
                    json!({"specversion": "1.0", "id": format!("{batch}-{number}"),
                        "source": "test", "type": kind, "data": {"n": number}})
                })
                .collect();
            let mut request = app.request(reqwest::Method::POST, "/v1/events");
            if is_other {
                request = request.header("x-tenant", "other");
            }
            let request = request.header("content-type", "application/cloudevents-batch+json");
            let answer = request.body(json!(events).to_string());
            let answer = crate::support::send(answer).await.expect(202);
            assert_eq!(answer["accepted"].as_array().map(Vec::len), Some(500));
            assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(0));
        }
        assert_eq!(sent.values().sum::<usize>(), 10_000);
        let metrics = app.get("/metrics").await.text;
        for ((is_other, kind), count) in &sent {
            let slug = if *is_other { "other" } else { "default" };
            let line = metrics.lines().find(|line| {
                line.contains("events")
                    && line.contains(&format!("\"{slug}\""))
                    && line.contains(&format!("\"{kind}\""))
            });
            let line = line.unwrap_or_else(|| panic!("{slug} {kind} is not counted"));
            assert!(line.ends_with(&format!(" {count}")), "{line}, not {count}");
        }
        let gathered = sent[&(false, "flood:a")] / 100;
        let runs = until_runs(&app, "gathers", gathered.min(50)).await;
        assert_eq!(runs.len(), gathered.min(50));
        let totals = app.get("/v1/workflows/listens").await.expect(200)["totals"].clone();
        assert_eq!(totals["started"], json!(sent[&(false, "flood:b")]));
    });
}

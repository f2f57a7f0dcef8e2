//! Runs found by a search, counted, exported and saved; and a look into one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::acceptance::{
    begun, by_hand, ended, events, failing, reach_inner_networks, stands, transform,
};
use crate::peer::{Peer, Reply};
use crate::people::joined;
use crate::support::{TestApp, with_app, with_config};

fn quick(config: &mut ergane::config::Config) {
    reach_inner_networks(config);
    config.access.password_memory_kib = 64;
    config.access.password_passes = 1;
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn found(app: &TestApp, q: &str) -> Vec<String> {
    let page = app.get(&format!("/v1/runs?q={}", encoded(q))).await.expect(200);
    let data = page["data"].as_array().expect("a list").iter();
    data.map(|run| run["workflow"].as_str().expect("a name").to_owned()).collect()
}

/// Makes a run that fails at `find`, and one that succeeds.
async fn furnish(app: &TestApp) -> (String, String) {
    app.save(by_hand("fails", json!([transform("a", json!({"n": 1})), failing("find")]))).await;
    app.save(by_hand("works", json!([transform("a", json!({"n": 2}))]))).await;
    let failed = ended(app, "fails", json!({"who": "Ada"})).await;
    let worked = ended(app, "works", json!({"who": "Eve"})).await;
    let id = |run: &Value| run["id"].as_str().expect("an id").to_owned();
    (id(&failed), id(&worked))
}

#[test]
fn a_typed_search_finds_what_its_fields_say() {
    with_app(async |app| {
        furnish(&app).await;
        for (q, names) in [
            ("status:failed", vec!["fails"]),
            ("step:find", vec!["fails"]),
            ("error:\"NO ticket\" workflow:fails", vec!["fails"]),
            ("code:not_found", vec!["fails"]),
            ("attempts:>1", vec!["fails"]),
            ("attempts:1", vec!["works"]),
            ("undo:incomplete", vec![]),
            ("status:succeeded since:1h", vec!["works"]),
            ("until:1h", vec![]),
            ("event:workflow:started works", vec!["works"]),
            ("status:failed status:succeeded", vec!["works", "fails"]),
            ("\"status:failed\"", vec![]),
        ] {
            assert_eq!(found(&app, q).await, names, "{q}");
        }
        let refused = app.get("/v1/runs?q=stauts:failed").await.expect(400);
        assert!(refused["detail"].as_str().is_some_and(|it| it.contains("`status`")), "{refused}");
        let twice = app.get("/v1/runs?status=failed&q=status:running").await.expect(400);
        assert!(twice["detail"].as_str().is_some_and(|it| it.contains("something else")));
    });
}

#[test]
fn a_bulk_action_means_the_runs_of_the_search_and_never_more() {
    with_app(async |app| {
        furnish(&app).await;
        let count = async |filter: Value| {
            let body = json!({"action": "restart", "filter": filter, "dryRun": true});
            app.post("/v1/bulk", body).await
        };
        let all = count(json!({"status": "failed,succeeded"})).await.expect(200);
        let some = count(json!({"q": "status:failed step:find"})).await.expect(200);
        assert_eq!((&all["total"], &some["total"]), (&json!(2), &json!(1)));
        let refused = count(json!({"status": "failed", "q": "status:succeeded"})).await;
        assert_eq!(refused.expect(422)["errors"][0]["pointer"], "/filter/status");
    });
}

#[test]
fn a_list_is_counted_by_time_and_exported_with_the_same_filter() {
    with_app(async |app| {
        furnish(&app).await;
        let all = app.get("/v1/runs/histogram").await.expect(200);
        assert_eq!((&all["total"], &all["complete"]), (&json!(2), &json!(true)), "{all:#}");
        let bars = all["data"].as_array().expect("bars");
        let sum = |name: &str| bars.iter().filter_map(|bar| bar[name].as_u64()).sum::<u64>();
        assert_eq!((sum("succeeded"), sum("failed"), sum("other")), (1, 1, 0));
        let failed = app.get("/v1/runs/histogram?q=status:failed").await.expect(200);
        assert_eq!(failed["total"], 1);
        let bar = bars.iter().find(|bar| bar["failed"] == 1).expect("a bar");
        let window = format!(
            "/v1/runs?status=failed&since={}&until={}",
            bar["from"].as_str().expect("a time"),
            bar["to"].as_str().expect("a time")
        );
        let page = app.get(&window).await.expect(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1), "the bar's own window");

        let export = app.get("/v1/runs/export?status=failed").await;
        assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<Value> = export
            .text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        assert_eq!((lines.len(), &lines[0]["workflow"]), (1, &json!("fails")));
    });
}

#[test]
fn a_search_is_saved_for_oneself_or_for_everybody() {
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["editor"]).await;
        let mut eve = joined(&app, "eve@example.com", &["viewer"]).await;
        let seen = |page: &Value| -> Vec<String> {
            let data = page["data"].as_array().expect("a list").iter();
            let own = data.filter(|view| view["kind"] != "builtIn");
            own.map(|view| view["title"].as_str().expect("a title").to_owned()).collect()
        };
        for (title, shared) in [("Mine", false), ("Ours", true)] {
            let body = json!({"title": title, "q": "status:failed", "shared": shared});
            ada.call(reqwest::Method::POST, "/v1/run-views", body).await.expect(201);
        }
        assert_eq!(seen(&ada.get("/v1/run-views").await.expect(200)), ["Ours", "Mine"]);
        let views = eve.get("/v1/run-views").await.expect(200);
        assert_eq!(seen(&views), ["Ours"]);
        let ours = views["data"].as_array().expect("a list").last().expect("one").clone();
        assert_eq!(
            (&ours["removable"], &ours["createdBy"]),
            (&json!(false), &json!("ada@example.com"))
        );
        let path = format!("/v1/run-views/{}", ours["id"].as_str().expect("an id"));
        eve.call(reqwest::Method::DELETE, &path, json!({})).await.expect(403);
        let share = json!({"title": "Eve's", "q": "status:failed", "shared": true});
        eve.call(reqwest::Method::POST, "/v1/run-views", share).await.expect(403);
        let wrong = json!({"title": "Misspelled", "q": "stauts:failed"});
        let wrong = eve.call(reqwest::Method::POST, "/v1/run-views", wrong).await.expect(422);
        let places: Vec<&Value> =
            wrong["errors"].as_array().expect("problems").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(places, ["/q"]);
        ada.call(reqwest::Method::DELETE, &path, json!({})).await.expect(204);
        assert_eq!(seen(&eve.get("/v1/run-views").await.expect(200)), Vec::<String>::new());
        let audit = app.get("/v1/audit?action=runView.remove").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(1), "{audit:#}");
    });
}

#[test]
fn the_context_of_a_run_can_be_seen_at_every_moment() {
    with_app(async |app| {
        let (failed, _) = furnish(&app).await;
        let path = format!("/v1/runs/{failed}");
        let last = app.get(&format!("{path}/context")).await.expect(200);
        assert_eq!(last["number"], last["total"]);
        assert_eq!(last["context"]["steps"]["a"]["output"]["n"], 1, "{last:#}");
        let first = app.get(&format!("{path}/context?at=1")).await.expect(200);
        assert_eq!(first["entry"]["type"], "created");
        assert_eq!(first["context"]["steps"], json!({}));
        assert_eq!(first["steps"][0], json!({"id": "a", "status": "pending"}));
        let evaluate = async |body: Value| app.post(&format!("{path}/evaluate"), body).await;
        let value = evaluate(json!({"expression": "steps.a.output.n + 1"})).await.expect(200);
        assert_eq!(value, json!({"value": 2}));
        let value = evaluate(json!({"expression": "Hi {{ trigger.payload.who }}"})).await;
        assert_eq!(value.expect(200)["value"], "Hi Ada");
        let early = evaluate(json!({"expression": "steps.a.output.n", "at": 1})).await;
        assert_eq!(early.expect(422)["errors"][0]["code"], "path_missing");
    });
}

#[test]
fn two_runs_are_compared_and_a_restart_names_the_run_before_it() {
    with_app(async |app| {
        let (failed, worked) = furnish(&app).await;
        let diff = app.get(&format!("/v1/runs/{failed}/diff?with={worked}")).await.expect(200);
        assert_eq!(
            diff["trigger"],
            json!([{"path": "who", "left": "Ada", "right": "Eve"}]),
            "{diff:#}"
        );
        assert_eq!(diff["steps"][0]["output"], json!([{"path": "n", "left": 1, "right": 2}]));
        assert_eq!(
            (&diff["steps"][1]["step"], &diff["steps"][1]["right"]),
            (&json!("find"), &Value::Null)
        );
        app.get(&format!("/v1/runs/{failed}/diff?with=run_gone")).await.expect(404);
        let again = app.post(&format!("/v1/runs/{worked}/restart"), json!({})).await.expect(202);
        let again = again["id"].as_str().expect("an id");
        let kin = app.get(&format!("/v1/runs/{again}/relations")).await.expect(200);
        assert_eq!((&kin["restartOf"], &kin["children"]), (&json!(worked), &json!([])));
    });
}

#[test]
fn a_step_that_pauses_for_an_hour_is_tried_at_once() {
    with_config(quick, async |app| {
        let well = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&well);
        let peer = Peer::start(move |_, _| {
            Reply::Status(if seen.load(Ordering::SeqCst) { 200 } else { 503 }, json!({}))
        })
        .await;
        let call = json!({
            "id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": peer.url, "method": "POST"},
            "retry": {"attempts": 3, "initial": "1h", "max": "1h"}, "compensate": "none",
        });
        app.save(by_hand("patient", json!([call]))).await;
        let run = begun(&app, "patient", json!({})).await;
        app.until(&run, "retrying").await;
        well.store(true, Ordering::SeqCst);
        let path = format!("/v1/runs/{run}/steps/call/try-now");
        app.post(&path, json!({})).await.expect(202);
        let over = app.end_of(&run).await;
        stands(&over, "call=succeeded");
        assert_eq!(over["steps"][0]["attempts"].as_array().map(Vec::len), Some(2));
        app.post(&path, json!({})).await.refused(409, "not_pausing");
        app.post(&format!("/v1/runs/{run}/steps/none/try-now"), json!({})).await.expect(404);
    });
}

#[test]
fn the_pages_of_runs_and_events_lead_to_each_other() {
    with_config(quick, async |app| {
        let (failed, worked) = furnish(&app).await;
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let page = ada.get("/runs?q=status:failed+step:find").await;
        assert_eq!(page.status, 303, "a search becomes the address of its list");
        let text = ada.get(page.header("location").expect("a place")).await.expect_text(200);
        for part in [
            "status=failed",
            "step <b>find</b>",
            "1 run",
            "Restart all…",
            "<svg class=\"chart bars\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        ada.get("/runs?q=stauts:failed").await.expect_text(400);
        for (path, part) in [
            (format!("/runs/{failed}?step=find"), "id=\"step-find\" open"),
            (format!("/runs/{failed}?tab=context&at=2"), "After record 2 of"),
            (format!("/runs/{failed}?tab=context&expression=trigger.payload.who"), "Ada"),
            (format!("/runs/{failed}?tab=history"), "stepFailed"),
            (format!("/runs/{failed}?tab=redo"), "Retry, with changes"),
            (format!("/runs/{failed}?diff={worked}"), "fields differ"),
            ("/events?q=ada".to_owned(), " minute</span>"),
        ] {
            let text = ada.get(&path).await.expect_text(200);
            assert!(text.contains(part), "{part} in {path}");
        }
        let form = [("title", "Mine"), ("q", "status:failed"), ("shared", "true")];
        let saved = ada.form("/runs/views", &form).await;
        let list = ada.get(saved.header("location").expect("a place")).await.expect_text(200);
        assert!(list.contains("Mine"), "the list of the search follows: {list}");
        let form = [
            ("from", "find"),
            ("version", ""),
            ("input", "{\"id\": \"other\"}"),
            ("input_of", "find"),
        ];
        ada.form(&format!("/runs/{failed}/retry"), &form).await;
        let run = app.end_of(&failed).await;
        assert_eq!(run["steps"][1]["input"]["id"], "other", "{run:#}");
        let form = [("version", ""), ("payload", "{\"who\": \"Bob\"}")];
        ada.form(&format!("/runs/{worked}/restart"), &form).await;
        let newest = app.get("/v1/runs?workflow=works&limit=1").await.expect(200);
        let id = newest["data"][0]["id"].as_str().expect("an id");
        let again = app.get(&format!("/v1/runs/{id}")).await.expect(200);
        assert_eq!(again["trigger"]["payload"]["who"], "Bob");
    });
}

#[test]
fn an_event_is_found_by_its_payload_and_told_what_nearly_started() {
    with_config(quick, async |app| {
        let filter = json!({"amount": {"~gt": 5}});
        for (name, kind) in [("listens", "deal:won"), ("elsewhere", "invoice:paid")] {
            let trigger = json!({"event": kind, "filter": filter});
            let steps = json!([transform("a", json!({}))]);
            app.save(json!({"name": name, "trigger": trigger, "steps": steps})).await;
        }
        app.publish("deal:won", json!({"amount": 10, "customer": "Northwind"})).await;
        app.publish("deal:won", json!({"amount": 1, "customer": "Corvus"})).await;
        let page = app.get("/v1/events?q=NORTHWIND").await.expect(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1), "{page:#}");
        let id = page["data"][0]["id"].as_str().expect("an id");
        let all = app.get(&format!("/v1/events/{id}/explain?all=true")).await.expect(200);
        let near = all["data"].as_array().expect("a list").iter();
        let near = near.clone().find(|it| it["workflow"] == "elsewhere").expect("a near miss");
        assert!(near["hint"].as_str().is_some_and(|it| it.contains("its filter would hold")));

        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let text = ada.get(&format!("/events/{id}")).await.expect_text(200);
        for part in ["Near misses", "elsewhere alone", "Open in the filter builder"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = ada.get("/events?type=deal:won").await.expect_text(200);
        assert!(text.contains("<b>1</b> started") && text.contains("<b>1</b> no"), "{text}");
        ada.form(&format!("/events/{id}/replay"), &[("workflow", "elsewhere")]).await;
        assert_eq!(events(&app, "deal:won").await.len(), 3);
        let runs = app.get("/v1/runs?workflow=elsewhere").await.expect(200);
        assert_eq!(runs["data"].as_array().map(Vec::len), Some(1), "whether it matches or not");
    });
}

#[test]
fn a_refused_event_is_mended_on_its_page() {
    with_config(quick, async |app| {
        let schema = json!({"type": "object", "required": ["amount"],
            "properties": {"amount": {"type": "number"}}});
        let kind = json!({"type": "deal:paid", "name": "Paid", "schema": schema});
        app.post("/v1/event-types", kind).await.expect(201);
        app.post("/v1/events/deal:paid", json!({"amount": "much"})).await.expect(422);
        let refused = app.get("/v1/events/rejected").await.expect(200);
        let id = refused["data"][0]["id"].as_str().expect("an id");
        let mut ada = joined(&app, "ada@example.com", &["owner"]).await;
        let list = ada.get("/events/rejected").await.expect_text(200);
        assert!(list.contains("deal:paid") && list.contains("/amount"), "{list}");
        let page = format!("/events/rejected/{id}");
        assert!(ada.get(&page).await.expect_text(200).contains("Mend it and try again"));
        ada.form(&format!("{page}/replay"), &[("payload", "{\"amount\": 5}")]).await;
        assert_eq!(events(&app, "deal:paid").await[0]["payload"]["amount"], 5);
        assert!(ada.get("/events/rejected").await.text.contains("Nothing was refused"));
    });
}

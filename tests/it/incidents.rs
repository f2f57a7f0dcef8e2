//! Failures that wait for somebody, calls in doubt, what follows a failure, and undos that are
//! tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::acceptance::{
    begun, by_hand, ended, events, failing, payloads, reach_inner_networks, stands, step,
    transform, undone,
};
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

fn paused(id: &str) -> Value {
    let mut step = failing(id);
    step["onFailure"] = json!("pause");
    step
}

fn account(id: &str) -> Value {
    json!({
        "id": id, "activity": "accounts:create-account-platform",
        "input": {"name": id, "primaryDomain": format!("{id}.example")},
    })
}

fn call(id: &str, peer: &Peer) -> Value {
    json!({
        "id": id, "activity": "workflows:http-request-platform",
        "input": {"url": peer.url, "method": "POST", "timeoutMs": 300},
        "retry": {"attempts": 2, "initial": "1ms"}, "compensate": "none",
    })
}

async fn incidents(app: &TestApp, query: &str) -> Vec<Value> {
    let body = app.get(&format!("/v1/incidents{query}")).await.expect(200);
    body["data"].as_array().expect("a list").clone()
}

async fn resolve(app: &TestApp, run: &str, step: &str, body: Value) {
    app.post(&format!("/v1/runs/{run}/steps/{step}/resolve"), body).await.expect(202);
}

#[test]
fn a_step_that_pauses_waits_for_an_operator() {
    with_app(async |app| {
        let steps = json!([paused("find"), transform("last", json!("done"))]);
        app.save(by_hand("careful", steps)).await;
        for (action, status, last) in [
            (json!({"action": "skip", "comment": "not needed"}), "succeeded", "succeeded"),
            (json!({"action": "complete", "output": {"id": 7}}), "succeeded", "succeeded"),
            (json!({"action": "fail"}), "failed", "pending"),
        ] {
            let run = begun(&app, "careful", json!({})).await;
            let waiting = app.until(&run, "waiting").await;
            let why = &waiting["waitingFor"];
            assert_eq!((&why["kind"], &why["step"]), (&json!("incident"), &json!("find")));
            assert_eq!(why["code"], "not_found", "{why}");
            assert!(why["since"].is_string() && why["reason"].is_string());
            assert_eq!(waiting["incidents"][0]["step"], "find");
            let open = incidents(&app, "?workflow=careful&code=not_found").await;
            assert_eq!((open.len(), &open[0]["run"]), (1, &json!(run)));
            assert!(incidents(&app, "?code=timeout").await.is_empty());

            resolve(&app, &run, "find", action.clone()).await;
            let done = app.end_of(&run).await;
            assert_eq!(done["status"], status, "{action}");
            assert_eq!(step(&done, "last")["status"], last);
            assert!(incidents(&app, "").await.is_empty());
            if action["action"] == "complete" {
                assert_eq!(step(&done, "find")["output"], json!({"id": 7}));
            }
            let path = format!("/v1/runs/{run}/steps/find/resolve");
            app.post(&path, action).await.refused(409, "no_incident");
        }
        let told = payloads(&app, "run:paused").await;
        assert_eq!((told.len(), &told[0]["kind"]), (3, &json!("incident")));
        let audit = app.get("/v1/audit?limit=200").await.expect(200);
        let resolved = audit["data"].as_array().expect("a list").iter();
        assert_eq!(resolved.filter(|it| it["action"] == "incident.resolve").count(), 3);
    });
}

#[test]
fn a_stuck_step_is_tried_again_with_another_input_and_cancel_always_works() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        app.save(by_hand("careful", json!([paused("find")]))).await;
        let run = begun(&app, "careful", json!({})).await;
        app.until(&run, "waiting").await;
        let path = format!("/v1/runs/{run}/steps/find/resolve");
        app.post(&path, json!({"action": "wait"})).await.refused(422, "invalid");
        let stray = json!({"action": "skip", "output": {}});
        app.post(&path, stray).await.refused(422, "invalid");
        let nowhere = format!("/v1/runs/{run}/steps/nope/resolve");
        app.post(&nowhere, json!({"action": "skip"})).await.expect(404);
        resolve(&app, &run, "find", json!({"action": "retry"})).await;
        let again = app.until(&run, "waiting").await;
        assert_eq!(step(&again, "find")["attempts"].as_array().map(Vec::len), Some(2));
        let input = json!({"id": ticket["id"]});
        resolve(&app, &run, "find", json!({"action": "retry", "input": input})).await;
        let done = app.end_of(&run).await;
        stands(&done, "find=succeeded");
        assert_eq!(step(&done, "find")["input"], json!({"id": ticket["id"]}));

        let run = begun(&app, "careful", json!({})).await;
        app.until(&run, "waiting").await;
        app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
        assert_eq!(app.end_of(&run).await["status"], "cancelled");
        assert!(incidents(&app, "").await.is_empty());
        assert_eq!(payloads(&app, "run:cancelled").await.len(), 1);
    });
}

#[test]
fn a_doubt_is_repeated_with_the_same_key_or_asked_about() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, _| Reply::Never).await;
        let mut ask = call("charge", &peer);
        ask["inDoubt"] = json!("ask");
        let mut repeat = call("charge", &peer);
        repeat["inDoubt"] = json!("repeat");
        app.save(by_hand("asks", json!([ask]))).await;
        app.save(by_hand("repeats", json!([repeat]))).await;

        let run = begun(&app, "asks", json!({})).await;
        let waiting = app.until(&run, "waiting").await;
        assert_eq!(waiting["waitingFor"]["kind"], "doubt");
        assert_eq!(peer.received().len(), 1, "a doubt is not repeated without asking");
        let attempts = &step(&waiting, "charge")["attempts"];
        assert_eq!(attempts[0]["outcome"], "unknown");
        assert_eq!(incidents(&app, "").await[0]["kind"], "doubt");
        let done = json!({"action": "complete", "output": {"status": 200}, "comment": "I looked"});
        resolve(&app, &run, "charge", done).await;
        let done = app.end_of(&run).await;
        stands(&done, "charge=succeeded");
        assert_eq!(step(&done, "charge")["output"]["status"], 200);
        assert_eq!(step(&done, "charge")["attempts"][0]["outcome"], "unknown");

        let done = ended(&app, "repeats", json!({})).await;
        assert_eq!(done["status"], "failed");
        let received = peer.received();
        assert_eq!(received.len(), 3);
        let key = received[1].header("idempotency-key");
        assert_eq!(key, received[2].header("idempotency-key"));
        assert!(key.ends_with("/charge"));
    });
}

#[test]
fn only_the_failures_that_a_step_names_are_tried_again() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Status(503, json!({})),
            1 => Reply::Status(409, json!({})),
            _ => Reply::Status(500, json!({})),
        })
        .await;
        let mut one = call("call", &peer);
        one["retry"] =
            json!({"attempts": 9, "initial": "1ms", "on": ["http:503", "http:409", "timeout"]});
        let saved = app.save(by_hand("choosy", json!([one]))).await;
        let on = &saved["definition"]["steps"][0]["retry"]["on"];
        assert_eq!(*on, json!(["http:503", "http:409", "timeout"]));
        let done = ended(&app, "choosy", json!({})).await;
        assert_eq!(done["error"]["code"], "http_500");
        assert_eq!(peer.received().len(), 3);

        let mut wrong = call("call", &peer);
        wrong["retry"] = json!({"on": ["timeouts", "http:9xx", "code:our-own"]});
        wrong["onFailure"] = json!("wait");
        let body = json!({"name": "w", "trigger": "manual", "steps": [wrong]});
        let checked = app.post("/v1/workflows/validate", body).await.expect(200);
        let problems = checked["problems"].as_array().expect("problems");
        let told: Vec<&str> = problems.iter().filter_map(|it| it["pointer"].as_str()).collect();
        assert_eq!(
            told,
            ["/steps/0/retry/on/0", "/steps/0/retry/on/1", "/steps/0/onFailure"],
            "{checked:#}"
        );
        assert_eq!(problems[0]["hint"], "did you mean `timeout`?");
    });
}

#[test]
fn steps_follow_a_failure_and_never_change_how_the_run_ends() {
    with_app(async |app| {
        let mut definition = by_hand("guarded", json!([account("first"), failing("find")]));
        definition["onFailure"] = json!([
            transform(
                "tell",
                json!({
                    "code": "{{error.code}}", "at": "{{error.step}}",
                    "account": "{{steps.first.output.name | default('none')}}",
                })
            ),
            failing("break"),
            transform("never", json!(1)),
        ]);
        let saved = app.save(definition.clone()).await;
        assert_eq!(saved["definition"]["onFailure"][0]["id"], "tell");
        let done = ended(&app, "guarded", json!({})).await;
        assert_eq!((&done["status"], &done["error"]["step"]), (&json!("failed"), &json!("find")));
        assert_eq!(undone(&done), ["first"]);
        stands(&done, "first=succeeded find=failed");
        let followed = json!({"steps": done["onFailure"]});
        stands(&followed, "tell=succeeded break=failed never=pending");
        let said = step(&followed, "tell")["output"].clone();
        assert_eq!(said, json!({"code": "not_found", "at": "find", "account": "first"}));
        assert_eq!((&done["stepsDone"], &done["stepsTotal"]), (&json!(1), &json!(2)));

        definition["onFailure"][0]["id"] = json!("first");
        app.post("/v1/workflows/validate", definition.clone()).await.expect(200);
        let checked = app.post("/v1/workflows/validate", definition).await.expect(200);
        assert_eq!(checked["problems"][0]["code"], "duplicate_id");
        let object = json!({
            "name": "w", "trigger": "manual", "steps": [transform("a", json!("{{error.code}}"))],
            "onFailure": {"steps": [transform("b", json!("{{error.code}}"))]},
        });
        let checked = app.post("/v1/workflows/validate", object).await.expect(200);
        let problems = checked["problems"].as_array().expect("problems");
        assert_eq!((problems.len(), &problems[0]["code"]), (1, &json!("unknown_root")));
    });
}

#[test]
fn what_could_not_be_undone_is_listed_and_tried_again_in_reverse_order() {
    with_config(reach_inner_networks, async |app| {
        let mended = Arc::new(AtomicBool::new(false));
        let works = Arc::clone(&mended);
        let peer = Peer::start(move |_, request| {
            let refuses = request.path.ends_with("undo") && !works.load(Ordering::SeqCst);
            Reply::Status(if refuses { 500 } else { 200 }, json!({}))
        })
        .await;
        let compensated = |id: &str| {
            let mut step = call(id, &peer);
            step["compensate"] = json!({
                "activity": "workflows:http-request-platform",
                "input": {"url": format!("{}/{id}-undo", peer.url), "method": "POST"},
                "retry": {"attempts": 2, "initial": "1ms"},
            });
            step
        };
        let steps = json!([compensated("one"), account("two"), compensated("three"), failing("x")]);
        app.save(by_hand("billing", steps)).await;
        let done = ended(&app, "billing", json!({})).await;
        let run = done["id"].as_str().expect("an id").to_owned();
        assert_eq!(
            (&done["status"], &done["compensation"]),
            (&json!("failed"), &json!("incomplete"))
        );
        let left: Vec<&str> = done["compensationLeft"]
            .as_array()
            .expect("what is left")
            .iter()
            .filter_map(|it| it["step"].as_str())
            .collect();
        assert_eq!(left, ["three", "one"]);
        assert_eq!(done["compensationLeft"][0]["code"], "http_500");
        assert_eq!(peer.received().len(), 6, "two calls, and each undo was tried twice");
        let told = payloads(&app, "run:compensation-incomplete").await;
        assert_eq!(told[0]["left"].as_array().map(Vec::len), Some(2));

        mended.store(true, Ordering::SeqCst);
        let path = format!("/v1/runs/{run}/compensate");
        app.post(&path, json!({})).await.expect(202);
        let done = app.end_of(&run).await;
        assert_eq!((&done["status"], &done["compensation"]), (&json!("failed"), &json!("done")));
        assert!(done.get("compensationLeft").is_none(), "{done:#}");
        let paths: Vec<String> = peer.received()[6..].iter().map(|it| it.path.clone()).collect();
        assert_eq!(paths, ["/three-undo", "/one-undo"]);
        app.post(&path, json!({})).await.refused(409, "nothing_left");
        assert_eq!(payloads(&app, "run:failed").await.len(), 1, "it failed once");
    });
}

#[test]
fn workflows_listen_to_runs_that_fail_and_loops_are_cut() {
    with_app(async |app| {
        app.save(json!({
            "name": "watcher", "trigger": {"event": "run:failed"}, "steps": [failing("find")],
        }))
        .await;
        app.save(by_hand("broken", json!([failing("find")]))).await;
        let done = ended(&app, "broken", json!({})).await;
        let mut before = 0;
        loop {
            let runs = app.get("/v1/runs?workflow=watcher&limit=200").await.expect(200);
            let runs = runs["data"].as_array().expect("runs").clone();
            let over = runs.iter().filter(|run| run["status"] == "failed").count();
            let told = events(&app, "run:failed").await;
            if before == told.len() && over == runs.len() && over + 1 == told.len() {
                assert!((1..20).contains(&over), "{over} runs");
                assert_eq!(told[0]["payload"]["runId"], done["id"]);
                assert_eq!(told[0]["payload"]["error"]["code"], "not_found");
                assert_eq!(told[0]["cause"]["runId"], done["id"]);
                break;
            }
            before = told.len();
        }
        app.save(by_hand("fine", json!([transform("a", json!(1))]))).await;
        ended(&app, "fine", json!({})).await;
        assert!(events(&app, "run:succeeded").await.is_empty(), "nobody listens");
        app.save(json!({
            "name": "cheer", "trigger": {"event": "run:succeeded", "filter": {"trigger.payload.workflow": {"~eq": "fine"}}},
            "steps": [transform("a", json!(1))],
        }))
        .await;
        ended(&app, "fine", json!({})).await;
        let told = events(&app, "run:succeeded").await;
        assert_eq!(told[0]["payload"]["workflow"], "fine");
    });
}

#[test]
fn the_page_of_a_run_asks_how_it_goes_on() {
    with_app(async |app| {
        app.save(by_hand("careful", json!([paused("find")]))).await;
        let run = begun(&app, "careful", json!({})).await;
        app.until(&run, "waiting").await;
        let page = app.get(&format!("/runs/{run}")).await;
        assert!(page.text.contains("Step find has failed and waits for you"), "{}", page.text);
        assert!(page.text.contains(&format!("/runs/{run}/steps/find/resolve")));
    });
}

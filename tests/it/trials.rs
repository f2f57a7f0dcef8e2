//! Trials without any effect, and the test cases that are kept with a definition.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::{begun, by_hand, failing, reach_inner_networks, transform};
use crate::peer::Peer;
use crate::process::run;
use crate::support::{TestApp, config_in, with_app};

async fn tried(app: &TestApp, name: &str, body: Value) -> Value {
    app.post(&format!("/v1/workflows/{name}/test"), body).await.expect(200)
}

fn step<'a>(trial: &'a Value, id: &str) -> &'a Value {
    let steps = trial["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no {id} in {trial:#}"))
}

#[test]
fn a_trial_tells_where_each_answer_came_from_and_what_each_expression_gave() {
    with_app(async |app| {
        let steps = json!([
            transform("a", json!({"n": "{{ trigger.payload.n }}"})),
            {"id": "nap", "sleep": "2h"},
            {"id": "paid", "waitFor": {"event": "order:paid"}},
            {"id": "asked", "activity": "workflows:transform-platform",
                "approval": {"approvers": ["role:lead"]},
                "input": {"output": "{{ steps.paid.output.payload.sum }} of {{ steps.a.output.n }}"}},
        ]);
        app.save(by_hand("w", steps)).await;
        let body = json!({"mode": "mock", "payload": {"n": 7}, "mocks": {
            "a": {"output": {"n": 5}},
            "paid": {"event": {"payload": {"sum": 3}}},
            "asked": {"decision": "approved", "by": "ada"},
        }});
        let trial = tried(&app, "w", body).await;
        assert_eq!(trial["run"]["status"], "succeeded", "{trial:#}");
        assert_eq!(step(&trial, "a")["source"], json!({"kind": "given"}));
        assert_eq!(step(&trial, "a")["expressions"][0]["value"], 7);
        assert_eq!(step(&trial, "asked")["input"]["output"], "3 of 5");
        assert_eq!(step(&trial, "asked")["source"]["kind"], "computed");
        assert_eq!(step(&trial, "asked")["output"], "3 of 5");
        let values: Vec<&Value> = step(&trial, "asked")["expressions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|shown| &shown["value"])
            .collect();
        assert_eq!(values, [3, 5]);
        assert_eq!(trial["timeJumps"][0]["kind"], "sleep");
        let rejected = json!({"mode": "mock", "mocks": {"asked": {"decision": "rejected"}}, "payload": {"n": 1}});
        let rejected = tried(&app, "w", rejected).await;
        assert_eq!(rejected["run"]["error"]["code"], "rejected", "{rejected:#}");
        let silent =
            json!({"mode": "mock", "mocks": {"paid": {"event": null}}, "payload": {"n": 1}});
        assert_eq!(tried(&app, "w", silent).await["run"]["status"], "waiting");
    });
}

#[test]
fn what_was_recorded_answers_and_failures_show_the_undo() {
    with_app(async |app| {
        let undo = json!({"activity": "workflows:transform-platform",
            "input": {"output": "{{ steps.a.output }}"}});
        let mut a = transform("a", json!("made"));
        a["compensate"] = undo;
        app.save(by_hand("w", json!([a, transform("b", json!("also"))]))).await;
        let first = begun(&app, "w", json!({})).await;
        app.end_of(&first).await;
        let trial = tried(&app, "w", json!({"mode": "mock", "mocks": "recorded"})).await;
        assert_eq!(step(&trial, "a")["output"], "made", "{trial:#}");
        assert_eq!(step(&trial, "a")["source"], json!({"kind": "recorded", "run": first}));
        let body = json!({"mode": "mock", "fromRun": first,
            "failAt": [{"step": "b", "code": "busy", "class": "retryable"}]});
        let trial = tried(&app, "w", body).await;
        assert_eq!(trial["run"]["error"]["code"], "busy", "{trial:#}");
        assert_eq!(
            trial["undo"][0],
            json!({"step": "a", "activity": "workflows:transform-platform",
            "input": {"output": "made"}})
        );
        let jumps = trial["timeJumps"].as_array().expect("a list");
        assert!(jumps.iter().all(|jump| jump["kind"] == "retry") && jumps.len() == 2, "{trial:#}");
        let path = "/v1/workflows/w/test";
        let wrong = json!({"mode": "mock", "mocks": {"a": {"putput": 1}, "c": {"output": 1}}});
        let problem = app.post(path, wrong).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/mocks/a/putput", "{problem:#}");
    });
}

/// Reads every file of a directory when it has come to rest.
async fn at_rest(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let read = || {
        let files = std::fs::read_dir(directory).expect("a directory").filter_map(Result::ok);
        let files = files.filter(|file| file.path().is_file());
        let mut all: Vec<(String, Vec<u8>)> = files
            .filter_map(|file| {
                let bytes = std::fs::read(file.path()).ok()?;
                Some((file.file_name().to_string_lossy().into_owned(), bytes))
            })
            .collect();
        all.sort();
        all
    };
    let mut last = read();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let next = read();
        if next == last {
            return next;
        }
        last = next;
    }
    panic!("the files never come to rest");
}

#[test]
fn a_trial_leaves_every_byte_as_it_was_and_makes_no_connection() {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    reach_inner_networks(&mut config);
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        let peer = Peer::friendly().await;
        let team = app.team().await;
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": peer.url, "method": "POST"}});
        let make = json!({"id": "make", "activity": "tickets:create-ticket-platform",
            "input": {"title": "T", "requestorEmail": "ada@example.com", "teamId": team}});
        let other = json!({"id": "other", "run": {"workflow": "w", "input": {}}});
        let shout = json!({"id": "shout", "activity": "workflows:publish-event-platform",
            "input": {"type": "order:placed", "payload": {}}});
        app.save(by_hand("w", json!([call, make, shout, other]))).await;
        app.get("/v1/workflows/w").await.expect(200);
        let before = at_rest(directory.path()).await;
        for body in [
            json!({}),
            json!({"mode": "mock", "failAt": "other"}),
            json!({"mode": "mock", "mocks": "recorded"}),
        ] {
            let trial = tried(&app, "w", body).await;
            assert_eq!(trial["steps"].as_array().map(Vec::len), Some(4), "{trial:#}");
        }
        app.post("/v1/workflows/w/tests", json!({})).await.expect(200);
        assert!(at_rest(directory.path()).await == before, "a trial wrote something");
        assert_eq!(peer.received().len(), 0, "a trial called somebody");
        assert_eq!(app.get("/v1/tickets").await.expect(200)["data"], json!([]));
        assert_eq!(app.get("/v1/runs").await.expect(200)["data"], json!([]));
        serving.stop().await;
    });
}

fn tested(output: &str, expected: Value) -> Value {
    json!({
        "name": "w",
        "trigger": {"event": "order:placed", "filter": {"total": {"~gt": 10}}},
        "steps": [
            transform("a", json!({"said": output, "to": "{{ trigger.payload.name }}"})),
            {"id": "call", "activity": "workflows:http-request-platform",
                "input": {"url": "https://example.com/{{ steps.a.output.to }}", "method": "GET"},
                "retry": {"attempts": 1}},
        ],
        "tests": [
            {"name": "a small order starts nothing", "event": {"type": "order:placed",
                "payload": {"total": 1}}, "expect": {"matches": false}},
            {"name": "a large one calls", "event": {"type": "order:placed",
                "payload": {"total": 11, "name": "ada"}},
                "mocks": {"a": {"output": {"to": "ada"}}, "call": {"output": {"status": 200}}},
                "expect": expected},
        ],
    })
}

fn passing() -> Value {
    let call = json!({"status": "succeeded", "input": {"url": "https://example.com/ada"}});
    json!({"status": "succeeded", "steps": {
        "a": {"input": {"output": {"said": "hello"}}}, "call": call}, "undone": []})
}

#[test]
fn a_failing_test_refuses_the_save_unless_it_is_skipped_or_a_draft() {
    with_app(async |app| {
        let saved = app.save(tested("hello", passing())).await;
        assert_eq!(saved["definition"]["tests"][1]["name"], "a large one calls");
        let broken = tested("bye", passing());
        let problem = app.put("/v1/workflows/w", broken.clone()).await.refused(422, "invalid");
        let fault = &problem["errors"][0];
        assert_eq!(fault["pointer"], "/tests/1/expect/steps/a/input/output/said", "{problem:#}");
        assert_eq!(fault["code"], "test_failed");
        let detail = fault["detail"].as_str().expect("a sentence");
        assert!(detail.contains("expected \"hello\", found \"bye\""), "{detail}");
        let draft = app.put("/v1/workflows/w?draft=true", broken.clone()).await.expect(200);
        assert_eq!(draft["warnings"][1]["code"], "test_failed", "{draft:#}");
        let results = app.post("/v1/workflows/w/tests", json!({"version": 2})).await.expect(200);
        assert_eq!((&results["passed"], &results["failed"]), (&json!(1), &json!(1)));
        assert_eq!(results["data"][1]["misses"][0]["actual"], "bye");
        let results = app.post("/v1/workflows/w/tests", json!({"definition": broken})).await;
        assert_eq!(results.expect(200)["failed"], 1);
        let mut other = broken;
        other["title"] = json!("Another");
        app.put("/v1/workflows/w?tests=skip", other).await.expect(200);
        let audit = app.get("/v1/audit?action=workflow.save&limit=1").await.expect(200);
        assert_eq!(audit["data"][0]["after"]["tests"], "skipped", "{audit:#}");
        let mut unknown = tested("hello", json!({"steps": {"cal": {"status": "failed"}}}));
        unknown["tests"][0]["mock"] = json!({});
        let problem = app.put("/v1/workflows/w", unknown).await.refused(422, "invalid");
        let pointers: Vec<&Value> =
            problem["errors"].as_array().expect("a list").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(pointers, ["/tests/0/mock", "/tests/1/expect/steps/cal"], "{problem:#}");
    });
}

#[test]
fn a_run_becomes_a_test_case_that_passes() {
    with_app(async |app| {
        let mut undone = transform("a", json!({"n": "{{ trigger.payload.n }}"}));
        undone["compensate"] = json!({"activity": "workflows:transform-platform",
            "input": {"output": 1}});
        let definition = json!({"name": "w", "trigger": {"event": "order:placed"},
            "steps": [undone, {"id": "nap", "sleep": "10ms"}, failing("b")]});
        app.save(definition.clone()).await;
        let run = app.publish("order:placed", json!({"n": 4})).await.remove(0);
        app.end_of(&run).await;
        let case = app.get(&format!("/v1/runs/{run}/test-case")).await.expect(200);
        assert_eq!(case["expect"]["undone"], json!(["a"]), "{case:#}");
        assert_eq!(case["mocks"]["b"]["error"]["class"], "terminal");
        assert_eq!(case["event"]["payload"], json!({"n": 4}));
        let mut with_case = definition.clone();
        with_case["tests"] = json!([case]);
        app.put("/v1/workflows/w", with_case.clone()).await.expect(200);
        with_case["steps"][2]["onFailure"] = json!("continue");
        app.put("/v1/workflows/w", with_case).await.refused(422, "invalid");
    });
}

#[test]
fn the_command_line_plays_tests_without_a_server() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("w.json");
    let ergane = |definition: Value| {
        std::fs::write(&path, definition.to_string()).expect("it is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
        command.args(["workflow", "test", "--json"]).arg(&path).current_dir(directory.path());
        run(command)
    };
    let good = ergane(tested("hello", passing()));
    assert!(good.status.success(), "{good:?}");
    let answer: Value = serde_json::from_str(&good.said).expect("JSON");
    assert_eq!(answer["data"][0]["tests"]["passed"], 2);
    let bad = ergane(tested("bye", passing()));
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(bad.said.contains("/tests/1/expect/steps/a/input/output/said"), "{bad:?}");
    assert!(!directory.path().join("ergane-data").exists(), "nothing was opened");
}

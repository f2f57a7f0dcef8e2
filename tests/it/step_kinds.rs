//! Steps that wait for events, branch, loop, fan out and start other workflows, also across kills.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::{begun, by_hand, ended, failing, reach_inner_networks, stands, step};
use crate::acceptance::{transform, undone};
use crate::peer::{Peer, Reply};
use crate::process::Process;
use crate::support::{TestApp, with_app, with_config};

/// A step that makes an account, which undoing takes away again.
fn account(id: &str, name: &str) -> Value {
    json!({
        "id": id, "activity": "accounts:create-account-platform",
        "input": {"name": name, "primaryDomain": format!("{name}.example")},
    })
}

/// A step that calls a peer, and calls it again to be undone.
fn calling(id: &str, url: &str) -> Value {
    json!({
        "id": id, "activity": "workflows:http-request-platform",
        "input": {"url": format!("{url}/{id}"), "method": "POST"},
        "compensate": {
            "activity": "workflows:http-request-platform",
            "input": {"url": format!("{url}/undo-{id}"), "method": "POST"},
        },
    })
}

async fn accounts(app: &TestApp) -> Vec<String> {
    let body = app.get("/v1/accounts").await.expect(200);
    let all = body["data"].as_array().expect("a list").iter();
    let mut names: Vec<String> =
        all.map(|one| one["name"].as_str().unwrap_or("?").to_owned()).collect();
    names.sort();
    names
}

fn wait_for_reply(extra: Value) -> Value {
    let mut wait = json!({
        "event": "order:paid",
        "filter": {"order": {"~eq": "{{trigger.payload.order}}"}},
    });
    for (name, value) in extra.as_object().expect("an object") {
        wait[name] = value.clone();
    }
    json!([
        {"id": "paid", "waitFor": wait},
        transform("after", json!("{{ steps.paid.output.payload.sum | default('none') }}")),
    ])
}

#[test]
fn a_run_goes_on_with_the_event_that_it_waits_for() {
    with_app(async |app| {
        app.save(by_hand("order", wait_for_reply(json!({"timeout": "1h"})))).await;
        let first = begun(&app, "order", json!({"order": "o1"})).await;
        let second = begun(&app, "order", json!({"order": "o2"})).await;
        let waiting = app.until(&first, "waiting").await;
        assert_eq!(waiting["waitingFor"]["kind"], "event", "{waiting}");
        assert!(waiting["waitingFor"]["until"].is_string());
        app.publish("order:paid", json!({"order": "o3", "sum": 1})).await;
        app.publish("order:sent", json!({"order": "o1", "sum": 1})).await;
        app.publish("order:paid", json!({"order": "o1", "sum": 7})).await;
        let run = app.end_of(&first).await;
        stands(&run, "paid=succeeded after=succeeded");
        assert_eq!(step(&run, "after")["output"], 7);
        assert_eq!(step(&run, "paid")["output"]["type"], "order:paid");
        let other = app.get(&format!("/v1/runs/{second}")).await.expect(200);
        assert_eq!(other["status"], "waiting");
    });
}

#[test]
fn an_event_that_came_before_the_wait_began_is_not_missed() {
    with_config(reach_inner_networks, async |app| {
        let other = TestApp::at(app.base.clone(), &app.key);
        let peer = Peer::start(|_, _| Reply::Status(200, json!({}))).await;
        let steps = json!([
            calling("ask", &peer.url),
            {"id": "nap", "sleep": "300ms"},
            wait_for_reply(json!({}))[0],
        ]);
        app.save(by_hand("order", steps)).await;
        app.publish("order:paid", json!({"order": "o1", "sum": 1})).await;
        let run = begun(&app, "order", json!({"order": "o1"})).await;
        peer.until(1).await;
        other.publish("order:paid", json!({"order": "o1", "sum": 2})).await;
        let run = app.end_of(&run).await;
        assert_eq!(step(&run, "paid")["output"]["payload"]["sum"], 2, "{run:#}");
    });
}

#[test]
fn a_wait_that_is_over_fails_or_goes_on() {
    with_app(async |app| {
        for (name, on_timeout, status) in
            [("fails", "fail", "failed"), ("goes-on", "continue", "succeeded")]
        {
            let wait = json!({"timeout": "50ms", "onTimeout": on_timeout});
            app.save(by_hand(name, wait_for_reply(wait))).await;
            let run = ended(&app, name, json!({"order": "o1"})).await;
            assert_eq!(run["status"], status, "{run}");
            match status {
                "failed" => assert_eq!(run["error"]["code"], "timeout"),
                _ => assert_eq!(step(&run, "paid")["output"]["timedOut"], true),
            }
        }
    });
}

#[test]
fn a_waiting_run_is_cancelled_at_once_and_hears_nothing_more() {
    with_app(async |app| {
        let steps = json!([account("a", "acme"), wait_for_reply(json!({}))[0]]);
        app.save(by_hand("order", steps)).await;
        let run = begun(&app, "order", json!({"order": "o1"})).await;
        app.until(&run, "waiting").await;
        let cancelled = app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
        assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
        app.publish("order:paid", json!({"order": "o1"})).await;
        let run = app.end_of(&run).await;
        stands(&run, "a=succeeded paid=cancelled");
        assert_eq!(accounts(&app).await, Vec::<String>::new());
    });
}

#[test]
fn the_first_case_that_holds_is_done_and_the_others_are_skipped() {
    with_app(async |app| {
        let case = |size: &str, condition: Value| json!({"if": condition, "steps": [transform(size, json!(size))]});
        let steps = json!([
            {"id": "choose", "branch": [
                case("big", json!({"trigger.payload.n": {"~gt": 10}})),
                case("small", json!({"trigger.payload.n": {"~gt": 0}})),
                {"else": true, "steps": [transform("none", json!("none"))]},
            ]},
            transform("after", json!("{{ steps.choose.output }}")),
        ]);
        app.save(by_hand("sizes", steps)).await;
        for (n, expected, output) in [
            (20, "big=succeeded small=skipped none=skipped", "big"),
            (5, "big=skipped small=succeeded none=skipped", "small"),
            (0, "big=skipped small=skipped none=succeeded", "none"),
        ] {
            let run = ended(&app, "sizes", json!({ "n": n })).await;
            stands(&run, &format!("choose=succeeded {expected} after=succeeded"));
            assert_eq!(step(&run, "after")["output"], output);
        }
    });
}

#[test]
fn a_loop_goes_through_its_items_and_answers_their_outputs() {
    with_app(async |app| {
        let double = json!("{{ order.n * 2 }}");
        let shown = json!("{{ index }}: {{ item.n }} is {{ steps.double.output }}");
        let steps = json!([
            {"id": "loop", "forEach": {
                "items": "{{ trigger.payload.orders }}", "as": "order", "concurrency": 2,
                "steps": [transform("double", double), transform("show", shown)],
            }},
            transform("after", json!("{{ steps.loop.output | join(', ') }}")),
        ]);
        app.save(by_hand("orders", steps)).await;
        let orders = json!({"orders": [{"n": 4}, {"n": 5}, {"n": 6}]});
        let run = ended(&app, "orders", orders).await;
        assert_eq!(step(&run, "after")["output"], "0: 4 is 8, 1: 5 is 10, 2: 6 is 12");
        assert_eq!(step(&run, "loop[2].show")["depth"], 1);
        let none = ended(&app, "orders", json!({"orders": []})).await;
        assert_eq!(step(&none, "loop")["output"], json!([]));
        let wrong = ended(&app, "orders", json!({"orders": 5})).await;
        assert_eq!(wrong["error"]["code"], "not_a_list");
        let many: Vec<Value> = (0..1_001).map(|n| json!({ "n": n })).collect();
        let wrong = ended(&app, "orders", json!({ "orders": many })).await;
        assert_eq!(wrong["error"]["code"], "too_many_items");
    });
}

#[test]
fn a_thousand_items_are_worked_through() {
    with_app(async |app| {
        let steps = json!([{"id": "loop", "forEach": {
            "items": "{{ trigger.payload.items }}",
            "steps": [transform("a", json!("{{ item }}")), transform("b", json!("{{ index }}"))],
        }}]);
        app.save(by_hand("many", steps)).await;
        let items: Vec<u32> = (0..1_000).collect();
        let run = ended(&app, "many", json!({ "items": items })).await;
        assert_eq!(run["status"], "succeeded", "{}", run["error"]);
        assert_eq!(step(&run, "loop")["output"].as_array().map(Vec::len), Some(1_000));
        assert_eq!(run["stepsTotal"], 2_001);
    });
}

#[test]
fn a_retried_loop_goes_on_at_the_item_that_failed() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|number, _| match number {
            2 => Reply::Status(400, json!({})),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let mut call = calling("call", &peer.url);
        call["input"]["url"] = json!(format!("{}/{{{{ item }}}}", peer.url));
        call["onFailure"] = json!("abort");
        let steps = json!([
            {"id": "loop", "forEach": {"items": [1, 2, 3, 4], "steps": [call]}},
        ]);
        app.save(by_hand("calls", steps)).await;
        let run = ended(&app, "calls", json!({})).await;
        assert_eq!(run["status"], "failed");
        assert_eq!(run["error"]["step"], "loop[2].call", "{run:#}");
        let id = run["id"].as_str().expect("an id");
        app.post(&format!("/v1/runs/{id}/retry"), json!({})).await.expect(202);
        let run = app.end_of(id).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        let paths: Vec<String> = peer.received().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/1", "/2", "/3", "/3", "/4"]);
        let keys: Vec<String> = peer
            .received()
            .iter()
            .map(|it| it.header("idempotency-key").trim_matches('"').to_owned())
            .collect();
        assert_eq!(keys[2], format!("{id}/loop[2].call"));
        assert_eq!(keys[2], keys[3]);
    });
}

#[test]
fn branches_run_at_once_and_are_undone_in_reverse_order_of_completion() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::friendly().await;
        let steps = json!([
            {"id": "both", "parallel": [
                [{"id": "nap", "sleep": "200ms"}, calling("slow", &peer.url)],
                [calling("fast", &peer.url)],
            ]},
            failing("last"),
        ]);
        app.save(by_hand("both", steps)).await;
        let run = ended(&app, "both", json!({})).await;
        stands(&run, "both=succeeded nap=succeeded slow=succeeded fast=succeeded last=failed");
        assert_eq!(undone(&run), ["slow", "fast"]);
        let paths: Vec<String> = peer.received().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/fast", "/slow", "/undo-slow", "/undo-fast"]);
    });
}

#[test]
fn enough_branches_cancel_the_rest_and_undo_what_it_had_done() {
    with_app(async |app| {
        let steps = json!([
            {"id": "race", "parallel": {"join": "any", "branches": [
                [account("made", "acme"), {"id": "long", "sleep": "1h"}],
                [{"id": "short", "sleep": "50ms"}, transform("won", json!("first"))],
            ]}},
            transform("after", json!("{{ steps.race.output }}")),
        ]);
        app.save(by_hand("race", steps)).await;
        let run = ended(&app, "race", json!({})).await;
        stands(
            &run,
            "race=succeeded made=succeeded long=cancelled short=succeeded won=succeeded \
             after=succeeded",
        );
        assert_eq!(undone(&run), ["made"]);
        assert_eq!(step(&run, "after")["output"], json!([null, "first"]));
        assert_eq!(accounts(&app).await, Vec::<String>::new());
    });
}

#[test]
fn a_group_that_may_fail_is_undone_alone() {
    with_app(async |app| {
        let steps = json!([
            account("kept", "kept"),
            {"id": "try", "onFailure": "continue", "parallel": [
                [account("made", "acme"), failing("bad")],
            ]},
            transform("after", json!("{{ steps.try.error.code }}")),
        ]);
        app.save(by_hand("try", steps)).await;
        let run = ended(&app, "try", json!({})).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        assert_eq!(undone(&run), ["made"]);
        assert_eq!(accounts(&app).await, ["kept"]);
        assert_eq!(step(&run, "after")["output"], step(&run, "bad")["error"]["code"]);
    });
}

#[test]
fn steps_with_dependencies_wait_for_those_alone() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::friendly().await;
        let mut quick = calling("quick", &peer.url);
        quick["dependencies"] = json!(["first"]);
        let mut last = calling("last", &peer.url);
        last["dependencies"] = json!(["nap", "quick"]);
        let steps = json!([
            calling("first", &peer.url),
            {"id": "nap", "sleep": "200ms", "dependencies": ["first"]},
            quick,
            last,
        ]);
        app.save(by_hand("order", steps)).await;
        let run = begun(&app, "order", json!({})).await;
        peer.until(2).await;
        let early = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        assert_eq!(step(&early, "last")["status"], "pending");
        let run = app.end_of(&run).await;
        stands(&run, "first=succeeded nap=succeeded quick=succeeded last=succeeded");
        let paths: Vec<String> = peer.received().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/first", "/quick", "/last"]);
    });
}

#[test]
fn a_started_workflow_answers_fails_and_is_undone_with_its_step() {
    with_app(async |app| {
        let made = json!([
            account("made", "{{ trigger.payload.name }}"),
            transform("answer", json!("{{ steps.made.output.account.name | default('made') }}")),
        ]);
        let mut child = by_hand("child", made);
        child["steps"][0]["input"] = json!({"name": "{{ trigger.payload.name }}", "primaryDomain": "{{ trigger.payload.name }}.example"});
        app.save(child).await;
        let start = json!({"id": "sub", "run": {"workflow": "child", "input": {"name": "acme"}}});
        app.save(by_hand(
            "good",
            json!([start, transform("after", json!("{{ steps.sub.output.status }}"))]),
        ))
        .await;
        let run = ended(&app, "good", json!({})).await;
        stands(&run, "sub=succeeded after=succeeded");
        assert_eq!(step(&run, "after")["output"], "succeeded");
        assert_eq!(accounts(&app).await, ["acme"]);
        let child_id = step(&run, "sub")["output"]["runId"].as_str().expect("an id").to_owned();
        let child = app.get(&format!("/v1/runs/{child_id}")).await.expect(200);
        assert_eq!(child["trigger"]["cause"]["runId"], run["id"]);

        let start = json!({"id": "sub", "run": {"workflow": "child", "input": {"name": "other"}}});
        app.save(by_hand("bad", json!([start, failing("last")]))).await;
        let run = ended(&app, "bad", json!({})).await;
        assert_eq!(run["status"], "failed");
        assert_eq!((undone(&run), &run["compensation"]), (vec!["sub".to_owned()], &json!("done")));
        assert_eq!(accounts(&app).await, ["acme"]);
        let child_id = step(&run, "sub")["output"]["runId"].as_str().expect("an id").to_owned();
        let child = app.get(&format!("/v1/runs/{child_id}")).await.expect(200);
        assert_eq!(
            (&child["status"], &child["error"]["code"]),
            (&json!("cancelled"), &json!("undone"))
        );

        app.save(by_hand("broken", json!([failing("x")]))).await;
        app.save(by_hand("starts-broken", json!([{"id": "sub", "run": "broken"}]))).await;
        let run = ended(&app, "starts-broken", json!({})).await;
        assert_eq!(run["error"]["code"], "child_failed", "{run:#}");
        app.save(by_hand("starts-none", json!([{"id": "sub", "run": "no-such"}]))).await;
        let run = ended(&app, "starts-none", json!({})).await;
        assert_eq!(run["error"]["code"], "unknown_workflow");
        app.save(by_hand("itself", json!([{"id": "sub", "run": "itself"}]))).await;
        let run = ended(&app, "itself", json!({})).await;
        assert_eq!(run["status"], "failed", "a loop is cut");
    });
}

#[test]
fn cancelling_stops_the_run_that_a_step_waits_for() {
    with_app(async |app| {
        app.save(by_hand("child", json!([account("made", "acme"), {"id": "nap", "sleep": "1h"}])))
            .await;
        app.save(by_hand("parent", json!([account("own", "own"), {"id": "sub", "run": "child"}])))
            .await;
        let parent = begun(&app, "parent", json!({})).await;
        let waiting = app.until(&parent, "waiting").await;
        assert_eq!(waiting["waitingFor"]["kind"], "run", "{waiting}");
        let child = waiting["waitingFor"]["run"].as_str().expect("an id").to_owned();
        app.post(&format!("/v1/runs/{parent}/cancel"), json!({})).await.expect(202);
        let run = app.end_of(&parent).await;
        assert_eq!((&run["status"], undone(&run)), (&json!("cancelled"), vec!["own".to_owned()]));
        let child = app.end_of(&child).await;
        assert_eq!(
            (&child["status"], undone(&child)),
            (&json!("cancelled"), vec!["made".to_owned()])
        );
        assert_eq!(accounts(&app).await, Vec::<String>::new());
    });
}

#[test]
fn a_trial_passes_every_wait_at_once() {
    with_app(async |app| {
        let steps = json!([
            wait_for_reply(json!({}))[0],
            {"id": "nap", "sleep": "4h", "approval": {"approvers": ["role:lead"]}},
            {"id": "loop", "forEach": {"items": [1, 2], "steps": [{"id": "sub", "run": "other"}]}},
        ]);
        app.save(by_hand("all", steps)).await;
        let trial = app
            .post("/v1/workflows/all/test", json!({"mode": "mock", "payload": {"order": "o1"}}))
            .await
            .expect(200);
        let run = &trial["run"];
        stands(
            run,
            "paid=succeeded nap=succeeded loop=succeeded loop[0].sub=succeeded \
             loop[1].sub=succeeded",
        );
    });
}

fn with_runtime<F: Future<Output = ()>>(test: F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one life before the kill, one after it")]
fn a_kill_amid_every_kind_of_step_repeats_nothing_that_was_finished() {
    with_runtime(async {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        // Whatever is called for the second item is never answered before the kill.
        let peer = Peer::start(|_, received| {
            let dead = received.path.starts_with("/2") || received.path == "/right";
            let again = received.header("x-life") == "2";
            if dead && !again { Reply::Never } else { Reply::Status(200, json!({})) }
        })
        .await;
        let process = Process::start(&data);
        let app = &process.app;
        let item = json!({
            "id": "call", "activity": "workflows:http-request-platform", "timeout": "1s",
            "input": {"url": format!("{}/{{{{ item }}}}", peer.url), "method": "POST"},
            "retry": {"attempts": 1}, "onFailure": "continue",
        });
        let right = json!({
            "id": "right", "activity": "workflows:http-request-platform", "timeout": "1s",
            "input": {"url": format!("{}/right", peer.url), "method": "POST"},
            "retry": {"attempts": 1}, "onFailure": "continue",
        });
        app.save(by_hand(
            "loops",
            json!([{"id": "loop", "forEach": {"items": [1, 2, 3], "steps": [item]}}]),
        ))
        .await;
        app.save(by_hand(
            "both",
            json!([{"id": "p", "parallel": [[account("left", "left")], [right]]}]),
        ))
        .await;
        app.save(by_hand("waits", wait_for_reply(json!({})))).await;
        app.save(by_hand("parent", json!([{"id": "sub", "run": {"workflow": "waits", "input": {"order": "{{ trigger.payload.order }}"}}}])))
            .await;
        let looping = begun(app, "loops", json!({})).await;
        let both = begun(app, "both", json!({})).await;
        let waiting = begun(app, "waits", json!({"order": "o1"})).await;
        let parent = begun(app, "parent", json!({"order": "o2"})).await;
        app.until(&waiting, "waiting").await;
        app.until(&parent, "waiting").await;
        peer.until(3).await;
        process.kill();

        let process = Process::start(&data);
        let app = &process.app;
        app.publish("order:paid", json!({"order": "o1", "sum": 1})).await;
        app.publish("order:paid", json!({"order": "o2", "sum": 2})).await;
        let waited = app.end_of(&waiting).await;
        assert_eq!(step(&waited, "after")["output"], 1);
        let parent = app.end_of(&parent).await;
        assert_eq!(step(&parent, "sub")["output"]["result"], 2, "{parent:#}");
        let looped = app.end_of(&looping).await;
        assert_eq!(looped["status"], "succeeded", "{looped:#}");
        let both = app.end_of(&both).await;
        assert_eq!(
            (&both["status"], accounts(app).await),
            (&json!("succeeded"), vec!["left".to_owned()])
        );
        let calls = peer.received();
        let count = |path: &str| calls.iter().filter(|it| it.path == path).count();
        assert_eq!((count("/1"), count("/2"), count("/3"), count("/right")), (1, 2, 1, 2));
        let keys: Vec<&str> = calls
            .iter()
            .filter(|it| it.path == "/2")
            .map(|it| it.header("idempotency-key"))
            .collect();
        assert_eq!(keys[0], keys[1]);
        tokio::time::timeout(Duration::from_secs(20), async { process.stop() })
            .await
            .expect("it stops");
    });
}

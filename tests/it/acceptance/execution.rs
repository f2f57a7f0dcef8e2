//! How runs go: in order, again, in time, onward, back.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    begun, by_hand, ended, failing, reach_inner_networks, stands, step, transform, undone,
};
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

/// A step that calls a peer.
fn calling(id: &str, url: &str, extra: Value) -> Value {
    let mut step = json!({
        "id": id, "activity": "workflows:http-request-platform",
        "input": {"url": format!("{url}/{id}"), "method": "POST"},
    });
    for (name, value) in extra.as_object().expect("an object") {
        step[name] = value.clone();
    }
    step
}

/// A step that makes an account, which undoing takes away again.
fn account(id: &str) -> Value {
    json!({
        "id": id, "activity": "accounts:create-account-platform",
        "input": {"name": id, "primaryDomain": format!("{id}.example")},
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

fn paths(peer: &Peer) -> Vec<String> {
    peer.received().into_iter().map(|received| received.path).collect()
}

#[test]
fn row_55_a_sleep_ends_no_earlier_than_told_and_holds_nothing() {
    with_app(async |app| {
        app.save(by_hand("nap", json!([{"id": "nap", "sleep": "{{ trigger.payload.long }}"}])))
            .await;
        for _ in 0..200 {
            begun(&app, "nap", json!({"long": "1h"})).await;
        }
        let begun = tokio::time::Instant::now();
        let run = ended(&app, "nap", json!({"long": "150ms"})).await;
        assert_eq!(run["status"], "succeeded");
        assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
        let waiting = app.get("/v1/runs?status=waiting&limit=1").await.expect(200);
        let sleeper = &waiting["data"][0];
        assert_eq!(sleeper["waitingFor"]["kind"], "sleep", "{sleeper}");
        assert!(sleeper["waitingFor"]["until"].is_string(), "{sleeper}");
    });
}

#[test]
fn row_89_steps_run_in_order_and_see_all_earlier_results() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|number, _| Reply::Status(200, json!({"n": number}))).await;
        let shown = json!(
            "{{ steps.a.output.body.n }}{{ steps.b.output.body.n }}{{ steps.c.output.body.n }}"
        );
        let steps = json!([
            calling("a", &peer.url, json!({})),
            calling("b", &peer.url, json!({})),
            calling("c", &peer.url, json!({})),
            transform("all", shown)
        ]);
        app.save(by_hand("w", steps)).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(paths(&peer), ["/a", "/b", "/c"]);
        assert_eq!(step(&run, "all")["output"], "012", "{run:#}");
    });
}

#[test]
fn row_90_a_skipped_step_counts_as_done() {
    with_app(async |app| {
        let mut skipped = transform("maybe", json!(1));
        skipped["if"] = json!({"trigger.payload.go": {"~eq": true}});
        app.save(by_hand("w", json!([skipped, transform("after", json!(2))]))).await;
        let run = ended(&app, "w", json!({"go": false})).await;
        stands(&run, "maybe=skipped after=succeeded");
        assert_eq!(run["status"], "succeeded");
    });
}

#[test]
fn row_91_retries_follow_their_policy() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|number, _| match number {
            0..3 => Reply::Status(503, json!({})),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let retry =
            json!({"attempts": 4, "initial": "60ms", "factor": 2, "max": "1s", "jitter": false});
        app.save(by_hand("w", json!([calling("it", &peer.url, json!({"retry": retry}))]))).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        let attempts = step(&run, "it")["attempts"].as_array().expect("attempts");
        let outcomes: Vec<&str> =
            attempts.iter().map(|it| it["outcome"].as_str().unwrap_or("?")).collect();
        assert_eq!(outcomes, ["failed", "failed", "failed", "succeeded"]);
        assert_eq!(attempts[0]["error"]["code"], "http_503");
        let received = peer.received();
        for (pair, least) in received.windows(2).zip([60, 120, 240]) {
            let pause = pair[1].at - pair[0].at;
            assert!(pause >= Duration::from_millis(least), "{pause:?} for {least} ms");
            assert!(pause < Duration::from_millis(least + 1_500), "{pause:?} for {least} ms");
        }
        let keys: Vec<&str> = received.iter().map(|it| it.header("idempotency-key")).collect();
        assert!(keys.iter().all(|key| *key == keys[0] && !key.is_empty()), "{keys:?}");
    });
}

#[test]
fn row_92_three_attempts_are_the_default_and_the_second_comes_after_a_second() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, _| Reply::Status(503, json!({}))).await;
        app.save(by_hand("w", json!([calling("it", &peer.url, json!({}))]))).await;
        let run = begun(&app, "w", json!({})).await;
        let view = app.until(&run, "retrying").await;
        assert_eq!(view["waitingFor"]["kind"], "retry", "{view:#}");
        assert!(view["waitingFor"]["until"].is_string());
        let run = app.end_of(&run).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("http_503")));
        let received = peer.received();
        assert_eq!(received.len(), 3);
        for (pair, least) in received.windows(2).zip([1_000, 2_000]) {
            let pause = pair[1].at - pair[0].at;
            assert!(pause >= Duration::from_millis(least), "{pause:?}");
            assert!(pause < Duration::from_millis(least + 1_500), "{pause:?}");
        }
    });
}

#[test]
fn row_93_a_timeout_ends_the_attempt_as_a_failure() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Never,
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let extra = json!({"timeout": "120ms", "retry": {"attempts": 2, "initial": "10ms"}});
        app.save(by_hand("w", json!([calling("it", &peer.url, extra)]))).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        let first = &step(&run, "it")["attempts"][0];
        assert_eq!(first["error"]["code"], "timeout", "{first}");
    });
}

#[test]
fn row_93_a_run_that_takes_too_long_fails_and_is_undone() {
    with_app(async |app| {
        let mut definition = by_hand("w", json!([account("a"), {"id": "nap", "sleep": "1h"}]));
        definition["timeout"] = json!("200ms");
        app.save(definition).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("timeout")));
        assert_eq!(run["compensation"], "done", "{run:#}");
        assert!(accounts(&app).await.is_empty());
    });
}

#[test]
fn row_94_abort_undoes_nothing_and_runs_nothing_more() {
    with_app(async |app| {
        let mut fails = failing("fails");
        fails["onFailure"] = json!("abort");
        app.save(by_hand("w", json!([account("a"), fails, account("b")]))).await;
        let run = ended(&app, "w", json!({})).await;
        stands(&run, "a=succeeded fails=failed b=pending");
        assert_eq!((&run["status"], &run["compensation"]), (&json!("failed"), &json!("none")));
        assert_eq!(run["state"], "FAILED");
        assert_eq!(accounts(&app).await, ["a"]);
    });
}

#[test]
fn row_95_continue_records_the_failure_and_goes_on() {
    with_app(async |app| {
        let mut fails = failing("fails");
        fails["onFailure"] = json!("continue");
        app.save(by_hand("w", json!([account("a"), fails, account("b")]))).await;
        let run = ended(&app, "w", json!({})).await;
        stands(&run, "a=succeeded fails=failed b=succeeded");
        assert_eq!((&run["status"], &run["state"]), (&json!("succeeded"), &json!("FINISHED")));
        assert!(step(&run, "fails")["error"].is_object());
        assert_eq!(accounts(&app).await, ["a", "b"]);
    });
}

#[test]
fn row_96_compensate_undoes_finished_steps_in_reverse_order_then_fails() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::friendly().await;
        let undo = |id: &str| {
            json!({"compensate": {"activity": "workflows:http-request-platform",
                "input": {"url": format!("{}/undo-{id}", peer.url), "method": "POST"}}})
        };
        let mut skipped = calling("skipped", &peer.url, undo("skipped"));
        skipped["if"] = json!({"trigger.payload.never": {"~isnull": false}});
        app.save(by_hand(
            "w",
            json!([
                calling("a", &peer.url, undo("a")),
                account("b"),
                skipped,
                calling("c", &peer.url, undo("c")),
                failing("fails")
            ]),
        ))
        .await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!((&run["status"], &run["compensation"]), (&json!("failed"), &json!("done")));
        assert_eq!(paths(&peer), ["/a", "/c", "/undo-c", "/undo-a"]);
        assert_eq!(undone(&run), ["c", "b", "a"], "{run:#}");
        assert!(accounts(&app).await.is_empty());
        assert_eq!(step(&run, "a")["compensation"], "done");
        assert_eq!(run["error"]["step"], "fails");
    });
}

#[test]
fn row_96_what_a_step_changed_on_the_platform_is_put_back() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"priorityName": "low", "tags": ["x"]})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        let id = json!("{{ trigger.payload.id }}");
        let on = |step: &str, activity: &str, extra: Value| {
            let mut input = extra;
            input["id"] = id.clone();
            json!({"id": step, "activity": activity, "input": input})
        };
        app.save(by_hand(
            "w",
            json!([
                on("raise", "tickets:update-ticket-platform",
                    json!({"priorityName": "urgent", "title": "New", "customFields": {"k": "v"}})),
                on("tag", "tickets:add-tags-platform", json!({"tags": ["y"]})),
                on("escalate", "tickets:escalate-ticket-platform", json!({})),
                {"id": "comment", "activity": "communications:create-comment-platform",
                 "input": {"ticketId": id, "content": "hello"}},
                on("archive", "tickets:archive-ticket-platform", json!({})),
                failing("fails"),
            ]),
        ))
        .await;
        let run = ended(&app, "w", json!({"id": ticket["id"]})).await;
        assert_eq!(
            (&run["status"], &run["compensation"]),
            (&json!("failed"), &json!("done")),
            "{run:#}"
        );
        assert_eq!(undone(&run), ["archive", "comment", "escalate", "tag", "raise"]);
        let after = app.get(&path).await.expect(200);
        for name in ["title", "priorityName", "tags", "isEscalated", "isArchived", "customFields"] {
            assert_eq!(after[name], ticket[name], "{name}");
        }
        let comments = app.get(&format!("{path}/comments")).await.expect(200);
        assert_eq!(comments["data"], json!([]));
    });
}

#[test]
fn row_97_an_undo_sees_its_steps_result_and_the_error() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, _| Reply::Status(200, json!({"ts": "17.5"}))).await;
        let undo = json!({"compensate": {"activity": "workflows:http-request-platform", "input": {
            "url": format!("{}/undo", peer.url), "method": "POST",
            "body": {"ts": "{{ steps.post.output.body.ts }}", "why": "{{ error.message }}",
                     "failed": "{{ error.step }}"}}}});
        app.save(by_hand("w", json!([calling("post", &peer.url, undo), failing("fails")]))).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(run["compensation"], "done", "{run:#}");
        let body = &peer.received()[1].body;
        assert_eq!((&body["ts"], &body["failed"]), (&json!("17.5"), &json!("fails")));
        assert!(body["why"].to_string().contains("no-such-ticket"), "{body}");
    });
}

#[test]
fn row_98_an_undo_that_fails_is_recorded_and_the_others_still_run() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, received| match received.path.as_str() {
            "/undo-b" => Reply::Status(400, json!({"no": "way"})),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let undo = |id: &str| {
            json!({"compensate": {"activity": "workflows:http-request-platform",
                "input": {"url": format!("{}/undo-{id}", peer.url), "method": "POST"}}})
        };
        app.save(by_hand(
            "w",
            json!([
                calling("a", &peer.url, undo("a")),
                calling("b", &peer.url, undo("b")),
                calling("c", &peer.url, undo("c")),
                failing("fails")
            ]),
        ))
        .await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(
            (&run["status"], &run["compensation"]),
            (&json!("failed"), &json!("incomplete"))
        );
        assert_eq!(&paths(&peer)[3..], ["/undo-c", "/undo-b", "/undo-a"]);
        let standing = |id: &str| step(&run, id)["compensation"].clone();
        assert_eq!([standing("a"), standing("b"), standing("c")], ["done", "failed", "done"]);
        let failed = &run["compensations"][1];
        assert_eq!((&failed["step"], &failed["error"]["code"]), (&json!("b"), &json!("http_400")));
    });
}

#[test]
fn row_83_a_workflow_that_triggers_itself_stops_and_says_so() {
    with_app(async |app| {
        let team = app.team().await;
        app.save(json!({
            "name": "loop",
            "trigger": {"event": "ticket:updated"},
            "steps": [{"id": "again", "activity": "tickets:update-ticket-platform",
                "input": {"id": "{{ trigger.payload.ticket.id }}",
                    "title": "{{ trigger.payload.ticket.title }}x"}}],
        }))
        .await;
        let ticket = app.ticket(&team, json!({})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        app.patch(&path, json!({"title": "x"})).await.expect(200);
        let limited = loop {
            let page = app.get("/v1/events?type=ticket:updated&limit=1").await.expect(200);
            let newest = page["data"][0]["id"].as_str().expect("an id");
            let explained = app.get(&format!("/v1/events/{newest}/explain")).await.expect(200);
            if explained["data"][0]["outcome"] == "loop" {
                break explained["data"][0].clone();
            }
            let runs = app.get("/v1/runs?limit=200").await.expect(200);
            assert!(runs["data"].as_array().is_some_and(|runs| runs.len() < 50), "no end");
            tokio::task::yield_now().await;
        };
        assert!(!limited["reason"].as_str().unwrap_or_default().is_empty(), "{limited}");
        let runs = app.get("/v1/runs?limit=200").await.expect(200);
        assert_eq!(runs["data"].as_array().map(Vec::len), Some(4), "the stated limit");
    });
}

#[test]
fn row_82_events_that_steps_cause_name_the_workflow_as_their_actor() {
    with_app(async |app| {
        let team = app.team().await;
        app.save(json!({
            "name": "raise", "trigger": {"event": "ticket:created"},
            "steps": [{"id": "it", "activity": "tickets:update-ticket-platform",
                "input": {"id": "{{ trigger.payload.ticket.id }}", "priorityName": "urgent"}}],
        }))
        .await;
        app.ticket(&team, json!({})).await;
        let runs = app.get("/v1/runs").await.expect(200);
        let run = app.end_of(runs["data"][0]["id"].as_str().expect("a run")).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        let updated = super::events(&app, "ticket:updated").await.remove(0);
        assert_eq!(updated["cause"], json!({"runId": run["id"], "depth": 1}));
        let actor = updated["actor"].clone();
        let created = super::events(&app, "ticket:created").await.remove(0);
        assert_ne!(actor, created["actor"], "a person made the ticket, a workflow changed it");
        assert!(actor["id"].as_str().is_some_and(|id| !id.is_empty()), "{actor}");
    });
}

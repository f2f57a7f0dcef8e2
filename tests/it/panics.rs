//! Panics anywhere: one request, one attempt or one actor suffers, and everything else goes on.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, serve};
use crate::support::{TestApp, send};
use reqwest::Method;

/// Runs a test against a process that fails as `plan` says.
fn with_plan<F: Future<Output = ()>>(plan: &str, test: impl FnOnce(Process) -> F) {
    let directory = TempDir::new().expect("a directory");
    let mut command = serve(&directory.path().join("data"));
    command.env("ERGANE_FAIL", plan);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(async {
        test(Process::of(command).expect("it serves")).await;
    });
}

async fn save_echo(app: &TestApp, extra: Value) {
    let mut definition = json!({"name": "echo", "trigger": {"event": "order:placed"}, "steps": [
        {"id": "show", "activity": "workflows:transform-platform",
         "retry": {"attempts": 3, "initial": "1ms"},
         "input": {"output": "{{ trigger.payload.n }}"}}]});
    for (name, value) in extra.as_object().into_iter().flatten() {
        definition[name] = value.clone();
    }
    // The fault may come as early as here, which depends on what else is written at the start.
    let mut answer = app.post("/v1/workflows", definition.clone()).await;
    for _ in 0..500 {
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        answer = app.post("/v1/workflows", definition.clone()).await;
    }
    // Whoever was not told of his success finds the name taken.
    assert!(matches!(answer.status, 201 | 409), "{}", answer.text);
}

/// Publishes until it is accepted, and returns the run that the event started.
async fn started(app: &TestApp, number: u32) -> String {
    for _ in 0..200 {
        let path = format!("/v1/events/order:placed?id=e{number}");
        let answer = app.post(&path, json!({"n": number})).await;
        match answer.status {
            202 => {
                let runs = &answer.body["accepted"][0]["runs"];
                return runs[0].as_str().expect("a run").to_owned();
            }
            status => assert!(matches!(status, 500 | 503), "{}", answer.text),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it is never accepted");
}

/// Insists that ten runs end well although something panics on the way.
fn all_end_well(plan: &str) {
    with_plan(plan, |process| async move {
        let app = &process.app;
        save_echo(app, json!({})).await;
        for number in 0..10 {
            let run = started(app, number).await;
            let ended = app.end_of(&run).await;
            assert_eq!(ended["status"], "succeeded", "{plan}: {ended:#}");
        }
        app.get("/readyz").await.expect(200);
        let (status, _) = process.stop();
        assert!(status.success(), "{plan}: {status}");
    });
}

#[test]
fn a_panic_of_an_actor_an_attempt_or_a_decision_is_made_good() {
    for plan in
        ["actor.start=panic@2", "step.decide=panic@3", "activity.run=panic@2", "actor.drop=panic@2"]
    {
        all_end_well(plan);
    }
}

#[test]
fn a_panic_while_an_event_is_matched_ends_that_request_alone() {
    all_end_well("event.match=panic@4");
}

#[test]
fn the_writer_survives_its_own_panics() {
    for plan in [
        "commit.before=panic@9",
        "commit.after=panic@9",
        "writer.turn=panic@12",
        "writer.turn=panic@13",
    ] {
        all_end_well(plan);
    }
}

#[test]
fn errors_of_the_disk_are_told_and_gone_with_their_cause() {
    for plan in [
        "commit.before=error(28)@9*3",
        "commit.after=error@9*2",
        "store.reopen=error*2; commit.after=error@9",
    ] {
        all_end_well(plan);
    }
}

#[test]
fn a_panic_of_a_timer_loses_no_deadline() {
    with_plan("timer.pop=panic@1; alarm.ring=panic@1", |process| async move {
        let app = &process.app;
        let nap = json!({"name": "nap", "trigger": {"event": "order:placed"},
                         "steps": [{"id": "nap", "sleep": "20ms"}]});
        app.save(nap).await;
        for number in 0..3 {
            let run = started(app, number).await;
            assert_eq!(app.end_of(&run).await["status"], "succeeded");
        }
    });
}

#[test]
fn a_panic_of_a_compensation_is_an_attempt_that_failed() {
    with_plan("compensation.begin=panic@1", |process| async move {
        let app = &process.app;
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let id = ticket["id"].as_str().expect("an id").to_owned();
        app.save(json!({"name": "undone", "trigger": {"event": "order:placed"}, "steps": [
            {"id": "raise", "activity": "tickets:update-ticket-platform",
             "input": {"id": id, "title": "Changed"}},
            {"id": "fail", "activity": "tickets:get-ticket-platform",
             "retry": {"attempts": 1}, "input": {"id": "no-such-ticket"}}]}))
            .await;
        let run = started(app, 1).await;
        let ended = app.end_of(&run).await;
        assert_eq!((&ended["status"], &ended["compensation"]), (&json!("failed"), &json!("done")));
        let ticket = app.get(&format!("/v1/tickets/{id}")).await.expect(200);
        assert_eq!(ticket["title"], "Printer on fire");
    });
}

#[test]
fn a_panic_of_a_handler_or_a_page_is_an_answer_that_names_its_request() {
    with_plan("request.handle=panic@2; page.render=panic@1", |process| async move {
        let app = &process.app;
        app.get("/v1/runs").await.expect(200);
        let answer = app.get("/v1/runs").await;
        let id = answer.header("x-request-id").expect("an id").to_owned();
        let problem = answer.refused(500, "internal");
        assert_eq!(problem["requestId"], id.as_str());
        let page = send(app.request(Method::GET, "/sign-in").header("accept", "text/html")).await;
        assert_eq!(page.status, 500);
        let id = page.header("x-request-id").expect("an id");
        assert!(page.text.contains("Something broke here") && page.text.contains(id));
        app.get("/sign-in").await.expect(200);
        app.get("/v1/runs").await.expect(200);
    });
}

#[test]
fn a_record_that_cannot_be_read_fails_its_request_alone() {
    with_plan("store.read=error@400*3", |process| async move {
        let app = &process.app;
        save_echo(app, json!({})).await;
        for number in 0..10 {
            let run = started(app, number).await;
            let mut answer = app.get(&format!("/v1/runs/{run}?wait=10s")).await;
            for _ in 0..3 {
                if answer.status == 503 {
                    answer = app.get(&format!("/v1/runs/{run}?wait=10s")).await;
                }
            }
            assert_eq!(answer.expect(200)["status"], "succeeded");
        }
    });
}

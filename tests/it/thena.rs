//! Thena's documented workflow operations, row by row of what a client of Thena relies on.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, send, with_app, with_config};

const ROOT: &str = "/api/v1/workflows";

/// Thena's documented body, with an activity that needs no records.
fn body(name: &str) -> Value {
    json!({
        "name": name,
        "type": "MANUAL",
        "subType": "WORKFLOW",
        "triggerEvent": "ticket:created",
        "filters": {"{{context.event.message.payload.ticket.title}}": {"~starts": "T"}},
        "annotations": [],
        "workflowDefinition": [transform(1, json!({"ticket": "{{context.event.message.payload.ticket.id}}"}))],
        "executingAgent": "key:bootstrap",
        "teamId": "T88WCYYHPS",
        "metadata": {"purpose": "a test"},
    })
}

fn transform(number: u32, value: Value) -> Value {
    json!({
        "stepIdentifier": number,
        "activity": {
            "uniqueIdentifier": "workflows:transform-platform",
            "autoUpgradeToLatestVersion": true,
        },
        "input": {"value": value},
        "retryPolicy": {"maximumAttempts": 2, "initialInterval": 1, "backoffCoefficient": 2},
        "onFailure": "ABORT",
        "executionTimeout": 20,
        "dependencies": [],
        "filters": {},
    })
}

async fn create(app: &TestApp, body: Value) -> Value {
    app.post(ROOT, body).await.expect(201)
}

async fn publish(app: &TestApp, title: &str) -> Vec<String> {
    app.publish("ticket:created", json!({"ticket": {"id": "t1", "title": title}})).await
}

fn id_of(workflow: &Value) -> String {
    workflow["uniqueIdentifier"].as_str().expect("an identifier").to_owned()
}

fn items(answer: &Value) -> &Vec<Value> {
    answer["data"].as_array().expect("a list")
}

#[test]
fn row_71_81_82_create_answers_every_documented_field() {
    with_app(|app| async move {
        let made = create(&app, body("Escalate Urgent Tickets")).await;
        for text in ["uid", "uniqueIdentifier", "createdAt", "updatedAt", "createdBy"] {
            assert!(made[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {made}");
        }
        for (field, value) in [
            ("name", json!("Escalate Urgent Tickets")),
            ("type", json!("MANUAL")),
            ("subType", json!("WORKFLOW")),
            ("version", json!(1)),
            ("isActive", json!(true)),
            ("teamId", json!("T88WCYYHPS")),
            ("executingAgent", json!("key:bootstrap")),
            ("metadata", json!({"purpose": "a test"})),
            ("annotations", json!([])),
            ("filters", body("")["filters"].clone()),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
        let event = &made["triggerEvent"];
        assert_eq!(event["eventType"], "ticket:created");
        for field in ["uid", "description", "eventName", "source"] {
            assert!(event[field].is_string(), "{field}: {event}");
        }
        assert!(event["schema"].is_object() && event["metadata"].is_object());
        let step = &made["workflowDefinition"][0];
        assert_eq!(step["stepIdentifier"], 1);
        assert_eq!(step["activity"]["uniqueIdentifier"], "workflows:transform-platform");
        assert_eq!(step["activity"]["autoUpgradeToLatestVersion"], true);
        assert_eq!(step["retryPolicy"]["maximumAttempts"], 2);
        assert_eq!((&step["onFailure"], &step["executionTimeout"]), (&json!("ABORT"), &json!(20)));
        assert_ne!(made["uid"], made["uniqueIdentifier"]);
    });
}

#[test]
fn row_71_what_was_answered_can_be_sent_again() {
    with_app(|app| async move {
        let first = create(&app, body("Escalate")).await;
        let again = create(&app, first.clone()).await;
        assert_ne!(first["uniqueIdentifier"], again["uniqueIdentifier"]);
        for field in ["name", "triggerEvent", "filters", "workflowDefinition", "metadata"] {
            assert_eq!(first[field], again[field], "{field}");
        }
    });
}

#[test]
fn row_71_workflows_of_one_title_get_names_of_their_own() {
    with_app(|app| async move {
        for name in ["one-title", "one-title-2", "one-title-3"] {
            let made = create(&app, body("One Title")).await;
            assert_eq!(made["name"], "One Title");
            assert_eq!(made["version"], 1);
            let native = app.get(&format!("/v1/workflows/{name}")).await.expect(200);
            assert_eq!(native["uniqueIdentifier"], made["uniqueIdentifier"]);
        }
        let id = id_of(&app.get(&format!("{ROOT}/one-title-3")).await.expect(200));
        app.delete(&format!("{ROOT}/{id}")).await.expect(200);
        assert_eq!(create(&app, body("One Title")).await["version"], 1);
        app.get("/v1/workflows/one-title-4").await.expect(200);
    });
}

#[test]
fn row_72_bad_bodies_are_400_with_paths() {
    with_app(|app| async move {
        let with = |field: &str, value: Value| {
            let mut body = body("Bad");
            body[field] = value;
            body
        };
        let mut unknown = transform(1, json!(1));
        unknown["activity"]["uniqueIdentifier"] = json!("tickets:no-such-platform");
        let mut cycle = transform(1, json!(1));
        cycle["dependencies"] = json!(["2"]);
        let steps = |steps: Value| with("workflowDefinition", steps);
        for (body, path) in [
            (with("triggerEvent", json!("ticket:no-such-thing")), "/triggerEvent"),
            (with("filters", json!({"a": {"~startz": 1}})), "/filters/a/~0startz"),
            (with("type", json!("ROBOT")), "/type"),
            (steps(json!([unknown])), "/workflowDefinition/0/activity"),
            (
                steps(json!([transform(1, json!(1)), transform(1, json!(2))])),
                "/workflowDefinition/1",
            ),
            (steps(json!([cycle, transform(2, json!(1))])), "/workflowDefinition/0/dependencies"),
        ] {
            let answer = app.post(ROOT, body).await.expect(400);
            assert_eq!(answer["status"], false, "{answer}");
            assert!(answer["message"].is_string() && answer["timestamp"].is_string());
            let errors = answer["errors"].as_array().expect("a list");
            let found = errors.iter().any(|error| {
                error["path"].as_str().is_some_and(|at| at.starts_with(path))
                    && error["code"].is_string()
                    && error["message"].is_string()
            });
            assert!(found, "{path}: {answer}");
        }
        app.post(ROOT, json!([1])).await.expect(400);
        let broken = app.request(Method::POST, ROOT).header("content-type", "application/json");
        assert_eq!(send(broken.body("{")).await.expect(400)["status"], false);
        assert!(items(&app.get(ROOT).await.expect(200)).is_empty());
    });
}

#[test]
fn row_73_109_lists_are_filtered_and_paged_from_zero() {
    with_app(|app| async move {
        for number in 0..5 {
            let mut body = body(&format!("Workflow {number}"));
            if number % 2 == 0 {
                body["teamId"] = json!("TEAM2");
                body["type"] = json!("WORKFLOW");
                body["subType"] = json!("AI_AGENT");
            }
            create(&app, body).await;
        }
        for (query, count, more) in [
            ("", 5, false),
            ("?teamId=TEAM2", 3, false),
            ("?type=MANUAL", 2, false),
            ("?subTypes=AI_AGENT", 3, false),
            ("?subTypes=WORKFLOW,AI_AGENT", 5, false),
            ("?page=0&limit=2", 2, true),
            ("?page=2&limit=2", 1, false),
            ("?page=3&limit=2", 0, false),
            ("?teamId=TEAM2&page=1&limit=2", 1, false),
        ] {
            let answer = app.get(&format!("{ROOT}{query}")).await.expect(200);
            assert_eq!(items(&answer).len(), count, "{query}");
            assert_eq!(answer["hasMore"], more, "{query}");
        }
        let mut names = Vec::new();
        for page in 0..3 {
            let answer = app.get(&format!("{ROOT}?page={page}&limit=2")).await.expect(200);
            names.extend(items(&answer).iter().map(|it| it["name"].clone()));
        }
        assert_eq!(names.len(), 5);
        names.dedup();
        assert_eq!(names.len(), 5);
        for query in ["?limit=0", "?page=-1", "?type=ROBOT", "?teamid=x"] {
            app.get(&format!("{ROOT}{query}")).await.expect(400);
        }
    });
}

#[test]
fn row_73_a_workflow_beyond_thena_is_listed_with_what_it_leaves_out() {
    with_app(|app| async move {
        app.save(json!({
            "name": "beyond",
            "timeout": "1h",
            "trigger": {"event": "ticket:created"},
            "steps": [{"id": "note", "activity": "workflows:transform-platform",
                "input": {"value": 1}}],
        }))
        .await;
        create(&app, body("Plain")).await;
        let answer = app.get(ROOT).await.expect(200);
        let [beyond, plain] = items(&answer).as_slice() else { panic!("two: {answer}") };
        assert_eq!(beyond["name"], "beyond");
        assert_eq!(beyond["extension"]["definition"]["timeout"], "1h");
        assert_eq!(beyond["extension"]["notInThena"][0]["pointer"], "/timeout");
        assert_eq!(beyond["workflowDefinition"][0]["stepIdentifier"], 1);
        assert!(plain.get("extension").is_none());
    });
}

#[test]
fn rows_74_75_76_an_update_is_a_new_version_and_old_ones_stay_readable() {
    with_app(|app| async move {
        let first = create(&app, body("Escalate")).await;
        let id = id_of(&first);
        let path = format!("{ROOT}/{id}");
        let change = json!({"name": "Escalate now", "metadata": {"purpose": "another"}});
        let second = app.patch(&path, change).await.expect(200);
        assert_eq!((&second["version"], &second["name"]), (&json!(2), &json!("Escalate now")));
        assert_eq!(second["uniqueIdentifier"], first["uniqueIdentifier"]);
        assert_ne!(second["uid"], first["uid"]);
        for kept in ["filters", "workflowDefinition", "triggerEvent", "teamId", "createdAt"] {
            assert_eq!(second[kept], first[kept], "{kept}");
        }
        for (number, change) in [
            (3, json!({"filters": {}})),
            (4, json!({"triggerEvent": "ticket:updated"})),
            (5, json!({"workflowDefinition": [transform(7, json!("x"))]})),
            (6, json!({"teamId": "OTHER"})),
            (7, json!({"executingAgent": "agent-2"})),
        ] {
            let changed = app.patch(&path, change.clone()).await.expect(200);
            assert_eq!(changed["version"], number, "{change}");
            assert_eq!(changed["metadata"]["purpose"], "another");
        }
        let newest = app.get(&path).await.expect(200);
        assert_eq!(newest["version"], 7);
        assert_eq!(newest["filters"], json!({}));
        assert_eq!(newest["triggerEvent"]["eventType"], "ticket:updated");
        assert_eq!(newest["workflowDefinition"][0]["stepIdentifier"], 7);
        assert_eq!(newest["executingAgent"], "agent-2");
        for place in [format!("{path}?version=1"), format!("{ROOT}/{}", text(&first["uid"]))] {
            let old = app.get(&place).await.expect(200);
            assert_eq!((&old["version"], &old["uid"]), (&json!(1), &first["uid"]), "{place}");
            assert_eq!(old["name"], "Escalate");
        }
        app.get(&format!("{path}?version=9")).await.expect(404);
        app.patch(&path, json!({"filters": {"a": {"~startz": 1}}})).await.expect(400);
        app.patch(&path, json!({"name": ""})).await.expect(400);
        app.patch(&path, json!({"unheardOf": 1})).await.expect(400);
        app.patch(&format!("{ROOT}/unknown"), json!({"name": "x"})).await.expect(404);
        assert_eq!(app.get(&path).await.expect(200)["version"], 7);
    });
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn row_78_a_deleted_workflow_starts_nothing_and_its_executions_stay() {
    with_app(|app| async move {
        let id = id_of(&create(&app, body("Escalate")).await);
        let run = publish(&app, "Title").await.remove(0);
        app.end_of(&run).await;
        app.delete(&format!("{ROOT}/{id}")).await.expect(200);
        assert!(publish(&app, "Title").await.is_empty());
        app.get(&format!("{ROOT}/{id}")).await.expect(404);
        app.delete(&format!("{ROOT}/{id}")).await.expect(404);
        assert!(items(&app.get(ROOT).await.expect(200)).is_empty());
        let left = app.get(&format!("{ROOT}/executions?workflowId={id}")).await.expect(200);
        assert_eq!(left["data"][0]["id"], *run);
        let tasks = app.get(&format!("{ROOT}/{run}/tasks")).await.expect(200);
        assert_eq!(items(&tasks).len(), 1);
    });
}

#[test]
fn row_79_toggle_flips_and_an_inactive_workflow_starts_nothing() {
    with_app(|app| async move {
        let id = id_of(&create(&app, body("Escalate")).await);
        let toggle = format!("{ROOT}/{id}/toggle");
        assert_eq!(app.post(&toggle, json!({})).await.expect(200)["isActive"], false);
        assert!(publish(&app, "Title").await.is_empty());
        // A change of a paused workflow leaves it paused, and is what runs once it is active.
        let changed = json!({"workflowDefinition": [transform(1, json!("second"))]});
        let changed = app.patch(&format!("{ROOT}/{id}"), changed).await.expect(200);
        assert_eq!((&changed["version"], &changed["isActive"]), (&json!(2), &json!(false)));
        assert!(publish(&app, "Title").await.is_empty());
        let active = app.post(&toggle, json!({})).await.expect(200);
        assert_eq!((&active["version"], &active["isActive"]), (&json!(2), &json!(true)));
        let run = publish(&app, "Title").await.remove(0);
        assert_eq!(app.end_of(&run).await["version"], 2);
        let off = app.patch(&format!("{ROOT}/{id}"), json!({"isActive": false})).await;
        assert_eq!(off.expect(200)["isActive"], false);
        assert!(publish(&app, "Title").await.is_empty());
        let mut draft = body("Begins paused");
        draft["isActive"] = json!(false);
        assert_eq!(create(&app, draft).await["isActive"], false);
        assert!(publish(&app, "Title").await.is_empty());
        app.post(&format!("{ROOT}/unknown/toggle"), json!({})).await.expect(404);
    });
}

#[test]
fn row_77_an_update_leaves_what_has_begun_on_its_version() {
    with_app(|app| async move {
        let mut first = body("Escalate");
        first["workflowDefinition"] = json!([sleep(1, "1s"), transform(2, json!("first"))]);
        let id = id_of(&create(&app, first).await);
        let run = publish(&app, "Title").await.remove(0);
        app.until(&run, "waiting").await;
        let change = json!({"workflowDefinition": [transform(2, json!("second"))]});
        app.patch(&format!("{ROOT}/{id}"), change).await.expect(200);
        let ended = app.end_of(&run).await;
        assert_eq!((&ended["version"], &ended["status"]), (&json!(1), &json!("succeeded")));
    });
}

fn sleep(number: u32, duration: &str) -> Value {
    json!({
        "stepIdentifier": number,
        "activity": {"uniqueIdentifier": "workflows:sleep-platform"},
        "input": {"duration": duration},
        "isSleepActivity": true,
    })
}

#[test]
fn rows_84_85_executions_are_filtered_and_carry_their_context() {
    with_app(|app| async move {
        let made = create(&app, body("Escalate")).await;
        let id = id_of(&made);
        let mut runs = Vec::new();
        for _ in 0..3 {
            let run = publish(&app, "Title").await.remove(0);
            app.end_of(&run).await;
            runs.push(run);
        }
        app.patch(&format!("{ROOT}/{id}"), json!({"teamId": "T2"})).await.expect(200);
        let last = publish(&app, "Title").await.remove(0);
        app.end_of(&last).await;
        runs.push(last);
        runs.reverse();
        let of = |query: &str| format!("{ROOT}/executions?workflowId={id}{query}");
        let all = app.get(&of("")).await.expect(200);
        let ids: Vec<&str> = items(&all).iter().map(|it| text(&it["id"])).collect();
        assert_eq!(ids, runs, "newest first");
        let started = text(&all["data"][2]["startedAt"]).to_owned();
        for (query, count) in [
            ("&version=1".to_owned(), 3),
            ("&version=2".to_owned(), 1),
            ("&status=FINISHED".to_owned(), 4),
            ("&status=COMPLETED".to_owned(), 4),
            ("&status=FAILED,FINISHED".to_owned(), 4),
            ("&status=RUNNING".to_owned(), 0),
            ("&status=PENDING".to_owned(), 0),
            ("&from=2020-01-01T00:00:00Z".to_owned(), 4),
            ("&from=1577836800".to_owned(), 4),
            ("&from=1577836800000&to=4102444800000".to_owned(), 4),
            ("&to=2020-01-01".to_owned(), 0),
            ("&from=4102444800".to_owned(), 0),
            ("&page=0&limit=3".to_owned(), 3),
            ("&page=1&limit=3".to_owned(), 1),
            (format!("&to={started}"), 2),
        ] {
            let answer = app.get(&of(&query)).await.expect(200);
            assert_eq!(items(&answer).len(), count, "{query}");
        }
        for name in ["escalate", text(&made["uid"])] {
            let named = app.get(&format!("{ROOT}/executions?workflowId={name}")).await;
            assert_eq!(items(&named.expect(200)).len(), 4, "{name}");
        }
        app.get(&format!("{ROOT}/executions")).await.expect(400);
        app.get(&of("&status=DONE")).await.expect(400);
        app.get(&of("&from=yesterday")).await.expect(400);
        app.get(&format!("{ROOT}/executions?workflowId=unknown")).await.expect(404);

        let execution = &all["data"][3];
        assert_eq!(execution["workflowId"], *id);
        assert_eq!((&execution["version"], &execution["status"]), (&json!(1), &json!("FINISHED")));
        assert!(execution["startedAt"].is_string() && execution["lastUpdatedAt"].is_string());
        let event = &execution["context"]["event"];
        let message = &event["message"];
        assert_eq!(message["eventType"], "ticket:created");
        assert_eq!(message["payload"]["ticket"]["title"], "Title");
        assert!(message["eventId"].is_string() && message["actor"].is_object());
        assert_eq!(event["messageAttributes"]["event_name"], "ticket:created");
        assert_eq!(execution["context"]["steps"]["1"]["status"], "succeeded");
    });
}

#[test]
fn rows_86_87_88_states_and_tasks_of_runs_that_sleep_fail_and_are_undone() {
    with_app(|app| async move {
        let mut napping = body("Naps");
        napping["workflowDefinition"] = json!([transform(1, json!("a")), sleep(2, "1h")]);
        let naps = id_of(&create(&app, napping).await);
        let run = publish(&app, "Title").await.remove(0);
        app.until(&run, "waiting").await;
        let list = format!("{ROOT}/executions?workflowId={naps}&status=SUSPENDED");
        assert_eq!(app.get(&list).await.expect(200)["data"][0]["status"], "SUSPENDED");
        let tasks = app.get(&format!("{ROOT}/{run}/tasks")).await.expect(200);
        let [first, nap] = items(&tasks).as_slice() else { panic!("two: {tasks}") };
        assert_eq!((&first["stepIdentifier"], &first["status"]), (&json!(1), &json!("FINISHED")));
        assert_eq!(first["activity"], "workflows:transform-platform");
        assert_eq!(first["input"]["value"], "a");
        assert!(!first["result"].is_null());
        assert!(first["executionTime"].as_f64().is_some_and(|seconds| seconds < 10.0));
        assert_eq!((&first["isRetry"], &first["isCompensation"]), (&json!(false), &json!(false)));
        assert_eq!((&nap["stepIdentifier"], &nap["status"]), (&json!(2), &json!("STARTED")));
        assert_eq!(nap["activity"], "workflows:sleep-platform");
        app.delete(&format!("{ROOT}/{naps}")).await.expect(200);

        let mut failing = body("Fails");
        let account = json!({
            "stepIdentifier": 1,
            "activity": {"uniqueIdentifier": "accounts:create-account-platform"},
            "input": {"name": "ACME", "primaryDomain": "acme.example"},
            "onFailure": "COMPENSATE",
        });
        let mut missing = account.clone();
        missing["stepIdentifier"] = json!(2);
        missing["activity"]["uniqueIdentifier"] = json!("accounts:get-account-platform");
        missing["input"] = json!({"id": "none"});
        failing["workflowDefinition"] = json!([account, missing]);
        let fails = id_of(&create(&app, failing).await);
        let run = publish(&app, "Title").await.remove(0);
        app.end_of(&run).await;
        let list = format!("{ROOT}/executions?workflowId={fails}&status=FAILED");
        assert_eq!(app.get(&list).await.expect(200)["data"][0]["id"], *run);
        let tasks = app.get(&format!("{ROOT}/{run}/tasks")).await.expect(200);
        let told: Vec<_> = items(&tasks)
            .iter()
            .map(|it| {
                (it["stepIdentifier"].clone(), text(&it["status"]), it["isCompensation"] == true)
            })
            .collect();
        assert_eq!(
            told,
            [
                (json!(1), "FINISHED", false),
                (json!(2), "FAILED", false),
                (json!(1), "FINISHED", true)
            ]
        );
        app.get(&format!("{ROOT}/run_unknown/tasks")).await.expect(404);
    });
}

#[test]
fn rows_2_48_50_the_registries_list_events_operators_and_activities() {
    with_app(|app| async move {
        let events = app.get(&format!("{ROOT}/events?teamId=T1")).await.expect(200);
        let created = items(&events).iter().find(|it| it["eventType"] == "ticket:created");
        let created = created.expect("it is built in");
        for field in ["uid", "eventName", "eventType", "source", "description", "id", "name"] {
            assert!(created[field].is_string(), "{field}");
        }
        assert_eq!(created["isActive"], true);
        assert!(created["schema"].is_object());

        let activities = app.get(&format!("{ROOT}/activities?teamId=T1")).await.expect(200);
        let find = |name: &str| items(&activities).iter().find(|it| it["uniqueIdentifier"] == name);
        for name in [
            "tickets:create-ticket-platform",
            "tickets:update-ticket-platform",
            "accounts:create-account-platform",
            "workflows:sleep-platform",
            "communications:get-comment-threads-platform",
        ] {
            let activity = find(name).unwrap_or_else(|| panic!("{name} is missing"));
            for field in ["id", "name", "description", "category"] {
                assert!(activity[field].is_string(), "{name}: {field}");
            }
            assert!(activity["version"].is_u64() && activity["isActive"] == true);
            assert!(activity["inputSchema"].is_object());
        }

        let filters = app.get(&format!("{ROOT}/filters")).await.expect(200);
        assert_eq!(items(&filters).len(), 20);
        assert!(items(&filters).iter().all(|it| it["kind"].is_string()));
    });
}

#[test]
fn rows_106_108_refusals_have_thenas_envelope() {
    with_app(|app| async move {
        let bare = send(app.client.get(format!("{}{ROOT}", app.base))).await;
        assert_eq!(bare.header("content-type"), Some("application/json"));
        let bare = bare.expect(401);
        assert_eq!((&bare["status"], &bare["code"]), (&json!(false), &json!("unauthenticated")));
        let by_key = app.client.get(format!("{}{ROOT}", app.base)).header("x-api-key", &app.key);
        send(by_key).await.expect(200);
        for (method, path, status) in [
            (Method::GET, "/api/v1/workflows/unknown", 404),
            (Method::GET, "/api/v1/nothing", 404),
            (Method::PUT, "/api/v1/workflows", 405),
        ] {
            let answer = send(app.request(method, path)).await.expect(status);
            assert_eq!(answer["status"], false, "{path}");
            assert!(answer["message"].is_string() && answer["timestamp"].is_string(), "{answer}");
        }
        let native = app.get("/v1/workflows/unknown").await.expect(404);
        assert_eq!(native["status"], 404, "our own API keeps its problem documents");
    });
}

#[test]
fn row_107_rate_limits_are_told_and_kept() {
    let slow = |config: &mut ergane::config::Config| {
        config.http.requests_per_second = 1;
        config.http.requests_burst = 3;
    };
    with_config(slow, |app| async move {
        let first = app.get(ROOT).await;
        for header in ["limit", "remaining", "reset", "ip", "userid", "orgid", "path"] {
            assert!(first.header(&format!("x-ratelimit-{header}")).is_some(), "{header}");
        }
        assert_eq!(first.header("x-ratelimit-path"), Some(ROOT));
        let reset = first.header("x-ratelimit-reset").and_then(|it| it.parse::<u64>().ok());
        assert!(reset.is_some_and(|seconds| seconds > 1_700_000_000), "unix seconds");
        for _ in 0..8 {
            let answer = app.get(ROOT).await;
            if answer.status == 429 {
                assert!(answer.header("retry-after").is_some());
                assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
                assert_eq!(answer.body["status"], false);
                return;
            }
        }
        panic!("the limit was never met");
    });
}

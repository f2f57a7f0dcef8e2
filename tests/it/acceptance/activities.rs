//! The activities that workflows are made of.

use serde_json::{Value, json};

use super::{by_hand, ended, events, failing, reach_inner_networks, stands, step, transform};
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

/// Saves a workflow of one step, runs it with `input` and returns the step.
async fn called(app: &TestApp, activity: &str, input: Value) -> Value {
    let name = activity.replace([':', '.'], "-");
    let definition = by_hand(
        &name,
        json!([{"id": "it", "activity": activity, "retry": {"attempts": 1},
            "input": "{{ trigger.payload }}"}]),
    );
    let answer = app.put(&format!("/v1/workflows/{name}"), definition).await;
    if answer.status != 200 && answer.status != 201 {
        // An input that is one expression is no object; then it is written out.
        let definition = by_hand(
            &name,
            json!([{"id": "it", "activity": activity, "retry": {"attempts": 1}, "input": input}]),
        );
        let answer = app.put(&format!("/v1/workflows/{name}"), definition).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    }
    let run = ended(app, &name, input).await;
    step(&run, "it").clone()
}

async fn done(app: &TestApp, activity: &str, input: Value) -> Value {
    let step = called(app, activity, input).await;
    assert_eq!(step["status"], "succeeded", "{activity}: {step:#}");
    step["output"].clone()
}

#[test]
fn row_50_the_registry_describes_every_activity() {
    with_app(async |app| {
        let body = app.get("/v1/activities").await.expect(200);
        let all = body["data"].as_array().expect("a list");
        assert!(all.len() >= 28, "{} activities", all.len());
        for one in all {
            for name in ["uniqueIdentifier", "name", "category", "source", "description"] {
                assert!(one[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {one}");
            }
            assert!(one["version"].as_u64().is_some_and(|version| version >= 1), "{one}");
            assert!(one["inputSchema"].is_object() && one.get("outputSchema").is_some(), "{one}");
            assert!(one["scopes"].is_array() && one["retry"].is_object(), "{one}");
            assert!(one["timeout"].is_string(), "{one}");
            let id = one["uniqueIdentifier"].as_str().expect("an identifier");
            let alone = app.get(&format!("/v1/activities/{id}")).await.expect(200);
            assert_eq!(&alone, one);
        }
        app.get("/v1/activities/no:such-platform").await.refused(404, "activity_not_found");
    });
}

#[test]
fn row_51_the_seed_activities_exist_and_run() {
    with_app(async |app| {
        let team = app.team().await;
        let input = json!({"title": "T", "requestorEmail": "a@example.com", "teamId": team});
        let ticket = done(&app, "tickets:create-ticket-platform", input).await;
        let input = json!({"id": ticket["id"], "priorityName": "urgent"});
        let updated = done(&app, "tickets:update-ticket-platform", input).await;
        assert_eq!(updated["priorityName"], "urgent");
        let input = json!({"name": "Wayne", "primaryDomain": "wayne.example"});
        done(&app, "accounts:create-account-platform", input).await;
        app.save(by_hand("pause", json!([{"id": "it", "sleep": "5ms"}]))).await;
        assert_eq!(ended(&app, "pause", json!({})).await["status"], "succeeded");
        let input = json!({"content": "hello", "ticketId": ticket["id"]});
        done(&app, "communications:create-comment-platform", input).await;
        let input = json!({"ids": [ticket["id"]]});
        done(&app, "communications:get-comment-threads-platform", input).await;
    });
}

#[test]
fn row_52_a_ticket_needs_title_requestor_and_team() {
    with_app(async |app| {
        let team = app.team().await;
        let whole = json!({"title": "T", "requestorEmail": "a@example.com", "teamId": team});
        for missing in ["title", "requestorEmail", "teamId"] {
            let mut input = whole.clone();
            input.as_object_mut().expect("an object").remove(missing);
            let step = called(&app, "tickets:create-ticket-platform", input).await;
            assert_eq!(step["status"], "failed", "{step:#}");
            assert!(step["error"].to_string().contains(missing), "{missing}: {}", step["error"]);
        }
        let ticket = done(&app, "tickets:create-ticket-platform", whole).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        assert_eq!(app.get(&path).await.expect(200)["title"], "T");
        assert_eq!(events(&app, "ticket:created").await.len(), 1);
    });
}

#[test]
fn row_53_an_update_takes_every_field_and_emits_its_events() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let agent = json!({"name": "Grace", "email": "grace@example.com"});
        app.post("/v1/users", agent).await.expect(201);
        let fields = json!({
            "title": "New", "description": "Long", "statusName": "On hold", "priorityName": "high",
            "sentimentName": "positive", "type": "PROBLEM", "tags": ["a", "b"],
            "assignedAgentEmail": "grace@example.com", "isEscalated": true, "isPrivate": true,
            "dueDate": "2026-12-01T00:00:00.000Z", "storyPoints": 5, "source": "EMAIL",
            "customFields": {"plan": "pro"}, "metadata": {"k": "v"},
        });
        let mut input = fields.clone();
        input["id"] = ticket["id"].clone();
        let updated = done(&app, "tickets:update-ticket-platform", input).await;
        for (name, value) in fields.as_object().expect("an object") {
            assert_eq!(&updated[name], value, "{name}");
        }
        for kind in [
            "updated",
            "status:changed",
            "priority:changed",
            "sentiment:changed",
            "type:changed",
            "tag:updated",
            "assigned",
            "escalated",
            "custom_field_value:added",
        ] {
            let all = events(&app, &format!("ticket:{kind}")).await;
            assert_eq!(all.len(), 1, "{kind}");
            assert!(all[0]["cause"]["runId"].is_string(), "{kind}: {}", all[0]);
        }
    });
}

#[test]
fn row_54_an_account_needs_name_and_domain_and_a_domain_names_one() {
    with_app(async |app| {
        for missing in ["name", "primaryDomain"] {
            let mut input = json!({"name": "Wayne", "primaryDomain": "wayne.example"});
            input.as_object_mut().expect("an object").remove(missing);
            let step = called(&app, "accounts:create-account-platform", input).await;
            assert_eq!(step["status"], "failed");
            assert!(step["error"].to_string().contains(missing), "{}", step["error"]);
        }
        let input = json!({"name": "Wayne", "primaryDomain": "https://www.wayne.example/"});
        let made = done(&app, "accounts:create-account-platform", input).await;
        assert_eq!(made["primaryDomain"], "wayne.example");
        let input = json!({"name": "Other", "primaryDomain": "wayne.example"});
        let again = called(&app, "accounts:create-account-platform", input).await;
        assert_eq!(again["status"], "failed", "{again:#}");
        let body = json!({"name": "Other", "primaryDomain": "wayne.example"});
        app.post("/v1/accounts", body).await.refused(409, "duplicate");
        let accounts = app.get("/v1/accounts").await.expect(200);
        assert_eq!(accounts["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn row_56_comment_threads_have_replies_under_parents() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let place = format!("/v1/tickets/{}/comments", ticket["id"].as_str().expect("an id"));
        let first = app.post(&place, json!({"content": "one"})).await.expect(201);
        app.post(&place, json!({"content": "two"})).await.expect(201);
        let reply = json!({"content": "three", "parentCommentId": first["id"]});
        app.post(&place, reply).await.expect(201);
        let input = json!({"ticketId": ticket["id"]});
        let activity = "communications:get-comment-threads-platform";
        let output = done(&app, activity, input).await;
        assert_eq!(output["threads"].as_array().map(Vec::len), Some(2), "{output:#}");
        assert_eq!(output["threads"][0]["content"], "one");
        assert!(output["threads"][0].to_string().contains("three"), "{output:#}");
        let output = done(&app, activity, json!({"ids": [first["id"]]})).await;
        assert_eq!(output["threads"].as_array().map(Vec::len), Some(1));
        let nothing = called(&app, activity, json!({"ids": ["no-such"]})).await;
        assert_eq!(nothing["status"], "failed");
    });
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn row_58_each_action_of_the_guide_has_an_activity() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let agent = json!({"name": "Grace", "email": "grace@example.com"});
        let agent = app.post("/v1/users", agent).await.expect(201);
        let account = json!({"name": "Wayne", "primaryDomain": "wayne.example"});
        let account = app.post("/v1/accounts", account).await.expect(201);
        let id = &ticket["id"];
        let comment = json!({"content": "hi", "ticketId": id});
        let comment = done(&app, "communications:create-comment-platform", comment).await;
        for (activity, input, name, expected) in [
            (
                "tickets:assign-ticket-platform",
                json!({"id": id, "assignedAgentId": agent["id"]}),
                "assignedTo",
                agent["id"].clone(),
            ),
            ("tickets:escalate-ticket-platform", json!({"id": id}), "isEscalated", json!(true)),
            (
                "tickets:add-tags-platform",
                json!({"id": id, "tags": ["a", "b"]}),
                "tags",
                json!(["a", "b"]),
            ),
            (
                "tickets:remove-tags-platform",
                json!({"id": id, "tags": ["a"]}),
                "tags",
                json!(["b"]),
            ),
            ("tickets:archive-ticket-platform", json!({"id": id}), "isArchived", json!(true)),
            ("tickets:unarchive-ticket-platform", json!({"id": id}), "isArchived", json!(false)),
            ("tickets:get-ticket-platform", json!({"id": id}), "id", id.clone()),
            ("tickets:search-tickets-platform", json!({"q": "printer"}), "total", json!(1)),
            (
                "communications:update-comment-platform",
                json!({"id": comment["id"], "content": "ho"}),
                "content",
                json!("ho"),
            ),
            (
                "communications:add-reaction-platform",
                json!({"id": comment["id"], "emoji": "eyes", "userId": agent["id"]}),
                "id",
                comment["id"].clone(),
            ),
            (
                "communications:delete-comment-platform",
                json!({"id": comment["id"]}),
                "id",
                comment["id"].clone(),
            ),
            (
                "accounts:update-account-platform",
                json!({"id": account["id"], "name": "W"}),
                "name",
                json!("W"),
            ),
            ("accounts:get-account-platform", json!({"id": "wayne.example"}), "name", json!("W")),
            (
                "accounts:create-note-platform",
                json!({"accountId": account["id"], "content": "n"}),
                "content",
                json!("n"),
            ),
            (
                "accounts:create-task-platform",
                json!({"accountId": account["id"], "title": "t", "assigneeId": agent["id"]}),
                "title",
                json!("t"),
            ),
            ("teams:get-team-platform", json!({"id": team}), "name", json!("Support")),
            ("users:get-user-platform", json!({"id": "grace@example.com"}), "name", json!("Grace")),
            ("tickets:delete-ticket-platform", json!({"id": id}), "id", id.clone()),
        ] {
            let output = done(&app, activity, input).await;
            if name == "total" {
                assert!(output["items"].as_array().is_some_and(|all| all.len() == 1), "{output}");
            } else {
                assert_eq!(output[name], expected, "{activity}: {output:#}");
            }
        }
        app.get(&format!("/v1/tickets/{}", id.as_str().expect("an id"))).await.expect(404);
    });
}

#[test]
fn row_59_utilities_shape_data_call_http_and_publish() {
    with_config(reach_inner_networks, async |app| {
        let peer =
            Peer::start(|_, received| Reply::Status(200, json!({"got": received.body}))).await;
        let shaped = json!({"from": {"a": 1, "b": 2}, "pick": ["a"], "set": {"c": 3}});
        let output = done(&app, "workflows:transform-platform", shaped).await;
        assert_eq!(output, json!({"a": 1, "c": 3}));
        let call = json!({"method": "POST", "url": format!("{}/x?y=1", peer.url),
            "headers": {"X-Team": "support"}, "body": {"n": 5}});
        let output = done(&app, "workflows:http-request-platform", call).await;
        assert_eq!((&output["status"], &output["body"]["got"]["n"]), (&json!(200), &json!(5)));
        let received = peer.received().remove(0);
        assert_eq!((received.path.as_str(), received.header("x-team")), ("/x?y=1", "support"));
        assert!(received.header("idempotency-key").ends_with("/it"), "{}", received.head);
        let publish = json!({"type": "order:paid", "payload": {"n": 1}, "subject": "order-1"});
        done(&app, "workflows:publish-event-platform", publish).await;
        let published = events(&app, "order:paid").await.remove(0);
        assert_eq!(
            (&published["payload"], &published["subject"]),
            (&json!({"n": 1}), &json!("order-1"))
        );
        assert_eq!(published["cause"]["depth"], 1);
    });
}

#[test]
fn calls_to_inner_addresses_are_refused_unless_allowed() {
    with_app(async |app| {
        let peer = Peer::friendly().await;
        for url in [
            peer.url.clone(),
            "http://localhost:1/".to_owned(),
            "http://169.254.169.254/latest".to_owned(),
            "http://[::1]:1/".to_owned(),
            "http://[::ffff:127.0.0.1]:1/".to_owned(),
            "http://0x7f.1/".to_owned(),
            "file:///etc/passwd".to_owned(),
            "http://10.0.0.1/".to_owned(),
        ] {
            let step = called(&app, "workflows:http-request-platform", json!({"url": url})).await;
            assert_eq!(step["status"], "failed", "{url}: {step:#}");
            assert_eq!(step["error"]["class"], "terminal", "{url}: {step:#}");
        }
        assert!(peer.received().is_empty());
    });
}

#[test]
fn row_62_the_resolved_input_is_checked_before_the_call_and_names_the_path() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::friendly().await;
        app.save(by_hand(
            "w",
            json!([{"id": "it", "activity": "workflows:http-request-platform",
                "input": {"url": peer.url, "method": "{{ trigger.payload.method }}"}}]),
        ))
        .await;
        let run = ended(&app, "w", json!({"method": "FETCH"})).await;
        let it = step(&run, "it");
        assert_eq!((&run["status"], &it["status"]), (&json!("failed"), &json!("failed")));
        assert!(it["error"].to_string().contains("method"), "{}", it["error"]);
        assert!(peer.received().is_empty(), "nothing was called");
        assert_eq!(it["attempts"].as_array().map(Vec::len), Some(1), "a wrong input stays wrong");
    });
}

#[test]
fn row_63_the_answer_is_kept_as_the_steps_output() {
    with_config(reach_inner_networks, async |app| {
        let peer = Peer::start(|_, _| Reply::Status(200, json!({"id": "remote-1"}))).await;
        let call = json!({"url": peer.url});
        let output = done(&app, "workflows:http-request-platform", call).await;
        assert_eq!(output["body"]["id"], "remote-1");
        let one = app.get("/v1/activities/workflows:http-request-platform").await.expect(200);
        for name in one["outputSchema"]["required"].as_array().expect("names") {
            assert!(output.get(name.as_str().expect("a name")).is_some(), "{name} of {output}");
        }
    });
}

#[test]
fn row_65_a_version_can_be_pinned_and_unknown_ones_are_refused() {
    with_app(async |app| {
        let pinned = |version: u32| {
            by_hand(
                "w",
                json!([{"id": "it", "input": {"output": 1},
                "activity": format!("workflows:transform-platform@{version}")}]),
            )
        };
        app.save(pinned(1)).await;
        assert_eq!(ended(&app, "w", json!({})).await["status"], "succeeded");
        let problem = app.put("/v1/workflows/w", pinned(99)).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/steps/0/activity");
        assert_eq!(problem["errors"][0]["code"], "unknown_version");
    });
}

#[test]
fn row_68_templates_stand_in_any_string_and_keep_the_type_of_a_whole_value() {
    with_app(async |app| {
        let shown = json!({
            "number": "{{ trigger.payload.n }}",
            "list": "{{ context.event.message.payload.list }}",
            "object": "{{trigger.payload.o}}",
            "text": "n is {{ trigger.payload.n }}, and {{ trigger.payload.o.x }}",
            "deep": [{"flag": "{{ trigger.payload.flag }}"}],
            "default": "{{ trigger.payload.none | default('nobody') }}",
            "plain": "no braces",
        });
        app.save(by_hand("w", json!([transform("show", shown)]))).await;
        let payload = json!({"n": 5, "list": [1, "2"], "o": {"x": null}, "flag": true});
        let run = ended(&app, "w", payload).await;
        let output = &step(&run, "show")["output"];
        for (name, expected) in [
            ("number", json!(5)),
            ("list", json!([1, "2"])),
            ("object", json!({"x": null})),
            ("deep", json!([{"flag": true}])),
            ("default", json!("nobody")),
            ("plain", json!("no braces")),
        ] {
            assert_eq!(output[name], expected, "{run:#}");
        }
        assert!(output["text"].as_str().is_some_and(|text| text.starts_with("n is 5, and")));
    });
}

#[test]
fn row_69_a_later_step_reads_an_earlier_result_and_unknown_references_are_refused() {
    with_app(async |app| {
        let two = |reference: &str| {
            by_hand(
                "w",
                json!([
                    transform("one", json!({"n": 5})),
                    transform("two", json!(format!("{{{{ {reference} }}}}")))
                ]),
            )
        };
        app.save(two("steps.one.output.n")).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(step(&run, "two")["output"], 5);
        app.put("/v1/workflows/w", two("context.steps.one.result.n")).await.expect(200);
        let run = ended(&app, "w", json!({})).await;
        assert_eq!(step(&run, "two")["output"], 5);
        for (reference, code) in [
            ("steps.none.output", "unknown_step"),
            ("steps.two.output", "step_order"),
            ("nothing.at.all", "unknown_root"),
        ] {
            let problem = app.put("/v1/workflows/w", two(reference)).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["code"], code, "{reference}: {problem}");
            let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
            assert!(pointer.starts_with("/steps/1/input"), "{pointer}");
        }
        // What cannot be known at the save fails the step, with the path.
        app.put("/v1/workflows/w", two("trigger.payload.missing.deep")).await.expect(200);
        let run = ended(&app, "w", json!({})).await;
        stands(&run, "one=succeeded two=failed");
        assert!(step(&run, "two")["error"].to_string().contains("missing"), "{run:#}");
    });
}

#[test]
fn a_failing_step_says_what_why_and_where() {
    with_app(async |app| {
        app.save(by_hand("w", json!([failing("it")]))).await;
        let run = ended(&app, "w", json!({})).await;
        assert_eq!((&run["status"], &run["error"]["step"]), (&json!("failed"), &json!("it")));
        assert!(run["error"]["message"].to_string().contains("no-such-ticket"), "{run:#}");
        assert_eq!(run["error"]["code"], step(&run, "it")["error"]["code"]);
    });
}

//! What is sent to each system, and what is made of its answers.

use serde_json::{Value, json};

use crate::peer::{Peer, Reply};

use super::elsewhere::Elsewhere;
use super::{CANARY, connect, connect_all, run_of, step, step_of, verb, with_outside};

#[test]
fn an_issue_is_made_in_jira_with_all_that_it_was_given() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let input = json!({"summary": "Printer on fire", "description": "Smoke.\n\nCall Ada.",
            "priority": "High", "assigneeId": "a1", "labels": ["fire"], "dueDate": "2026-12-01",
            "fields": {"customfield_1": 5}});
        let made = step_of(&app, "jira.createIssue", input).await;
        assert_eq!(made["status"], "succeeded", "{made}");
        assert_eq!(made["output"]["key"], "OPS-100", "{made}");
        assert_eq!(made["output"]["url"], "https://acme.atlassian.net/browse/OPS-100");
        let received = &elsewhere.peer.received()[0];
        assert_eq!((verb(received), &*received.path), ("POST", "/jira/rest/api/3/issue"));
        // ada@example.com and the token, as RFC 7617 has it.
        let expected = "Basic YWRhQGV4YW1wbGUuY29tOmNhbmFyeS00YzFlLWRvLW5vdC1zaG93";
        assert_eq!(received.header("authorization"), expected);
        let fields = &received.body["fields"];
        assert_eq!(fields["project"], json!({"key": "OPS"}));
        assert_eq!(fields["issuetype"], json!({"name": "Task"}));
        assert_eq!(fields["priority"], json!({"name": "High"}));
        assert_eq!(fields["assignee"], json!({"accountId": "a1"}));
        assert_eq!(
            (&fields["duedate"], &fields["customfield_1"]),
            (&json!("2026-12-01"), &json!(5))
        );
        assert_eq!(fields["description"]["content"][1]["content"][0]["text"], "Call Ada.");
        let labels = fields["labels"].as_array().expect("labels");
        assert_eq!(labels[0], "fire");
        assert!(labels[1].as_str().is_some_and(|label| label.starts_with("ergane-")), "{fields}");
    });
}

#[test]
fn jira_says_why_it_refuses_and_moves_an_issue_once() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let refused = step_of(&app, "jira.createIssue", json!({"summary": "refuse"})).await;
        assert_eq!(refused["error"]["code"], "http_400");
        let told = refused["error"]["message"].as_str().expect("a message");
        assert!(told.contains("priority: Priority is not on the screen."), "{told}");
        let to = |to: &str| json!({"issue": "OPS-1", "to": to});
        let moved = step_of(&app, "jira.transitionIssue", to("done")).await;
        assert_eq!(moved["output"]["status"], "Done", "{moved}");
        let posts = |path: &str| {
            let all = elsewhere.peer.received();
            all.iter().filter(|it| verb(it) == "POST" && it.path.ends_with(path)).count()
        };
        assert_eq!(posts("/transitions"), 1);
        let again = step_of(&app, "jira.transitionIssue", to("Done")).await;
        assert_eq!((&again["output"]["status"], posts("/transitions")), (&json!("Done"), 1));
        let lost = step_of(&app, "jira.transitionIssue", to("Nowhere")).await;
        assert_eq!(lost["error"]["code"], "transition_unknown");
        assert_eq!(lost["error"]["details"]["possible"], json!(["In Progress", "Done"]));
        let read = step_of(&app, "jira.getIssue", json!({"issue": "OPS-1"})).await;
        assert_eq!(
            (&read["output"]["summary"], &read["output"]["status"]),
            (&json!("Old"), &json!("Done"))
        );
        let changed = json!({"issue": "OPS-1", "summary": "New"});
        let changed = step_of(&app, "jira.updateIssue", changed).await;
        assert_eq!(changed["output"], json!({"ok": true, "issue": "OPS-1"}));
        let sent = elsewhere.peer.received().pop().expect("a request");
        assert_eq!((verb(&sent), &sent.body), ("PUT", &json!({"fields": {"summary": "New"}})));
        let gone = step_of(&app, "jira.getIssue", json!({"issue": "OPS-9"})).await;
        assert_eq!(gone["error"]["code"], "http_404");
    });
}

#[test]
fn linear_gets_an_id_that_follows_from_the_step() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let input = json!({"title": "Fire", "priority": 1, "labelIds": ["l1"]});
        let made = step_of(&app, "linear.createIssue", input).await;
        assert_eq!(made["output"]["identifier"], "ENG-1", "{made}");
        let received = &elsewhere.peer.received()[0];
        assert_eq!(
            (&*received.path, received.header("authorization")),
            ("/linear/graphql", CANARY)
        );
        let input = &received.body["variables"]["input"];
        assert_eq!((&input["teamId"], &input["title"]), (&json!("team-1"), &json!("Fire")));
        assert_eq!((&input["priority"], &input["labelIds"]), (&json!(1), &json!(["l1"])));
        assert_eq!(
            (&input["id"], input["id"].as_str().map(str::len)),
            (&made["output"]["id"], Some(36))
        );
        let unknown = step_of(&app, "linear.getIssue", json!({"id": "ENG-9"})).await;
        assert_eq!(unknown["error"]["code"], "graphql_errors", "{unknown}");
        let told = unknown["error"]["message"].as_str().unwrap_or_default();
        assert!(told.contains("it: Entity not found"), "{told}");
        let changed = step_of(&app, "linear.updateIssue", json!({"id": "i1", "title": "x"})).await;
        assert_eq!(changed["output"]["title"], "x", "{changed}");
    });
}

#[test]
fn slack_finds_people_and_speaks_to_them_alone() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let found = step_of(&app, "slack.lookupUser", json!({"email": "ada@example.com"})).await;
        assert_eq!(
            (&found["output"]["id"], &found["output"]["realName"]),
            (&json!("U1"), &json!("Ada")),
            "{found}"
        );
        let opened = step_of(&app, "slack.openDirectMessage", json!({"users": ["U1", "U2"]})).await;
        assert_eq!(opened["output"]["channel"], "D1", "{opened}");
        let whisper = json!({"channel": "C1", "user": "U1", "text": "psst"});
        let whisper = step_of(&app, "slack.postEphemeral", whisper).await;
        assert_eq!(whisper["status"], "succeeded", "{whisper}");
        let post = json!({"channel": "C1", "blocks": [{"type": "divider"}], "thread_ts": "1.2",
            "reply_broadcast": true, "unfurl_links": false});
        let post = step_of(&app, "slack.postMessage", post).await;
        assert_eq!(post["status"], "succeeded", "{post}");
        let received = elsewhere.peer.received();
        let looked_up = &received[0];
        assert_eq!(
            (verb(looked_up), &*looked_up.path),
            ("GET", "/slack/users.lookupByEmail?email=ada%40example.com")
        );
        assert_eq!(received[1].body, json!({"users": "U1,U2"}));
        assert_eq!(received[2].body, json!({"channel": "C1", "user": "U1", "text": "psst"}));
        let body = &received[3].body;
        assert_eq!(
            (&body["thread_ts"], &body["reply_broadcast"], &body["unfurl_links"]),
            (&json!("1.2"), &json!(true), &json!(false))
        );
        assert_eq!(body["metadata"]["event_type"], "ergane_step");
        assert!(received.iter().all(|it| it.header("authorization") == format!("Bearer {CANARY}")));
        let silent = json!({"name": "t", "trigger": {"event": "a:b"},
            "steps": [step("it", "slack.postMessage", json!({"channel": "C1"}))]});
        app.post("/v1/workflows/validate", silent).await.expect(200);
    });
}

fn completion(text: &str) -> Value {
    json!({"id": "c1", "model": "gpt-x-1", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": text, "refusal": null}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}})
}

#[test]
fn thena_61_a_model_is_asked_and_what_it_took_is_summed_up() {
    with_outside(|app| async move {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Later(1),
            1 => Reply::Status(200, completion("Not JSON")),
            2 => Reply::Status(200, completion(r#"{"urgent": true}"#)),
            3 => Reply::Status(
                429,
                json!({"error": {"message": "You exceeded your quota",
                "type": "insufficient_quota", "code": "insufficient_quota"}}),
            ),
            _ => Reply::Status(401, json!({"error": {"message": format!("Wrong key {CANARY}")}})),
        })
        .await;
        connect_all(&app, &peer.url).await;
        let schema = json!({"type": "object", "properties": {"urgent": {"type": "boolean"}},
            "required": ["urgent"], "additionalProperties": false});
        let input = json!({"system": "Judge.", "prompt": "Is {{trigger.payload.n}} urgent?",
            "temperature": 0, "maxTokens": 50, "responseSchema": schema});
        let told = step_of(&app, "ai.prompt", input.clone()).await;
        assert_eq!(told["output"]["json"], json!({"urgent": true}), "{told}");
        assert_eq!(told["attempts"].as_array().map(Vec::len), Some(3), "{told}");
        let usage = json!({"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100,
            "cost": 0.0035, "currency": "USD"});
        assert_eq!(told["output"]["usage"], usage);
        let received = peer.received();
        assert_eq!((verb(&received[0]), &*received[0].path), ("POST", "/ai/chat/completions"));
        assert_eq!(
            received[2].body,
            json!({"model": "gpt-x", "temperature": 0, "max_tokens": 50,
            "messages": [{"role": "system", "content": "Judge."},
                {"role": "user", "content": "Is 7 urgent?"}],
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "answer", "strict": true, "schema": schema}}})
        );
        // The answer that was no JSON was paid for as well.
        let summed = app.get("/v1/system/ai-usage").await.expect(200);
        assert_eq!(
            (&summed["data"][0]["workflow"], &summed["data"][0]["model"]),
            (&json!("tell"), &json!("gpt-x-1")),
            "{summed}"
        );
        assert_eq!(
            summed["total"],
            json!({"calls": 2, "inputTokens": 2000, "outputTokens": 200,
            "cost": {"USD": 0.007}})
        );
        let later = app.get("/v1/system/ai-usage?since=2999-01-01T00:00:00Z").await.expect(200);
        assert_eq!(later["total"]["calls"], 0);
        let poor = step_of(&app, "ai.prompt", input.clone()).await;
        assert_eq!(poor["attempts"].as_array().map(Vec::len), Some(1), "{poor}");
        assert!(poor["error"]["message"].as_str().is_some_and(|it| it.contains("your quota")));
        let stranger = step_of(&app, "ai.prompt", input).await;
        assert_eq!(stranger["error"]["code"], "http_401", "{stranger}");
    });
}

#[test]
fn graphql_fails_with_the_paths_of_its_errors() {
    with_outside(|app| async move {
        let peer = Peer::start(|_, received| {
            let broken = json!({"message": "boom", "path": ["user", "posts", 0]});
            Reply::Status(
                200,
                match received.body["operationName"].as_str() {
                    Some("Half") => {
                        json!({"data": {"user": {"posts": [null]}}, "errors": [broken]})
                    }
                    _ => json!({"data": {"user": {"name": "Ada"}}}),
                },
            )
        })
        .await;
        let base = json!({"baseUrl": format!("{}/graphql", peer.url)});
        connect(&app, "shop", "http", base, json!({"token": CANARY})).await;
        let input = json!({"connection": "shop", "query": "query One($id: ID!) { user }",
            "variables": {"id": "{{trigger.payload.n}}"}, "operationName": "One"});
        let told = step_of(&app, "http.graphql", input).await;
        assert_eq!(told["output"]["data"], json!({"user": {"name": "Ada"}}), "{told}");
        let received = &peer.received()[0];
        assert_eq!(
            (&*received.path, received.header("authorization")),
            ("/graphql", &*format!("Bearer {CANARY}"))
        );
        assert_eq!(
            received.body,
            json!({"query": "query One($id: ID!) { user }",
            "variables": {"id": 7}, "operationName": "One"})
        );
        let half = json!({"url": format!("{}/graphql", peer.url), "query": "{ user }",
            "operationName": "Half"});
        let failed = step_of(&app, "http.graphql", half.clone()).await;
        assert_eq!(failed["error"]["code"], "graphql_errors", "{failed}");
        let told = failed["error"]["message"].as_str().expect("a message");
        assert!(told.starts_with("user.posts.0: boom") && told.contains("a part of the data"));
        let mut taken = half;
        taken["allowPartial"] = json!(true);
        let taken = step_of(&app, "http.graphql", taken).await;
        assert_eq!(taken["output"]["partial"], true, "{taken}");
    });
}

#[test]
fn a_saved_http_connection_says_who_asks_and_stays_with_its_host() {
    with_outside(|app| async move {
        let peer = Peer::friendly().await;
        let stranger = Peer::friendly().await;
        let shown = |name: &'static str, expected: String| (name, expected);
        let basic = "Basic YWRhOmNhbmFyeS00YzFlLWRvLW5vdC1zaG93".to_owned();
        for (auth, more, secret, (header, expected)) in [
            ("none", json!({}), "token", shown("authorization", String::new())),
            ("bearer", json!({}), "token", shown("authorization", format!("Bearer {CANARY}"))),
            ("basic", json!({"username": "ada"}), "password", shown("authorization", basic)),
            ("header", json!({"headerName": "X-Own"}), "apiKey", shown("x-own", CANARY.to_owned())),
            ("query", json!({"queryName": "k"}), "apiKey", shown("authorization", String::new())),
        ] {
            let mut settings = json!({"baseUrl": format!("{}/v2/", peer.url), "auth": auth,
                "headers": {"X-Team": "ops", "X-Version": "1"}});
            settings
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("it is").clone());
            connect(&app, auth, "http", settings, json!({secret: CANARY})).await;
            let input = json!({"connection": auth, "path": "/items", "query": {"x": 1},
                "headers": {"X-Version": "2"}});
            let done = step_of(&app, "workflows:http-request-platform", input).await;
            assert_eq!(done["status"], "succeeded", "{auth}: {done}");
            let received = peer.received().pop().expect("a request");
            assert_eq!(received.header(header), expected, "{auth}");
            assert_eq!((received.header("x-team"), received.header("x-version")), ("ops", "2"));
            let path = match auth {
                "query" => format!("/v2/items?x=1&k={CANARY}"),
                _ => "/v2/items?x=1".to_owned(),
            };
            assert_eq!(received.path, path);
        }
        let input = json!({"connection": "bearer", "url": format!("{}/x", stranger.url)});
        let refused = step_of(&app, "workflows:http-request-platform", input).await;
        assert_eq!(refused["error"]["code"], "connection_other_host", "{refused}");
        assert!(stranger.received().is_empty());
        let unsaid =
            step_of(&app, "workflows:http-request-platform", json!({"url": "items"})).await;
        assert_eq!(unsaid["error"]["code"], "invalid_url", "{unsaid}");
    });
}

#[test]
fn a_connection_that_is_not_believed_says_so_until_it_is() {
    with_outside(|app| async move {
        let peer = Peer::start(|_, received| match received.header("authorization") {
            "Bearer good" => Reply::Status(200, json!({})),
            _ => Reply::Status(401, json!({"error": "who are you?"})),
        })
        .await;
        let secrets = json!({"token": CANARY});
        connect(&app, "api", "http", json!({"baseUrl": peer.url}), secrets).await;
        let input = json!({"connection": "api", "path": "/x"});
        let call = || step_of(&app, "workflows:http-request-platform", input.clone());
        assert_eq!(app.get("/v1/connections/api").await.expect(200)["state"], "ok");
        assert_eq!(call().await["error"]["details"]["code"], "unauthorized");
        let told = app.get("/v1/connections/api").await.expect(200);
        assert_eq!(told["state"], "unauthorized", "{told}");
        assert!(told["unauthorized"]["since"].is_string(), "{told}");
        let tried = app.post("/v1/connections/api/test", json!({})).await.expect(200);
        assert_eq!((&tried["ok"], &tried["facts"]["code"]), (&json!(false), &json!("not_allowed")));
        let good = json!({"secrets": {"token": "good"}});
        let told = app.patch("/v1/connections/api", good).await.expect(200);
        assert_eq!(told["state"], "ok", "{told}");
        assert_eq!(call().await["status"], "succeeded");
    });
}

#[test]
fn every_app_tells_its_fields_and_can_be_tried_out() {
    with_outside(|app| async move {
        let elsewhere = Elsewhere::start().await;
        connect_all(&app, &elsewhere.peer.url).await;
        let listed = app.get("/v1/connection-apps").await.expect(200);
        let apps = listed["data"].as_array().expect("a list");
        let jira = apps.iter().find(|it| it["app"] == "jira").expect("Jira");
        assert!(
            jira["secrets"].as_array().expect("a list").iter().any(|it| it["name"] == "apiToken")
        );
        for (name, ok) in [("tracker", true), ("plan", true), ("model", false)] {
            let path = format!("/v1/connections/{name}/test");
            let found = app.post(&path, json!({})).await.expect(200);
            assert_eq!(found["ok"], ok, "{name}: {found}");
        }
        let wrong = json!({"name": "x", "app": "jira", "settings": {"baseUrl": "acme"}});
        let problem = app.post("/v1/connections", wrong).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/settings/baseUrl", "{problem}");
        let run =
            run_of(&app, json!([step("a", "jira.createIssue", json!({"summary": "x"}))])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    });
}

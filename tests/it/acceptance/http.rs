//! Who may ask, how often, how answers and refusals look, how lists are walked.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{echo, transform};
use crate::support::{send, with_app, with_config};

#[test]
fn row_106_every_route_but_the_public_ones_wants_a_key() {
    with_app(async |app| {
        let description = app.get("/v1/openapi.json").await.expect(200);
        let mut asked = 0;
        for (path, operations) in description["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else {
                    continue;
                };
                let is_public = operations[method.as_str().to_lowercase()]["security"]
                    .as_array()
                    .is_some_and(Vec::is_empty);
                if is_public || !path.starts_with("/v1/") {
                    continue;
                }
                let path = path.replace(['{', '}'], "");
                for key in [None, Some("wrong"), Some(""), Some("erg_wrong")] {
                    let request = app.client.request(method.clone(), format!("{}{path}", app.base));
                    let request = match key {
                        Some(key) => request.header("x-api-key", key),
                        None => request,
                    };
                    let answer = send(request).await;
                    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
                    answer.refused(401, "unauthenticated");
                    asked += 1;
                }
            }
        }
        assert!(asked > 100, "{asked} requests");
        let with_header = app.client.get(format!("{}/v1/keys", app.base));
        let keys = send(with_header.header("x-api-key", &app.key)).await.expect(200);
        assert!(!keys.to_string().contains(&app.key), "a key is never shown again");
    });
}

#[test]
fn row_107_the_rate_is_told_and_more_is_refused_until_the_reset() {
    let slow = |config: &mut ergane::config::Config| {
        config.http.requests_per_second = 1;
        config.http.requests_burst = 3;
    };
    with_config(slow, async |app| {
        let mut refused = None;
        for number in 0..8 {
            let answer = app.get("/v1/keys").await;
            let figure = |name: &str| -> u64 {
                let text = answer.header(name).unwrap_or_else(|| panic!("{name} in {number}"));
                text.parse().expect("a number")
            };
            assert!(figure("x-ratelimit-limit") >= 1);
            assert!(figure("x-ratelimit-remaining") <= 3);
            // Unix seconds, as Thena documents them.
            assert!(figure("x-ratelimit-reset") > 1_600_000_000, "reset is an instant");
            if answer.status == 429 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("a burst of eight is refused");
        assert!(refused.header("retry-after").is_some_and(|text| text.parse::<u64>().is_ok()));
        refused.refused(429, "busy");
        app.get("/healthz").await.expect(200);
    });
}

#[test]
fn row_108_refusals_are_problem_documents_that_say_where_and_why() {
    with_app(async |app| {
        for (answer, status) in [
            (app.get("/v1/nowhere").await, 404),
            (app.get("/v1/runs/none").await, 404),
            (app.delete("/v1/runs").await, 405),
            (app.post("/v1/workflows", json!({"name": "Bad Name"})).await, 422),
            (app.get("/v1/runs?limit=0").await, 400),
            (app.get("/v1/runs?colour=red").await, 400),
        ] {
            let content_type = answer.header("content-type").unwrap_or_default().to_owned();
            assert_eq!(content_type, "application/problem+json");
            let request_id = answer.header("x-request-id").map(str::to_owned);
            let problem = answer.expect(status);
            for name in ["type", "title", "detail", "instance", "code", "requestId"] {
                assert!(problem[name].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
            }
            assert_eq!(problem["status"], status);
            assert!(problem["errors"].is_array(), "{problem}");
            assert_eq!(problem["requestId"].as_str().map(str::to_owned), request_id);
        }
        let all = json!({"name": "Bad Name", "steps": [{"id": "a"}, {"id": "a", "sleep": "soon"}],
            "trigger": {"event": "x:y", "filter": {"a": {"~no": 1}}}});
        let problem = app.post("/v1/workflows", all).await.refused(422, "invalid");
        let errors = problem["errors"].as_array().expect("a list");
        assert!(errors.len() >= 4, "every problem at once: {problem:#}");
        for error in errors {
            assert!(error["pointer"].is_string() && error["code"].is_string(), "{error}");
            assert!(error["detail"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        }
    });
}

#[test]
fn row_109_lists_are_walked_in_a_stable_order_without_gaps_or_repeats() {
    with_app(async |app| {
        app.save(echo("w", "order:placed", json!({}), json!(1))).await;
        for number in 0..25 {
            app.publish("order:placed", json!({"n": number})).await;
            let name = format!("w{number:02}");
            app.save(super::by_hand(&name, json!([transform("a", json!(number))]))).await;
            let tag = json!({"name": format!("tag {number:02}")});
            app.post("/v1/tags", tag).await.expect(201);
        }
        for (list, field) in
            [("events", "id"), ("runs", "id"), ("workflows", "name"), ("tags", "id")]
        {
            let whole = app.get(&format!("/v1/{list}?limit=200")).await.expect(200);
            let whole: Vec<String> = whole["data"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|one| one[field].as_str().expect("an id").to_owned())
                .collect();
            assert!(whole.len() >= 25, "{list}");
            let mut walked = Vec::new();
            let mut cursor = String::new();
            loop {
                let page =
                    app.get(&format!("/v1/{list}?limit=7&cursor={cursor}")).await.expect(200);
                let data = page["data"].as_array().expect("a list");
                assert!(data.len() <= 7);
                walked.extend(data.iter().map(|one| one[field].as_str().expect("id").to_owned()));
                // What comes in between must not disturb what is walked.
                if list == "events" {
                    app.publish("other:thing", json!({})).await;
                }
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(walked, whole, "{list}");
            assert_eq!(walked.iter().collect::<BTreeSet<_>>().len(), walked.len());
        }
        for limit in ["0", "201", "-1", "many", "1e1", "99999999999999999999"] {
            app.get(&format!("/v1/runs?limit={limit}")).await.refused(400, "invalid_parameter");
        }
    });
}

#[test]
fn row_102_a_key_does_only_what_its_scopes_allow() {
    with_app(async |app| {
        let body = json!({"name": "sender", "scopes": ["events:write", "tickets:read"]});
        let made = app.post("/v1/keys", body).await.expect(201);
        let sender = app.with_key(made["key"].as_str().expect("a key"));
        sender.post("/v1/events/order:placed", json!({})).await.expect(202);
        sender.get("/v1/tickets").await.expect(200);
        for (answer, scope) in [
            (sender.get("/v1/runs").await, "runs:read"),
            (sender.post("/v1/tickets", json!({})).await, "tickets:write"),
            (sender.get("/v1/workflows").await, "workflows:read"),
            (sender.post("/v1/keys", json!({})).await, "keys:write"),
        ] {
            let problem = answer.refused(403, "forbidden");
            assert_eq!(problem["scope"], scope);
        }
        let path = format!("/v1/keys/{}", made["id"].as_str().expect("an id"));
        app.delete(&path).await.expect(204);
        sender.get("/v1/tickets").await.refused(401, "unauthenticated");
    });
}

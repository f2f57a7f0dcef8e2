//! What is asked of other systems to find out whether a call has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::connection::Connection;
use super::tests::{Reply, allowing, answer, serve, wait};
use crate::activities::{Activities, Activity, OutsideCall};
use crate::domain::activity::Settling;
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecrets, Secret};

const KEY: &str = "run_1/make";

/// Looks a call up at a server that gives these answers; returns what came of it, and the first
/// line and the body of each request.
fn looked_up(
    activity: &str,
    input: &Value,
    answers: Vec<Value>,
) -> (Result<Option<Value>, Failure>, Vec<String>) {
    // Another test may have been first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let replies: Vec<Reply> =
        answers.iter().map(|body| answer("200 OK", "", &body.to_string())).collect();
    let server = serve(replies);
    let settings = json!({ "baseUrl": server.base, "email": "a@example.com", "teamId": "t" });
    let secret = |name: &str| (name.to_owned(), Secret::new("the-secret"));
    let connection = Connection {
        name: "it".to_owned(),
        settings: settings.as_object().cloned().unwrap(),
        secrets: BTreeMap::from(["botToken", "apiToken", "apiKey"].map(secret)),
    };
    let activities = Activities::built_in(&allowing("127.0.0.1"));
    let Some(Activity::Outside(found)) = activities.find(activity) else { panic!("{activity}") };
    let call = OutsideCall {
        input: input.clone(),
        idempotency_key: KEY.to_owned(),
        timeout: Duration::from_secs(10),
        secrets: BoundSecrets::default(),
        connection: Some(connection),
        traceparent: None,
    };
    let outcome = wait(async move { found.lookup(call).await });
    let asked = server.asked().into_iter().map(|asked| {
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        format!("{} {body}", head.lines().next().unwrap())
    });
    (outcome, asked.collect())
}

#[test]
fn a_message_in_slack_is_found_by_the_step_that_it_names() {
    let metadata = |key: &str| json!({ "event_type": "ergane_step", "event_payload": { "idempotency_key": key } });
    let message = |ts: &str, key: &str| json!({ "ts": ts, "text": "x", "metadata": metadata(key) });
    let channels = json!({ "ok": true, "channels": [{ "id": "C1", "name": "alerts" }],
        "response_metadata": { "next_cursor": "" } });
    let first = json!({ "ok": true, "messages": [message("2.2", "run_1/other")],
        "response_metadata": { "next_cursor": "next=" } });
    let second = json!({ "ok": true, "messages": [message("1.1", KEY)] });
    let input = json!({ "channel": "#alerts", "text": "x" });
    let (found, asked) = looked_up("slack.postMessage", &input, vec![channels, first, second]);
    let found = found.unwrap().expect("it is there");
    assert_eq!((&found["channel"], &found["ts"]), (&json!("C1"), &json!("1.1")));
    assert!(asked[0].starts_with("GET /conversations.list?"), "{asked:?}");
    assert!(asked[1].contains("channel=C1") && asked[1].contains("include_all_metadata=true"));
    assert!(asked[2].contains("cursor=next%3D"), "{asked:?}");

    let last = json!({ "ok": true, "messages": [message("2.2", "run_1/other")] });
    let in_thread = json!({ "channel": "C1", "text": "x", "threadTs": "9.9" });
    let (found, asked) = looked_up("slack.postMessage", &in_thread, vec![last]);
    assert_eq!(found.unwrap(), None);
    assert!(asked[0].contains("/conversations.replies?") && asked[0].contains("ts=9.9"));

    let refused = json!({ "ok": false, "error": "missing_scope", "needed": "channels:history" });
    let (found, _) = looked_up("slack.postMessage", &in_thread, vec![refused]);
    assert_eq!(found.unwrap_err().code, "missing_scope");
}

#[test]
fn what_was_made_in_jira_is_found_by_its_mark() {
    let issue =
        json!({ "id": "1", "key": "OPS-7", "self": "https://acme.test/rest/api/3/issue/1" });
    let input = json!({ "summary": "x" });
    let (found, asked) = looked_up("jira.createIssue", &input, vec![json!({ "issues": [issue] })]);
    let found = found.unwrap().expect("it is there");
    assert_eq!(found["url"], "https://acme.test/browse/OPS-7");
    assert!(asked[0].starts_with("POST /rest/api/3/search/jql"), "{asked:?}");
    assert!(asked[0].contains("labels = \\\"ergane-"), "{asked:?}");
    let (found, _) = looked_up("jira.createIssue", &input, vec![json!({ "issues": [] })]);
    assert_eq!(found.unwrap(), None);

    let mark = |key: &str| json!([{ "key": "ergane.step", "value": { "idempotencyKey": key } }]);
    let comments = json!({ "comments": [
        { "id": "8", "properties": mark("run_1/other") }, { "id": "9", "properties": mark(KEY) },
    ] });
    let input = json!({ "issue": "OPS-7", "body": "x" });
    let (found, _) = looked_up("jira.addComment", &input, vec![comments]);
    assert_eq!(found.unwrap().expect("it is there")["id"], "9");
}

#[test]
fn an_issue_in_linear_is_found_by_its_id() {
    let there = json!({ "data": { "issue": { "id": "i", "identifier": "ENG-1" } } });
    let (found, asked) = looked_up("linear.createIssue", &json!({ "title": "x" }), vec![there]);
    assert_eq!(found.unwrap().expect("it is there")["identifier"], "ENG-1");
    assert!(asked[0].contains(&super::api::uuid_of(KEY)), "{asked:?}");
    let missing = json!({ "errors": [{ "message": "Entity not found: Issue" }] });
    let (found, _) = looked_up("linear.createIssue", &json!({ "title": "x" }), vec![missing]);
    assert_eq!(found.unwrap(), None);
}

#[test]
fn only_what_could_be_made_twice_is_looked_up() {
    let activities = Activities::built_in(&allowing("127.0.0.1"));
    let catalogue = activities.catalogue();
    let looked_up: Vec<&str> = catalogue
        .iter()
        .filter(|spec| catalogue.settling(&spec.identifier) == Settling::Lookup)
        .map(|spec| spec.identifier.as_str())
        .collect();
    assert_eq!(looked_up, ["jira.addComment", "jira.createIssue", "slack.postMessage"]);
}

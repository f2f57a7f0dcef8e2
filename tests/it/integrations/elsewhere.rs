//! Slack, Jira and Linear as far as they are asked: they keep what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::peer::{Peer, Received, Reply};

use super::verb;

/// What is kept, by kind and id.
pub type Kept = BTreeMap<String, Value>;

pub struct Elsewhere {
    pub peer: Peer,
    kept: Arc<Mutex<Kept>>,
}

impl Elsewhere {
    pub async fn start() -> Elsewhere {
        let reaction = ("reaction C1/1.1/wave".to_owned(), json!(true));
        let kept = Arc::new(Mutex::new(Kept::from([
            reaction,
            ("issue OPS-1".to_owned(), json!({"summary": "Old", "status": "To Do"})),
        ])));
        let shared = Arc::clone(&kept);
        let peer = Peer::start(move |number, received| {
            answer(number, received, &mut shared.lock().expect("no test panicked holding it"))
        })
        .await;
        Elsewhere { peer, kept }
    }

    pub fn kept(&self) -> Kept {
        self.kept.lock().expect("no test panicked holding it").clone()
    }
}

fn answer(number: usize, received: &Received, kept: &mut Kept) -> Reply {
    let path = received.path.split('?').next().unwrap_or_default().to_owned();
    match path.strip_prefix("/slack/") {
        Some(method) => return Reply::Status(200, slack(number, method, received, kept)),
        None if path == "/linear/graphql" => {
            return Reply::Status(200, linear(&received.body, kept));
        }
        None => {}
    }
    match path.strip_prefix("/jira/rest/api/3/") {
        Some(rest) => jira(number, rest, received, kept),
        None => Reply::Status(404, json!({"error": "there is nothing"})),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn slack(number: usize, method: &str, received: &Received, kept: &mut Kept) -> Value {
    let body = &received.body;
    let refused = |error: &str| json!({"ok": false, "error": error});
    let channel = text(body, "channel").to_owned();
    let reaction = format!("reaction {channel}/{}/{}", text(body, "timestamp"), text(body, "name"));
    match method {
        "chat.postMessage" => {
            let ts = format!("{number}.000100");
            kept.insert(format!("message {channel}/{ts}"), body.clone());
            json!({"ok": true, "channel": channel, "ts": ts, "message": {"text": body["text"]}})
        }
        "chat.delete" => match kept.remove(&format!("message {channel}/{}", text(body, "ts"))) {
            Some(_) => json!({"ok": true}),
            None => refused("message_not_found"),
        },
        "reactions.add" => match kept.insert(reaction, json!(true)) {
            None => json!({"ok": true}),
            Some(_) => refused("already_reacted"),
        },
        "reactions.remove" => match kept.remove(&reaction) {
            Some(_) => json!({"ok": true}),
            None => refused("no_reaction"),
        },
        "conversations.create" => {
            let id = format!("C9{number}");
            kept.insert(format!("channel {id}"), body["name"].clone());
            json!({"ok": true, "channel": {"id": id, "name": body["name"]}})
        }
        "conversations.archive" => match kept.remove(&format!("channel {channel}")) {
            Some(_) => json!({"ok": true}),
            None => refused("already_archived"),
        },
        "conversations.open" => json!({"ok": true, "channel": {"id": "D1"}}),
        "chat.postEphemeral" => json!({"ok": true, "message_ts": "5.5"}),
        "users.lookupByEmail" | "users.info" => json!({"ok": true, "user": {"id": "U1",
            "name": "ada", "real_name": "Ada", "profile": {"email": "ada@example.com"}}}),
        _ => refused("unknown_method"),
    }
}

fn jira(number: usize, rest: &str, received: &Received, kept: &mut Kept) -> Reply {
    let body = &received.body;
    let parts: Vec<&str> = rest.split('/').collect();
    let missing = || {
        let told = json!({"errorMessages": ["Issue does not exist or you do not have permission \
            to see it."], "errors": {}});
        Reply::Status(404, told)
    };
    match (verb(received), parts.as_slice()) {
        ("POST", ["issue"]) if body["fields"]["summary"] == "refuse" => Reply::Status(
            400,
            json!({"errorMessages": [], "errors": {"priority": "Priority is not on the screen."}}),
        ),
        ("POST", ["issue"]) => {
            let key = format!("OPS-{}", 100 + number);
            kept.insert(format!("issue {key}"), body["fields"].clone());
            let told = json!({"id": (10_000 + number).to_string(), "key": key,
                "self": "https://acme.atlassian.net/rest/api/3/issue/10000"});
            Reply::Status(201, told)
        }
        ("DELETE", ["issue", key]) => match kept.remove(&format!("issue {key}")) {
            Some(_) => Reply::Status(204, Value::Null),
            None => missing(),
        },
        ("PUT", ["issue", key]) if kept.contains_key(&format!("issue {key}")) => {
            Reply::Status(204, Value::Null)
        }
        ("GET", ["issue", key]) => match kept.get(&format!("issue {key}")) {
            Some(found) => {
                let fields = json!({"summary": found["summary"],
                    "status": {"name": found["status"]}});
                let told = json!({"id": "10001", "key": key, "fields": fields,
                    "self": "https://acme.atlassian.net/rest/api/3/issue/10001"});
                Reply::Status(200, told)
            }
            None => missing(),
        },
        ("GET", ["issue", _, "transitions"]) => {
            let way = |id: &str, name: &str, to: &str| {
                json!({"id": id, "name": name,
                "to": {"name": to}})
            };
            let ways = [way("11", "Start", "In Progress"), way("21", "Finish", "Done")];
            Reply::Status(200, json!({"transitions": ways}))
        }
        ("POST", ["issue", key, "transitions"]) => {
            let to = if body["transition"]["id"] == "21" { "Done" } else { "In Progress" };
            if let Some(issue) = kept.get_mut(&format!("issue {key}")) {
                issue["status"] = json!(to);
            }
            Reply::Status(204, Value::Null)
        }
        ("POST", ["issue", key, "comment"]) => {
            let id = (500 + number).to_string();
            kept.insert(format!("comment {key}/{id}"), body.clone());
            Reply::Status(201, json!({"id": id}))
        }
        ("DELETE", ["issue", key, "comment", id]) => {
            match kept.remove(&format!("comment {key}/{id}")) {
                Some(_) => Reply::Status(204, Value::Null),
                None => missing(),
            }
        }
        ("GET", ["myself"]) => Reply::Status(200, json!({"accountId": "a1", "displayName": "Ada"})),
        _ => missing(),
    }
}

fn linear(body: &Value, kept: &mut Kept) -> Value {
    let (query, variables) = (text(body, "query"), &body["variables"]);
    let (input, id) = (&variables["input"], text(variables, "id").to_owned());
    let refused = |message: &str| {
        json!({"data": null, "errors": [{"message": message, "path": ["it"],
            "extensions": {"code": "INPUT_ERROR", "userError": true}}]})
    };
    let issue = |id: &str, title: &Value| {
        json!({"id": id, "identifier": "ENG-1", "title": title,
        "url": "https://linear.app/acme/issue/ENG-1"})
    };
    if query.contains("issueCreate") {
        let key = format!("linear {}", text(input, "id"));
        if kept.contains_key(&key) {
            return refused("Entity already exists");
        }
        kept.insert(key, input.clone());
        let made = issue(text(input, "id"), &input["title"]);
        return json!({"data": {"issueCreate": {"success": true, "issue": made}}});
    }
    if query.contains("issueUpdate") {
        let made = issue(&id, &input["title"]);
        return json!({"data": {"issueUpdate": {"success": true, "issue": made}}});
    }
    if query.contains("issueDelete") || query.contains("commentDelete") {
        let kind = if query.contains("issueDelete") { "linear" } else { "remark" };
        let field = if kind == "linear" { "issueDelete" } else { "commentDelete" };
        return match kept.remove(&format!("{kind} {id}")) {
            Some(_) => json!({"data": {field: {"success": true}}}),
            None => refused("Entity not found"),
        };
    }
    if query.contains("commentCreate") {
        let id = text(input, "id");
        kept.insert(format!("remark {id}"), input.clone());
        let comment = json!({"id": id, "url": "https://linear.app/c"});
        return json!({"data": {"commentCreate": {"success": true, "comment": comment}}});
    }
    if query.contains("viewer") {
        return json!({"data": {"viewer": {"name": "Ada", "organization": {"name": "Acme"}}}});
    }
    match kept.get(&format!("linear {id}")) {
        Some(found) => json!({"data": {"issue": issue(&id, &found["title"])}}),
        None => refused("Entity not found"),
    }
}

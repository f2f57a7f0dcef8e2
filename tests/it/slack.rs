//! Slack and mail over saved connections: what is sent, what comes back, and what stays secret.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::peer::{Peer, Received, Reply};
use crate::support::{TestApp, with_config};

const CANARY: &str = "xoxb-canary-77aa-do-not-show";

fn with_slack<F: Future<Output = ()>>(test: impl FnOnce(TestApp) -> F) {
    let allow = |config: &mut ergane::config::Config| {
        config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    with_config(allow, test);
}

/// Answers as Slack does where everything is fine.
fn fine(received: &Received) -> Reply {
    let channel = json!("C024BE91L");
    Reply::Status(
        200,
        match received.path.as_str() {
            "/chat.postMessage" => {
                json!({"ok": true, "channel": channel, "ts": "1503435956.000247",
            "message": {"text": received.body["text"], "echo": received.header("authorization")}})
            }
            "/conversations.create" => {
                json!({"ok": true, "channel": {"id": channel, "name": received.body["name"]}})
            }
            _ => json!({"ok": true}),
        },
    )
}

async fn connect(app: &TestApp, name: &str, url: &str) {
    let body = json!({"name": name, "app": "slack", "settings": {"baseUrl": url},
        "secrets": {"botToken": CANARY}});
    app.post("/v1/connections", body).await.expect(201);
}

fn step(id: &str, activity: &str, input: Value) -> Value {
    json!({"id": id, "activity": activity, "input": input, "compensate": "auto",
        "retry": {"attempts": 3, "initial": "1ms"}})
}

fn post(more: Value) -> Value {
    let mut input = json!({"channel": "#alerts", "text": "Printer on fire"});
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    step("post", "slack.postMessage", input)
}

async fn run_of(app: &TestApp, steps: Value) -> Value {
    let definition =
        json!({"name": "tell", "trigger": {"event": "thing:happened"}, "steps": steps});
    let saved = app.put("/v1/workflows/tell", definition).await;
    assert!(saved.status < 300, "{}", saved.text);
    let run = app.publish("thing:happened", json!({})).await.remove(0);
    let view = app.end_of(&run).await;
    for path in ["", "/journal"] {
        let text = app.get(&format!("/v1/runs/{run}{path}")).await.text;
        assert!(!text.contains("do-not-show"), "the token is seen in {text}");
    }
    let events = app.get("/v1/events").await.text;
    assert!(!events.contains("do-not-show"), "the token is seen in {events}");
    view
}

#[test]
fn a_message_is_posted_over_the_only_connection() {
    with_slack(|app| async move {
        let peer = Peer::start(|_, received| fine(received)).await;
        connect(&app, "chat", &peer.url).await;
        let more = json!({"blocks": [{"type": "divider"}], "threadTs": "1.2"});
        let run = run_of(&app, json!([post(more)])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let output = &run["steps"][0]["output"];
        assert_eq!(
            (&output["ok"], &output["channel"], &output["ts"], &output["message"]["text"]),
            (
                &json!(true),
                &json!("C024BE91L"),
                &json!("1503435956.000247"),
                &json!("Printer on fire")
            )
        );
        let received = &peer.received()[0];
        assert_eq!(received.path, "/chat.postMessage");
        assert_eq!(received.header("authorization"), format!("Bearer {CANARY}"));
        assert_eq!(received.header("content-type"), "application/json; charset=utf-8");
        let body = &received.body;
        assert_eq!((&body["thread_ts"], &body["channel"]), (&json!("1.2"), &json!("#alerts")));
        assert_eq!(body["blocks"][0]["type"], "divider");
        assert_eq!(body["client_msg_id"].as_str().map(str::len), Some(36), "{body}");
    });
}

#[test]
fn thena_57_a_refusal_fails_the_step_with_slacks_code() {
    with_slack(|app| async move {
        let peer = Peer::start(|number, _| {
            let error = ["channel_not_found", "invalid_auth"][number];
            Reply::Status(200, json!({"ok": false, "error": error, "needed": CANARY}))
        })
        .await;
        connect(&app, "chat", &peer.url).await;
        for (code, kind) in
            [("channel_not_found", json!(null)), ("invalid_auth", json!("unauthorized"))]
        {
            let run = run_of(&app, json!([post(json!({}))])).await;
            assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!(code)));
            let step = &run["steps"][0];
            assert_eq!(step["attempts"].as_array().map(Vec::len), Some(1), "{step}");
            assert_eq!(step["error"]["details"]["code"], kind, "{step}");
        }
    });
}

#[test]
fn what_slack_puts_off_is_tried_again_when_it_says_so() {
    with_slack(|app| async move {
        let peer = Peer::start(|number, received| match number {
            0 => Reply::Later(1),
            1 => Reply::Status(200, json!({"ok": false, "error": "ratelimited"})),
            _ => fine(received),
        })
        .await;
        connect(&app, "chat", &peer.url).await;
        let run = run_of(&app, json!([post(json!({}))])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["steps"][0]["attempts"][0]["error"]["code"], "ratelimited", "{run}");
        let received = peer.received();
        assert_eq!(received.len(), 3);
        assert!(received[1].at - received[0].at >= Duration::from_secs(1));
        for later in &received[1..] {
            assert_eq!(later.body, received[0].body, "every attempt carries the same id");
        }
    });
}

#[test]
fn which_connection_is_meant_must_be_clear() {
    with_slack(|app| async move {
        let peer = Peer::start(|_, received| fine(received)).await;
        let run = run_of(&app, json!([post(json!({}))])).await;
        assert_eq!(run["error"]["code"], "connection_missing", "{run}");
        assert_eq!(run["steps"][0]["attempts"].as_array().map(Vec::len), Some(1), "{run}");
        connect(&app, "blue", &peer.url).await;
        connect(&app, "red", &peer.url).await;
        let run = run_of(&app, json!([post(json!({}))])).await;
        assert_eq!(run["error"]["code"], "connection_ambiguous", "{run}");
        let told = &run["steps"][0]["error"]["details"]["connections"];
        assert_eq!(told, &json!(["blue", "red"]), "{run}");
        let run = run_of(&app, json!([post(json!({"connection": "green"}))])).await;
        assert_eq!(run["error"]["code"], "connection_missing", "{run}");
        assert!(peer.received().is_empty());
        let run = run_of(&app, json!([post(json!({"connection": "red"}))])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let body = json!({"secrets": {"botToken": null}});
        app.patch("/v1/connections/red", body).await.expect(200);
        let run = run_of(&app, json!([post(json!({"connection": "red"}))])).await;
        assert_eq!(run["error"]["code"], "connection_incomplete", "{run}");
    });
}

#[test]
fn what_was_done_in_slack_is_undone_in_reverse_order() {
    with_slack(|app| async move {
        let peer = Peer::start(|_, received| match received.body["channel"].as_str() {
            Some("nowhere") => Reply::Status(200, json!({"ok": false, "error": "not_in_channel"})),
            _ => fine(received),
        })
        .await;
        connect(&app, "chat", &peer.url).await;
        let reaction = json!({"channel": "{{ steps.post.output.channel }}",
            "ts": "{{ steps.post.output.ts }}", "name": "eyes"});
        let bad = json!({"id": "bad", "activity": "slack.updateMessage", "compensate": "none",
            "input": {"channel": "nowhere", "ts": "1.1", "text": "x"}});
        let run = run_of(
            &app,
            json!([
                step("room", "slack.createChannel", json!({"name": "fire", "isPrivate": true})),
                post(json!({})),
                step(
                    "look",
                    "slack.addReaction-YKGGEBQJ10VM380KWBSKVYP875AJQ-EUUV8TTGY1",
                    reaction
                ),
                bad,
            ]),
        )
        .await;
        assert_eq!((&run["status"], &run["compensation"]), (&json!("failed"), &json!("done")));
        let paths: Vec<String> = peer.received().into_iter().map(|it| it.path).collect();
        let expected = [
            "/conversations.create",
            "/chat.postMessage",
            "/reactions.add",
            "/chat.update",
            "/reactions.remove",
            "/chat.delete",
            "/conversations.archive",
        ];
        assert_eq!(paths, expected);
        let received = peer.received();
        assert_eq!(received[0].body, json!({"name": "fire", "is_private": true}));
        assert_eq!(received[5].body, json!({"channel": "C024BE91L", "ts": "1503435956.000247"}));
        assert_eq!(received[6].body, json!({"channel": "C024BE91L"}));
    });
}

#[test]
fn a_suffix_of_an_installed_app_names_the_same_activity() {
    with_slack(|app| async move {
        let path = "/v1/activities/slack.postMessage-YKGGEBQJ10VM380KWBSKVYP875AJQ-EUUV8TTGY1";
        let found = app.get(path).await.expect(200);
        assert_eq!(found["uniqueIdentifier"], "slack.postMessage");
        assert_eq!(found["compensation"], "offered");
        let mut unsaid = post(json!({}));
        unsaid["compensate"] = Value::Null;
        let body = json!({"name": "t", "trigger": {"event": "a:b"}, "steps": [unsaid]});
        let told = app.post("/v1/workflows/validate", body).await.expect(200);
        assert!(told.to_string().contains("compensate: auto"), "{told}");
    });
}

/// Takes one mail after another as a mail server does, and returns what it was told.
async fn mail_server(answers: Vec<&'static str>) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let task = tokio::spawn(async move {
        let mut said = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.expect("a caller");
            let mut stream = BufReader::new(stream);
            let mut told = String::new();
            stream.write_all(b"220 mail.test\r\n").await.expect("it listens");
            loop {
                let start = told.len();
                if stream.read_line(&mut told).await.unwrap_or(0) == 0 {
                    break;
                }
                let line = told[start..].trim_end().to_owned();
                let reply = match line.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" => "250-mail.test\r\n250 AUTH PLAIN\r\n",
                    "AUTH" => "235 welcome\r\n",
                    "MAIL" => "250 fine\r\n",
                    "RCPT" => answer,
                    "DATA" => "354 go on\r\n",
                    "." => "250 queued as 7\r\n",
                    "QUIT" => "221 bye\r\n",
                    _ => continue,
                };
                stream.write_all(reply.as_bytes()).await.expect("it listens");
            }
            said.push(told);
        }
        said
    });
    (port, task)
}

#[test]
fn a_mail_is_sent_and_one_that_is_put_off_is_sent_again() {
    with_slack(|app| async move {
        let (port, server) =
            mail_server(vec!["451 try again\r\n", "250 fine\r\n", "550 who?\r\n"]).await;
        let body = json!({"name": "mail", "app": "smtp", "settings": {"host": "127.0.0.1",
            "port": port, "tls": "none", "from": "Ergane <desk@ours.test>"},
            "secrets": {"username": "desk-user", "password": CANARY}});
        app.post("/v1/connections", body).await.expect(201);
        let send = step(
            "send",
            "communications:send-email-platform",
            json!({"to": ["Ada <ada@example.com>"], "cc": "kim@example.com", "subject": "Grüße",
                "text": "Hello\n.", "html": "<p>Hello</p>", "replyTo": "ours@ours.test"}),
        );
        let mut send = send;
        send["compensate"] = json!("none");
        let run = run_of(&app, json!([send])).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let attempts = run["steps"][0]["attempts"].as_array().expect("a list").clone();
        assert_eq!((attempts.len(), &attempts[0]["error"]["code"]), (2, &json!("mail_deferred")));
        let output = run["steps"][0]["output"].clone();
        assert!(output["response"].as_str().is_some_and(|said| said.contains("queued as 7")));
        let run = run_of(&app, json!([send])).await;
        assert_eq!(run["error"]["code"], "mail_refused", "{run}");
        let mails = server.await.expect("it serves");
        let id = output["messageId"].as_str().expect("an id");
        for part in
            [id, "RCPT TO:<ada@example.com>", "RCPT TO:<kim@example.com>", "multipart/alternative"]
        {
            assert!(mails[1].contains(part), "{part}: {}", mails[1]);
        }
        assert!(id.ends_with("@ours.test>"), "{id}");
    });
}

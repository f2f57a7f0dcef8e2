//! Events and runs as they happen, over server-sent events.

use std::process::Command;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, run};
use crate::support::{KEY, TestApp, with_app, with_config};

const PATIENCE: Duration = Duration::from_secs(20);

/// One message of a stream.
#[derive(Debug, Default)]
struct Message {
    id: String,
    name: String,
    data: Value,
}

/// A stream that is read message by message.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, path: &str, last: Option<&str>) -> Stream {
        let mut request = app.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { response, text: String::new() }
    }

    /// Returns the next block of lines; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let piece = piece.expect("something comes").expect("a whole piece")?;
            self.text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }

    /// Returns the next message with data; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            let block = self.block().await?;
            let mut message = Message::default();
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => message.id = id.to_owned(),
                    Some(("event", name)) => message.name = name.to_owned(),
                    Some(("data", data)) => {
                        message.data = serde_json::from_str(data).expect("JSON");
                    }
                    _ => {} // A comment, or the pause before a reconnect.
                }
            }
            if !message.data.is_null() {
                return Some(message);
            }
        }
    }

    async fn message(&mut self) -> Message {
        self.next().await.expect("a message")
    }
}

#[test]
fn events_come_in_order_as_they_are_accepted() {
    with_app(|app| async move {
        app.publish("deal:won", json!({"n": 0})).await;
        let mut stream = Stream::open(&app, "/v1/events/stream", None).await;
        stream.block().await.expect("the greeting");
        for n in 1..=20 {
            app.publish("deal:won", json!({"n": n})).await;
        }
        let mut places = Vec::new();
        for n in 1..=20 {
            let message = stream.message().await;
            assert_eq!(message.data["payload"]["n"], n);
            places.push(message.id);
        }
        assert!(places.is_sorted(), "{places:?}");

        let mut again = Stream::open(&app, "/v1/events/stream", Some(&places[9])).await;
        assert_eq!(again.message().await.data["payload"]["n"], 11, "it goes on where it was");
        let mut earlier = Stream::open(&app, "/v1/events/stream?since=1h", None).await;
        assert_eq!(earlier.message().await.data["payload"]["n"], 0);
    });
}

#[test]
fn a_stream_may_hold_one_type_or_what_passes_a_filter() {
    with_app(|app| async move {
        let filter: String = "filter=%7B%22amount%22%3A%7B%22~gt%22%3A5%7D%7D".to_owned();
        let mut wins = Stream::open(&app, "/v1/events/stream?type=deal:won", None).await;
        let mut large = Stream::open(&app, &format!("/v1/events/stream?{filter}"), None).await;
        let mut deals = Stream::open(&app, "/v1/events/stream?type=deal:*", None).await;
        for stream in [&mut wins, &mut large, &mut deals] {
            stream.block().await.expect("the greeting");
        }
        app.publish("deal:lost", json!({"amount": 9})).await;
        app.publish("deal:won", json!({"amount": 1})).await;
        app.publish("invoice:paid", json!({"amount": 8})).await;
        assert_eq!(wins.message().await.data["type"], "deal:won");
        assert_eq!(large.message().await.data["type"], "deal:lost");
        assert_eq!(large.message().await.data["type"], "invoice:paid");
        assert_eq!(deals.message().await.data["type"], "deal:lost");
        assert_eq!(deals.message().await.data["type"], "deal:won");
    });
}

#[test]
fn what_cannot_be_streamed_is_refused() {
    with_config(
        |config| config.http.streams_max = 1,
        |app| async move {
            app.get("/v1/events/stream?filter=%7B").await.refused(400, "invalid_parameter");
            app.get("/v1/events/stream?filter=%7B%22a%22%3A%7B%22~eqq%22%3A1%7D%7D")
                .await
                .refused(422, "invalid");
            let request = app.request(Method::GET, "/v1/events/stream");
            let answer = crate::support::send(request.header("Last-Event-ID", "x")).await;
            answer.refused(400, "invalid_parameter");
            app.get("/v1/runs/run_01ABCDEFGHJKMNPQRSTVWXYZ12/stream").await.expect(404);
            app.with_key("no-such-key-0123456789").get("/v1/events/stream").await.expect(401);
            let first = Stream::open(&app, "/v1/events/stream", None).await;
            let busy = app.get("/v1/events/stream").await;
            assert!(busy.header("retry-after").is_some());
            busy.refused(429, "busy");
            drop(first);
        },
    );
}

#[test]
fn a_quiet_stream_shows_that_it_lives() {
    with_config(
        |config| config.http.stream_heartbeat_ms = 20,
        |app| async move {
            let mut stream = Stream::open(&app, "/v1/events/stream", None).await;
            assert!(stream.block().await.expect("the greeting").starts_with("retry: "));
            for _ in 0..2 {
                assert!(stream.block().await.expect("a sign of life").starts_with(":\nid: "));
            }
        },
    );
}

#[test]
fn a_client_that_does_not_read_is_told_and_goes_on_from_the_store() {
    with_config(
        |config| {
            config.http.stream_heartbeat_ms = 50;
            config.http.stream_buffer_events_max = 1;
        },
        |app| async move {
            let mut slow = Stream::open(&app, "/v1/events/stream", None).await;
            slow.block().await.expect("the greeting");
            // More than the buffers of two sockets hold.
            let note = "x".repeat(200_000);
            for n in 0..60 {
                app.publish("deal:won", json!({"n": n, "note": note})).await;
            }
            let mut seen = Vec::new();
            let mut overrun = None;
            while let Some(message) = slow.next().await {
                match message.name.as_str() {
                    "overrun" => overrun = Some(message.data),
                    _ => seen.push((message.id, message.data["payload"]["n"].clone())),
                }
            }
            let last = overrun.expect("it was told")["lastEventId"].as_str().map(str::to_owned);
            assert_eq!(last.as_ref(), seen.last().map(|(id, _)| id));
            let mut rest = Stream::open(&app, "/v1/events/stream", last.as_deref()).await;
            for n in seen.len()..60 {
                assert_eq!(rest.message().await.data["payload"]["n"], n);
            }
        },
    );
}

#[test]
fn a_run_is_followed_from_its_first_record_to_its_end() {
    with_app(|app| async move {
        app.save(json!({
            "name": "nap", "trigger": {"event": "deal:won"},
            "steps": [{"id": "nap", "sleep": "300ms"},
                {"id": "b", "activity": "workflows:transform-platform", "input": {"value": 1}}],
        }))
        .await;
        let id = app.publish("deal:won", json!({})).await.remove(0);
        let mut stream = Stream::open(&app, &format!("/v1/runs/{id}/stream"), None).await;
        let (mut numbers, mut statuses) = (Vec::new(), Vec::new());
        let mut last = Message::default();
        while let Some(message) = stream.next().await {
            match message.name.as_str() {
                "" => numbers.push(message.data["number"].as_u64().expect("a number")),
                "run" => statuses.push(message.data["status"].as_str().map(str::to_owned)),
                _ => last = message,
            }
        }
        let journal = app.get(&format!("/v1/runs/{id}/journal")).await.expect(200);
        let count = journal["data"].as_array().map_or(0, Vec::len) as u64;
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "every record once, in order");
        assert!(statuses.contains(&Some("waiting".to_owned())), "{statuses:?}");
        assert_eq!((last.name.as_str(), &last.data["status"]), ("end", &json!("succeeded")));

        let path = format!("/v1/runs/{id}/stream");
        let mut again = Stream::open(&app, &path, Some(&(count - 1).to_string())).await;
        assert_eq!(again.message().await.data["number"], count, "it goes on where it was");
    });
}

#[test]
fn a_stop_does_not_wait_for_those_who_watch() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let process = Process::start(&data);
        let mut stream = Stream::open(&process.app, "/v1/events/stream", None).await;
        stream.block().await.expect("the greeting");
        let (status, took) = process.stop();
        assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
        assert!(stream.next().await.is_none(), "the stream has ended");
    });
}

#[test]
fn a_shell_follows_events_line_by_line() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let process = Process::start(&data);
        for n in 0..3 {
            process.app.publish("deal:won", json!({"n": n})).await;
            process.app.publish("deal:lost", json!({"n": n})).await;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
        command.args(["--url", &process.app.base, "--json", "event", "tail"]);
        command.args(["--type", "deal:won", "--since", "1h", "--count", "3"]);
        command.env("ERGANE_KEY", KEY).current_dir(directory.path());
        let ended = tokio::task::spawn_blocking(move || run(command)).await.expect("it ends");
        assert!(ended.status.success(), "{ended:?}");
        let lines: Vec<Value> =
            ended.said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let seen: Vec<_> = lines.iter().map(|event| &event["payload"]["n"]).collect();
        assert_eq!(seen, [&json!(0), &json!(1), &json!(2)]);
    });
}

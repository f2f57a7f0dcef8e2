//! Who comes through the door: slow ones, greedy ones, and those who would be two at once.

use std::time::{Duration, Instant};

use ergane::config::Config;
use ergane::web::settings::ForwardedBy;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestApp, send, with_app, with_config};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(app: &TestApp) -> TcpStream {
    let address = app.base.trim_start_matches("http://");
    TcpStream::connect(address).await.expect("a connection")
}

/// Reads until the server ends the connection; a reset ends it as well.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = vec![0; 16_384];
    let reading = async {
        while let Ok(read) = stream.read(&mut piece).await {
            if read == 0 {
                break;
            }
            answer.extend_from_slice(&piece[..read]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

/// Heads and bodies that end at one place for one reader and at another for a second, who finds the
/// `size` bytes of a request hidden behind them.
fn two_faced(size: usize) -> Vec<String> {
    vec![
        format!("Content-Length: 2\r\nContent-Length: {size}\r\n\r\n{{}}"),
        format!("Content-Length: 2, {size}\r\n\r\n{{}}"),
        "Content-Length: +2\r\n\r\n{}".to_owned(),
        "Content-Length: 0x2\r\n\r\n{}".to_owned(),
        "Content-Length: 2 \u{b}\r\n\r\n{}".to_owned(),
        "Content-Length: -2\r\n\r\n{}".to_owned(),
        "Content-Length: 18446744073709551618\r\n\r\n{}".to_owned(),
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n".to_owned(),
        " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "X: a\r\n\tb\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "X: a\0b\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "X\0: a\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "X: a\rb\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "X: a\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "Content-Length: 2\n\r\n{}".to_owned(),
        "Content-Length: 2\r\n\n{}".to_owned(),
        "Host: y\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
    ]
}

#[test]
fn what_two_readers_could_read_as_two_requests_is_refused_and_ends_the_connection() {
    with_app(async |app| {
        let hidden = "POST /v1/events/smuggled:in HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n";
        let hidden = format!("{hidden}x-api-key: {}\r\n\r\n{{}}", app.key);
        let size = hidden.len();
        let head = format!("POST /v1/events/a:b HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\n", app.key);
        for rest_of_it in two_faced(size) {
            let mut stream = connect(&app).await;
            let sent = format!("{head}{rest_of_it}{hidden}");
            stream.write_all(sent.as_bytes()).await.expect("it is sent");
            let answer = rest(&mut stream).await;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{rest_of_it:?}: {answer}"
            );
            assert_eq!(answer.matches("HTTP/1.1 ").count().min(2), answer.len().min(1), "{answer}");
        }
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        for chunks in [
            "zz\r\n{}\r\n0\r\n\r\n",
            "-2\r\n{}\r\n0\r\n\r\n",
            "+2\r\n{}\r\n0\r\n\r\n",
            "0x2\r\n{}\r\n0\r\n\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "2\r\n{}0\r\n\r\n",
            "2\r\n{}\n0\r\n\r\n",
            "10000000000000002\r\n{}\r\n0\r\n\r\n",
            "\r\n{}\r\n0\r\n\r\n",
        ] {
            let mut stream = connect(&app).await;
            let sent = format!("{chunked}{chunks}{hidden}");
            stream.write_all(sent.as_bytes()).await.expect("it is sent");
            let answer = rest(&mut stream).await;
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            assert!(refused && !answer.contains(" 202 "), "{chunks:?}: {answer}");
        }
        let none = app.get("/v1/events").await.expect(200);
        assert_eq!(none["data"], json!([]), "nothing was smuggled in");
    });
}

#[test]
fn requests_one_behind_the_other_are_answered_in_their_order() {
    with_app(async |app| {
        let mut stream = connect(&app).await;
        let ask = |path: &str, end: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\n{end}\r\n", app.key)
        };
        let sent = ["/healthz", "/v1/workflows/none", "/readyz"].map(|path| ask(path, "")).concat();
        let sent = sent + &ask("/v1/tags", "Connection: close\r\n");
        stream.write_all(sent.as_bytes()).await.expect("it is sent");
        let answer = rest(&mut stream).await;
        let codes: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
        assert_eq!(codes, ["200", "404", "200", "200"], "{answer}");
    });
}

#[test]
fn what_is_too_long_is_refused_before_it_is_taken() {
    with_app(async |app| {
        let long = format!("/v1/workflows?q={}", "a".repeat(9_000));
        app.get(&long).await.refused(414, "uri_too_long");
        let request = app.request(Method::GET, "/v1/workflows");
        let request = request.header("x-long", "a".repeat(40_000));
        send(request).await.refused(431, "headers_too_large");
        let mut stream = connect(&app).await;
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: b\r\n".repeat(200));
        stream.write_all(many.as_bytes()).await.expect("it is sent");
        assert!(first_line(&rest(&mut stream).await).starts_with("HTTP/1.1 431"));
        // The size is told in the head, and none of the body is waited for.
        let mut stream = connect(&app).await;
        let large = format!(
            "POST /v1/events/a:b HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\n\
             Content-Length: 4000000000\r\n\r\n",
            app.key
        );
        stream.write_all(large.as_bytes()).await.expect("it is sent");
        assert!(first_line(&rest(&mut stream).await).starts_with("HTTP/1.1 413"));
        for coding in ["gzip", "br", "deflate", "zstd", "x"] {
            let request = app.request(Method::POST, "/v1/events/a:b");
            let request = request.header("content-encoding", coding).body(vec![31, 139, 8, 0]);
            send(request).await.refused(415, "unsupported_content_encoding");
        }
    });
}

fn hasty(config: &mut Config) {
    config.http.head_timeout_ms = 1_500;
    config.http.body_grace_ms = 600;
    config.http.answer_grace_ms = 1_000;
    config.http.transfer_bytes_per_second_min = 100_000;
}

/// Sends a byte again and again until the server has had enough.
async fn drip(stream: &mut TcpStream) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if stream.write_all(b"a").await.is_err() {
            return;
        }
        let mut answer = [0];
        let waited = Duration::from_millis(50);
        if let Ok(read) = tokio::time::timeout(waited, stream.peek(&mut answer)).await {
            let _ = read; // An answer or the end: both say that it has.
            return;
        }
    }
    panic!("the server waits for ever");
}

#[test]
fn who_takes_his_time_is_cut_off_at_the_first_request_and_at_a_later_one() {
    with_config(hasty, async |app| {
        let mut first = connect(&app).await;
        first.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.expect("it is sent");
        drip(&mut first).await;
        assert!(first_line(&rest(&mut first).await).starts_with("HTTP/1.1 408"));

        let mut later = connect(&app).await;
        let whole = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        later.write_all(whole.as_bytes()).await.expect("it is sent");
        let mut answer = vec![0; 4_096];
        let read = later.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        later.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.expect("it is sent");
        drip(&mut later).await;
        assert!(first_line(&rest(&mut later).await).starts_with("HTTP/1.1 408"));

        let mut body = connect(&app).await;
        let head = format!(
            "POST /v1/events/a:b HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\nContent-Length: 9999\r\n\r\n",
            app.key
        );
        body.write_all(head.as_bytes()).await.expect("it is sent");
        drip(&mut body).await;
        assert!(first_line(&rest(&mut body).await).starts_with("HTTP/1.1 408"));

        let mut form = connect(&app).await;
        let head = "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n\r\nkey=";
        form.write_all(head.as_bytes()).await.expect("it is sent");
        drip(&mut form).await;
        assert!(first_line(&rest(&mut form).await).starts_with("HTTP/1.1 408"));
    });
}

#[test]
fn a_quiet_connection_lives_longer_than_a_head_may_take() {
    with_config(hasty, async |app| {
        let mut stream = connect(&app).await;
        for _ in 0..2 {
            let whole = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(whole.as_bytes()).await.expect("it is still open");
            let mut answer = vec![0; 4_096];
            let read = stream.read(&mut answer).await.expect("an answer");
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            // Nothing is to happen in this time, so there is nothing to wait for.
            let quiet =
                tokio::time::timeout(Duration::from_millis(2_500), stream.read(&mut answer));
            assert!(quiet.await.is_err(), "nothing is owed between requests");
        }
    });
}

#[test]
fn who_does_not_read_the_answers_is_cut_off_and_a_stream_ends_with_it() {
    with_config(hasty, async |app| {
        let mut greedy = connect(&app).await;
        let ask = "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
        greedy.write_all(ask.as_bytes()).await.expect("it is sent");
        let mut stream = connect(&app).await;
        let follow =
            format!("GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\n\r\n", app.key);
        stream.write_all(follow.as_bytes()).await.expect("it is sent");
        let text = "x".repeat(100_000);
        let cut = async |stream: &mut TcpStream| {
            let begun = Instant::now();
            // A connection that was cut off takes nothing any more.
            while stream.write_all(b"\r\n").await.is_ok() {
                app.publish("large:one", json!({ "text": text })).await;
                assert!(begun.elapsed() < PATIENCE, "it is never cut off");
            }
        };
        cut(&mut greedy).await;
        cut(&mut stream).await;
        app.get("/healthz").await.expect(200);
    });
}

#[test]
fn an_address_has_only_so_many_connections_and_a_proxy_speaks_for_many() {
    let few = |config: &mut Config| config.http.connections_per_address_max = 4;
    with_config(few, async |app| {
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(connect(&app).await);
        }
        let mut further = connect(&app).await;
        let told = rest(&mut further).await;
        assert!(first_line(&told).starts_with("HTTP/1.1 503"), "{told}");
        drop(held);
        let begun = Instant::now();
        loop {
            let mut again = connect(&app).await;
            let ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let _ = again.write_all(ask.as_bytes()).await; // It may be turned away yet.
            let answer = rest(&mut again).await;
            if answer.starts_with("HTTP/1.1 200") {
                assert!(answer.contains("ergane_http_connections_refused_total"), "{answer}");
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "its places are never given back");
        }
    });
    let proxied = |config: &mut Config| {
        config.http.connections_per_address_max = 2;
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    with_config(proxied, async |app| {
        let mut held = Vec::new();
        for _ in 0..2 {
            let request = app.request(Method::GET, "/v1/events/stream");
            held.push(request.header("x-forwarded-for", "1.2.3.4").send().await.expect("one"));
        }
        let ask = async |name: &str, value: &str| {
            send(app.request(Method::GET, "/v1/tags").header(name, value)).await.status
        };
        assert_eq!(ask("x-forwarded-for", "1.2.3.4").await, 429);
        // Only the headers are believed that the proxy is said to set.
        assert_eq!(ask("forwarded", "for=1.2.3.4;proto=https").await, 200);
        assert_eq!(ask("x-forwarded-for", "6.6.6.6, 1.2.3.4").await, 429);
        assert_eq!(ask("x-forwarded-for", "5.6.7.8").await, 200);
        drop(held);
    });
}

#[test]
fn a_made_up_address_escapes_no_throttle() {
    for forwarded_by in [ForwardedBy::XForwarded, ForwardedBy::Forwarded] {
        let slow = move |config: &mut Config| {
            config.access.sign_in_failures_free = 1;
            config.access.password_memory_kib = 64;
            config.access.password_passes = 1;
            config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
            config.http.forwarded_by = forwarded_by;
        };
        with_config(slow, async |app| {
            let mut statuses = Vec::new();
            for number in 0..60 {
                let body =
                    json!({"email": format!("nobody{number}@example.com"), "password": "wrong"});
                let request = app.client.post(format!("{}/v1/sessions", app.base));
                let made_up = format!("6.1.{number}.1");
                // The proxy adds the address that it saw to what the client made up.
                let request = match forwarded_by {
                    ForwardedBy::XForwarded => request
                        .header("x-forwarded-for", format!("{made_up}, 1.2.3.4"))
                        .header("forwarded", format!("for={made_up}")),
                    ForwardedBy::Forwarded => request
                        .header("forwarded", format!("for={made_up}, for=1.2.3.4"))
                        .header("x-forwarded-for", made_up.clone()),
                };
                let request = request.header("x-real-ip", made_up);
                statuses.push(send(request.json(&body)).await.status);
            }
            assert!(statuses.contains(&429), "{forwarded_by:?}: {statuses:?}");
        });
    }
}

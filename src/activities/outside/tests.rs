//! Which addresses are refused however they are spelled, and what comes of calls.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::dns::{Name, Resolve};
use serde_json::{Value, json};
use url::Url;

use super::egress::{Egress, Refused, refusal};
use crate::activities::settings::EgressSettings;
use crate::activities::{Activities, Activity, OutsideCall};
use crate::domain::run::{Failure, FailureClass};
use crate::domain::secret::{BoundSecret, BoundSecrets, Secret};

const IDENTIFIER: &str = "workflows:http-request-platform";
const KEY: &str = "run_1/call";

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn allowing(networks: &str) -> EgressSettings {
    serde_json::from_value(json!({ "allow": networks })).unwrap()
}

/// Calls with the settings of a test, which allow `127.0.0.1` unless they say otherwise.
fn call_with(settings: &EgressSettings, input: Value) -> Result<Value, Failure> {
    call_knowing(BoundSecrets::default(), settings, input)
}

fn call_knowing(
    secrets: BoundSecrets,
    settings: &EgressSettings,
    input: Value,
) -> Result<Value, Failure> {
    // Another test may have been first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let activities = Activities::built_in(settings);
    let Some(Activity::Outside(activity)) = activities.find(IDENTIFIER) else { panic!() };
    let (idempotency_key, timeout) = (KEY.to_owned(), Duration::from_secs(10));
    wait(async move {
        activity
            .call(OutsideCall {
                input,
                idempotency_key,
                timeout,
                secrets,
                connection: None,
                traceparent: None,
            })
            .await
    })
}

fn call(input: Value) -> Result<Value, Failure> {
    call_with(&allowing("127.0.0.1"), input)
}

/// A server that answers one connection after another, and tells what it was asked.
pub(super) struct Server {
    pub(super) base: String,
    thread: JoinHandle<Vec<String>>,
}

pub(super) type Reply = Box<dyn FnOnce(&mut TcpStream) + Send>;

pub(super) fn serve(replies: Vec<Reply>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let answer = |reply: Reply| {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = read_request(&stream);
            reply(&mut stream);
            asked
        };
        replies.into_iter().map(answer).collect()
    });
    Server { base, thread }
}

impl Server {
    pub(super) fn asked(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the request ends early: {head}");
    }
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

fn reply(text: impl Into<String>) -> Reply {
    let text = text.into();
    Box::new(move |stream| stream.write_all(text.as_bytes()).unwrap())
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    reply(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

fn one(reply: Reply) -> (Server, Value) {
    let server = serve(vec![reply]);
    let input = json!({ "url": server.base });
    (server, input)
}

const INNER_HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.1.2.3",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "a.b.localhost.",
    "loc%61lhost",
    "ｌocalhost",
    "10.0.0.1",
    "10.255.255.255",
    "167772161",
    "0xa.1",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "2886729729",
    "192.168.0.1",
    "192.168.257",
    "0xc0a80001",
    "3232235521",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "192.88.99.1",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:808:808::1]",
    "[2001::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[2600::5efe:7f00:1]",
    "[4000::1]",
];

#[test]
fn inner_addresses_are_refused_however_they_are_spelled() {
    let egress = Egress::new(&EgressSettings::default());
    for host in INNER_HOSTS {
        for url in [
            format!("http://{host}/"),
            format!("https://{host}:8443/a?b=c#d"),
            format!("http://api.example.com@{host}/"),
            format!("HTTP://user:secret@{host}\\@api.example.com/"),
            format!("  http:\\\\{host}\\ "),
        ] {
            let refused = egress.url(&url).expect_err(&url);
            assert_eq!(refused.code, "egress_refused", "{url}: {refused}");
            assert_eq!(refused.class, FailureClass::Terminal);
            assert!(refused.message.contains("ERGANE_EGRESS__ALLOW"), "{refused}");
            assert!(!refused.message.contains("secret"), "{refused}");
        }
    }
}

#[test]
fn what_is_no_address_of_the_web_is_refused() {
    let egress = Egress::new(&EgressSettings::default());
    for (url, code) in [
        ("file:///etc/passwd", "egress_refused"),
        ("ftp://api.example.com/", "egress_refused"),
        ("gopher://api.example.com:6379/_INFO", "egress_refused"),
        ("data:text/plain,hi", "egress_refused"),
        ("unix:/run/docker.sock", "egress_refused"),
        ("api.example.com", "invalid_url"),
        ("//api.example.com", "invalid_url"),
        ("http://", "invalid_url"),
        ("http://256.0.0.1/", "invalid_url"),
        ("http://[::1", "invalid_url"),
        ("", "invalid_url"),
    ] {
        assert_eq!(egress.url(url).expect_err(url).code, code, "{url}");
    }
}

#[test]
fn outer_addresses_and_allowed_networks_pass() {
    let egress = Egress::new(&allowing("10.1.0.0/16,::1/128,127.0.0.1"));
    for url in [
        "https://api.example.com/",
        "http://8.8.8.8/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
        "http://[2606:4700::1111]/",
        "http://[64:ff9b::808:808]/",
        "http://[::ffff:8.8.8.8]/",
        "http://10.1.2.3/",
        "http://[::1]/",
        "http://127.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost:8080/",
    ] {
        egress.url(url).unwrap_or_else(|failure| panic!("{url}: {failure}"));
    }
    assert!(egress.url("http://10.2.0.1/").is_err());
    assert!(egress.url("http://127.0.0.2/").is_err());
}

#[test]
fn a_name_that_resolves_to_an_inner_address_is_refused() {
    let egress = Egress::new(&EgressSettings::default());
    let refused = wait(egress.resolve(Name::from_str("localhost").unwrap())).err().unwrap();
    assert!(refused.downcast_ref::<Refused>().is_some(), "{refused}");
    // Through the client too, where the refusal lies beneath its own error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = egress.client(Duration::from_secs(1)).unwrap();
    let url = Url::parse("http://localhost:9/").unwrap();
    let error = wait(client.get(url).send()).unwrap_err();
    assert!(refusal(&error).is_some(), "{error:?}");
}

#[test]
fn an_answer_is_read_by_its_kind() {
    for (headers, body, expected) in [
        ("content-type: application/json\r\n", r#"{"a": 1}"#, json!({"a": 1})),
        ("content-type: application/problem+json\r\n", "[1]", json!([1])),
        ("content-type: application/json\r\n", "{", json!("{")),
        ("content-type: text/plain\r\n", "5", json!("5")),
        ("", "5", json!(5)),
        ("", "", json!("")),
    ] {
        let (server, input) = one(answer("201 Created", headers, body));
        let output = call(input).unwrap();
        assert_eq!(
            (&output["status"], &output["body"]),
            (&json!(201), &expected),
            "{headers}{body}"
        );
        assert_eq!(output["headers"]["connection"], "close");
        assert!(output["durationMs"].is_u64());
        server.asked();
    }
}

#[test]
fn a_request_is_sent_as_it_is_described() {
    let server = serve(vec![answer("200 OK", "", ""), answer("200 OK", "", "")]);
    let input = json!({
        "method": "POST", "url": format!("{}/a?x=1", server.base),
        "query": {"q": "a b", "n": [1, true], "none": null},
        "headers": {"Authorization": "Bearer t", "X-Number": 5, "X-None": null},
        "body": {"deep": [1]},
    });
    call(input).unwrap();
    let own_key = json!({
        "method": "PUT", "url": server.base, "body": "plain", "headers": {"idempotency-key": "mine"},
    });
    call(own_key).unwrap();
    let asked = server.asked();
    let first = asked[0].to_lowercase();
    assert!(first.starts_with("post /a?x=1&q=a+b&n=1&n=true http/1.1\r\n"), "{first}");
    for line in [
        "authorization: bearer t\r\n",
        "x-number: 5\r\n",
        "content-type: application/json\r\n",
        "idempotency-key: run_1/call\r\n",
        concat!("user-agent: ergane/", env!("CARGO_PKG_VERSION"), "\r\n"),
    ] {
        assert!(first.contains(line), "{line} {first}");
    }
    assert!(first.ends_with(r#"{"deep":[1]}"#) && !first.contains("x-none"), "{first}");
    let second = asked[1].to_lowercase();
    assert!(second.contains("idempotency-key: mine\r\n") && second.ends_with("plain"), "{second}");
    assert!(!second.contains("run_1/call"), "{second}");
}

#[test]
fn every_attempt_carries_the_same_idempotency_key() {
    let server = serve(vec![answer("503 Busy", "", ""), answer("200 OK", "", "")]);
    let input = json!({ "url": server.base });
    assert_eq!(call(input.clone()).unwrap_err().code, "http_503");
    call(input).unwrap();
    for asked in server.asked() {
        assert!(asked.to_lowercase().contains("idempotency-key: run_1/call\r\n"), "{asked}");
    }
}

#[test]
fn a_status_decides_whether_to_ask_again() {
    use FailureClass::{Retryable, Terminal};
    for (status, class) in [
        ("400 Bad", Terminal),
        ("401 No", Terminal),
        ("404 None", Terminal),
        ("409 Hm", Terminal),
        ("304 Same", Terminal),
        ("302 Nowhere", Terminal),
        ("408 Late", Retryable),
        ("425 Early", Retryable),
        ("429 Many", Retryable),
        ("500 Oh", Retryable),
        ("503 Busy", Retryable),
        ("599 Odd", Retryable),
    ] {
        let body = if status.starts_with("304") { "" } else { "why" };
        let (server, input) = one(answer(status, "", body));
        let failure = call(input).unwrap_err();
        assert_eq!(failure.code, format!("http_{}", &status[..3]));
        assert_eq!((failure.class, &failure.details["body"]), (class, &json!(body)), "{status}");
        server.asked();
    }
    for (expected, is_success) in
        [(json!(404), true), (json!([200, 404]), true), (json!(200), false)]
    {
        let (server, mut input) = one(answer("404 None", "", ""));
        input["expectStatus"] = expected;
        assert_eq!(call(input).is_ok(), is_success);
        server.asked();
    }
}

#[test]
fn the_pause_that_is_asked_for_is_passed_on() {
    for (headers, seconds) in [
        ("retry-after: 7\r\n", Some(7)),
        (
            "date: Mon, 23 Nov 2026 10:00:00 GMT\r\nretry-after: Mon, 23 Nov 2026 10:01:30 GMT\r\n",
            Some(90),
        ),
        ("retry-after: Mon, 23 Nov 2020 10:01:30 GMT\r\n", Some(0)),
        ("retry-after: soon\r\n", None),
        ("", None),
    ] {
        let (server, input) = one(answer("429 Many", headers, ""));
        let failure = call(input).unwrap_err();
        assert_eq!(failure.retry_after, seconds.map(Duration::from_secs), "{headers}");
        server.asked();
    }
}

#[test]
fn a_call_that_surely_did_nothing_may_be_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failure = call(json!({ "url": url })).unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Retryable, "connect_failed"));
}

#[test]
fn a_call_that_may_have_acted_is_in_doubt() {
    let until_closed = |stream: &mut TcpStream| drop(stream.read(&mut [0; 1]));
    let cases: Vec<(&str, Reply)> = vec![
        ("connection_lost", Box::new(|_| {})),
        ("connection_lost", reply("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")),
        ("timeout", Box::new(until_closed)),
        (
            "timeout",
            Box::new(move |stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nd").unwrap();
                until_closed(stream);
            }),
        ),
    ];
    for (code, reply) in cases {
        let (server, mut input) = one(reply);
        if code == "timeout" {
            input["timeoutMs"] = json!(200);
        }
        let failure = call(input).unwrap_err();
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::InDoubt, code),
            "{failure}"
        );
        server.asked();
    }
}

#[test]
fn an_endless_answer_is_cut_off() {
    let announced = reply("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n");
    let chunked: Reply = Box::new(|stream| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let mut sent = stream.write_all(head);
        while sent.is_ok() {
            sent = stream.write_all(chunk.as_bytes());
        }
    });
    for endless in [announced, chunked] {
        let (server, input) = one(endless);
        let failure = call(input).unwrap_err();
        let told = (failure.class, failure.code.as_str());
        assert_eq!(told, (FailureClass::Terminal, "response_too_large"), "{failure}");
        server.asked();
    }
}

#[test]
fn a_redirect_to_an_inner_address_is_refused() {
    for target in ["http://127.0.0.2:1/", "//[::1]/", "http://0x7f.2/", "http://10.0.0.1/"] {
        let (server, input) = one(answer("302 There", &format!("location: {target}\r\n"), ""));
        let failure = call(input).unwrap_err();
        assert_eq!(failure.code, "egress_refused", "{target}: {failure}");
        server.asked();
    }
    let (server, input) = one(answer("302 There", "location: file:///etc/passwd\r\n", ""));
    assert_eq!(call(input).unwrap_err().code, "egress_refused");
    server.asked();
}

#[test]
fn redirects_are_followed_as_far_as_allowed_and_tell_strangers_nothing() {
    let stranger = serve(vec![answer("200 OK", "", "\"there\"")]);
    let there = format!("location: {}/there\r\n", stranger.base);
    let server =
        serve(vec![answer("307 On", "location: /next\r\n", ""), answer("303 On", &there, "")]);
    let input = json!({
        "method": "POST", "url": server.base, "body": {"a": 1},
        "headers": {"authorization": "Bearer t", "cookie": "c=1", "x-api-key": "k-2", "x-mine": "1"},
    });
    assert_eq!(call(input).unwrap()["body"], "there");
    let asked = server.asked();
    assert!(asked[1].starts_with("POST /next ") && asked[1].ends_with(r#"{"a":1}"#), "{asked:?}");
    assert!(asked[1].contains("Bearer t"));
    let last = stranger.asked().remove(0).to_lowercase();
    assert!(last.starts_with("get /there ") && last.contains("x-mine: 1"), "{last}");
    assert!(last.contains("idempotency-key: run_1/call"), "{last}");
    for secret in ["bearer", "c=1", "k-2", "content-type"] {
        assert!(!last.contains(secret), "{last}");
    }
    let circle = serve((0..4).map(|_| answer("302 On", "location: /\r\n", "")).collect());
    let failure = call(json!({ "url": circle.base })).unwrap_err();
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Terminal, "too_many_redirects")
    );
    circle.asked();
}

#[test]
fn a_secret_follows_no_redirect_to_another_origin() {
    let stranger = serve(vec![answer("200 OK", "", "\"there\"")]);
    let there = format!("location: {}/there\r\n", stranger.base);
    let server =
        serve(vec![answer("307 On", "location: /next\r\n", ""), answer("307 On", &there, "")]);
    let input = json!({
        "url": server.base, "headers": {"x-mine": "a {{secrets.token}}", "x-plain": "1"},
        "auth": {"bearer": "{{secrets.token}}"},
    });
    let secrets = BoundSecrets::new(vec![BoundSecret {
        name: "token".to_owned(),
        value: Secret::new("hush-hush"),
        hosts: vec!["127.0.0.1".to_owned()],
    }]);
    let said = call_knowing(secrets, &allowing("127.0.0.1"), input).unwrap();
    assert_eq!(said["body"], "there");
    for asked in server.asked() {
        assert!(asked.contains("x-mine: a hush-hush"), "{asked}");
        assert!(asked.contains("authorization: Bearer hush-hush"), "{asked}");
    }
    let last = stranger.asked().remove(0);
    assert!(last.contains("x-plain: 1") && !last.contains("hush"), "{last}");
}

#[test]
fn headers_of_the_connection_are_refused_before_anything_is_sent() {
    for name in
        ["Host", "connection", "Transfer-Encoding", "content-length", "TE", "Upgrade", "a b"]
    {
        let mut input = json!({"url": "http://127.0.0.1:1/"});
        input["headers"] = json!({ name: "x" });
        let failure = call(input).unwrap_err();
        assert_eq!(failure.code, "invalid_input", "{name}");
        let pointer = &failure.details["problems"][0]["pointer"];
        assert_eq!(pointer, &json!(format!("/headers/{name}")));
    }
    let split = json!({"url": "http://127.0.0.1:1/", "headers": {"x-a": "1\r\nx-b: 2"}});
    assert_eq!(call(split).unwrap_err().code, "invalid_input");
}

#[test]
fn an_input_that_does_not_fit_is_not_called_with() {
    for (input, pointer) in [
        (json!({}), ""),
        (json!({"url": 5}), "/url"),
        (json!({"url": "http://127.0.0.1:1/", "methd": "GET"}), "/methd"),
        (json!({"url": "http://127.0.0.1:1/", "method": "BREW"}), "/method"),
    ] {
        let failure = call(input).unwrap_err();
        assert_eq!(failure.code, "invalid_input");
        assert_eq!(failure.details["problems"][0]["pointer"], pointer);
    }
}

#[test]
fn an_output_that_breaks_its_schema_fails_the_step() {
    use crate::activities::OutsideActivity;
    use crate::domain::activity::ActivitySpec;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, ready};

    struct Odd;
    impl OutsideActivity for Odd {
        fn spec(&self) -> ActivitySpec {
            let built_in = Activities::built_in(&EgressSettings::default());
            let output_schema = json!({"type": "object", "required": ["ok"]});
            ActivitySpec {
                output_schema,
                ..(**built_in.catalogue().find(IDENTIFIER).unwrap()).clone()
            }
        }
        fn call(&self, _: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
            ready(Ok(json!({"oh": "no"}))).boxed()
        }
    }
    let activities = Activities::new(vec![Activity::Outside(Arc::new(Odd))], vec![]);
    let Some(Activity::Outside(odd)) = activities.find(IDENTIFIER) else { panic!() };
    let input = json!({"url": "http://api.example.com"});
    let (idempotency_key, timeout) = (KEY.to_owned(), Duration::from_secs(1));
    let failure = wait(odd.call(OutsideCall {
        input,
        idempotency_key,
        timeout,
        secrets: Default::default(),
        connection: None,
        traceparent: None,
    }))
    .unwrap_err();
    assert_eq!(failure.code, "invalid_output");
    assert_eq!(failure.details["problems"][0]["pointer"], "/ok");
}

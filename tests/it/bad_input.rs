//! What senders get wrong, or do on purpose: refused with where and why, and the server serves on.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, TestApp, send, with_app};

/// Every place that takes a body, with a method.
const TAKERS: [(&str, &str); 27] = [
    ("POST", "/v1/events"),
    ("POST", "/v1/events/order:placed"),
    ("POST", "/v1/events/none/replay"),
    ("POST", "/v1/event-types"),
    ("PUT", "/v1/event-types/order:placed"),
    ("POST", "/v1/filters/test"),
    ("POST", "/v1/workflows"),
    ("PUT", "/v1/workflows/w"),
    ("POST", "/v1/workflows/validate"),
    ("POST", "/v1/workflows/w/run"),
    ("POST", "/v1/runs/none/cancel"),
    ("POST", "/v1/runs/none/retry"),
    ("POST", "/v1/tickets"),
    ("PATCH", "/v1/tickets/none"),
    ("POST", "/v1/tickets/none/comments"),
    ("POST", "/v1/accounts"),
    ("POST", "/v1/contacts"),
    ("POST", "/v1/teams"),
    ("POST", "/v1/users"),
    ("POST", "/v1/tags"),
    ("POST", "/v1/keys"),
    ("POST", "/v1/tenants"),
    ("PUT", "/v1/secrets/none"),
    ("POST", "/v1/connections"),
    ("PATCH", "/v1/connections/none"),
    ("POST", "/v1/forms"),
    ("PUT", "/v1/forms/none"),
];

/// Small documents on the edges of JSON, sound and unsound.
const DOCUMENTS: &[&[u8]] = &[
    b"",
    b" ",
    b"\n",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"1",
    b"-1",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"123456789012345678901234567890",
    b"0.1e",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"- 1",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"0x10",
    b"1_000",
    b"\"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\x\"",
    b"\"\\u12\"",
    b"\"\\ud800\"",
    b"\"\\ud800\\u0041\"",
    b"\"\\udc00\"",
    b"\"\\u0000\"",
    b"\"\x00\"",
    b"\"\x1f\"",
    b"\"\t\"",
    b"\"\n\"",
    b"\"\x7f\"",
    b"\"\xff\"",
    b"\"\xc0\x80\"",
    b"\"\xed\xa0\x80\"",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"{",
    b"}",
    b"{}",
    b"{]",
    b"[",
    b"]",
    b"[]",
    b"[,]",
    b"[1,]",
    b"[1 2]",
    b"[1,,2]",
    b"[[]",
    b"[]]",
    b"[{}]",
    b"[null]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,}",
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"{\"a\" 1}",
    b"{\"a\":1 \"b\":2}",
    b"{\"a\":1,\"a\":2}",
    b"{\"\":0}",
    b"{\"a\":{\"a\":{}}}",
    b"{}{}",
    b"{} x",
    b"// c\n{}",
    b"/* */{}",
    b"{\"__proto__\":{}}",
    b"{\"constructor\":1}",
    b"{\"id\":\"\\u0000\"}",
    b"{\"name\":\"\\u0000\",\"type\":\"\\u0000\",\"title\":\"\\u0000\"}",
    b"{\"specversion\":\"1.0\"}",
    b"{\"specversion\":1,\"id\":1,\"type\":1,\"source\":1}",
    b"{\"specversion\":\"9\",\"id\":\"\",\"type\":\"\",\"source\":\"\"}",
    b"{\"name\":[],\"steps\":{},\"trigger\":[]}",
    b"{\"name\":null,\"steps\":null}",
    b"{\"steps\":[null,1,[],\"x\",{}]}",
    b"{\"filter\":[],\"event\":1}",
    b"{\"filter\":{\"a\":{\"~regex\":\"(((((\"}},\"event\":{\"type\":\"a:b\"}}",
    b"{\"teamId\":{},\"title\":[],\"requestorEmail\":5}",
    b"{\"scopes\":\"*\",\"name\":{}}",
    b"{\"payload\":1e999}",
    b"tru",
    b"nul",
    b"\x00",
    b"\x1b[2J",
    b"<xml/>",
    b"name: w\nsteps: []",
    b"a: &a [*a]",
    b"!!python/object:os.system x",
    b"%YAML 9\n---\n",
    b"---\n---\n",
];

async fn raw(app: &TestApp, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    send(app.request(method, path).header("content-type", kind).body(body)).await
}

/// Insists that a refusal is ours: no fault of the server, and a problem document.
fn sound(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert!(answer.body["code"].is_string(), "{what}: {}", answer.text);
        assert!(answer.body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
    }
}

/// Insists that the server does its work after all that it was given.
async fn serves(app: &TestApp) {
    app.get("/healthz").await.expect(200);
    app.get("/readyz").await.expect(200);
    let name = "still-serving";
    let definition = json!({"name": name, "trigger": {"event": "still:serving"},
        "steps": [{"id": "nap", "sleep": "1ms"}]});
    app.put(&format!("/v1/workflows/{name}"), definition).await;
    let run = app.publish("still:serving", json!({})).await.remove(0);
    assert_eq!(app.end_of(&run).await["status"], "succeeded");
}

#[test]
fn no_small_document_breaks_anything_anywhere() {
    with_app(async |app| {
        for (method, path) in TAKERS {
            for kind in ["application/json", "application/cloudevents+json", "application/yaml"] {
                for document in DOCUMENTS {
                    let answer = raw(&app, method, path, kind, document.to_vec()).await;
                    let text = String::from_utf8_lossy(document);
                    sound(&answer, &format!("{method} {path} {kind} `{text}`"));
                }
            }
        }
        serves(&app).await;
    });
}

/// Every place of the description that takes a body, with a method.
async fn described(app: &TestApp) -> Vec<(String, String)> {
    let description = app.get("/v1/openapi.json").await.expect(200);
    let mut places = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for method in ["post", "put", "patch", "delete"] {
            if operations.get(method).is_some() {
                places.push((method.to_uppercase(), path.replace(['{', '}'], "")));
            }
        }
    }
    places
}

#[test]
fn no_described_place_breaks_on_a_small_document() {
    with_app(async |app| {
        let places = described(&app).await;
        assert!(places.len() > 40, "{} places", places.len());
        for (method, path) in places {
            for document in DOCUMENTS {
                let document = document.to_vec();
                let answer = raw(&app, &method, &path, "application/json", document).await;
                assert!(answer.status < 500, "{method} {path}: {}", answer.text);
            }
        }
        serves(&app).await;
    });
}

#[test]
fn a_browser_and_odd_methods_are_answered_everywhere() {
    with_app(async |app| {
        let description = app.get("/v1/openapi.json").await.expect(200);
        let paths = description["paths"].as_object().expect("paths").keys();
        let mut places: Vec<String> = paths.map(|path| path.replace(['{', '}'], "")).collect();
        places.extend(
            [
                "/",
                "/sign-in",
                "/nowhere",
                "/runs",
                "/runs/none",
                "/workflows",
                "/workflows/none",
                "/events",
                "/events/none",
                "/tickets",
                "/tickets/none",
                "/settings",
                "/keys",
                "/healthz/x",
                "/v1",
                "/v1/",
                "//",
                "/v1//runs",
                "/docs/",
                "/assets/none",
                "/hooks/x",
                "/api/v1/none",
                "/%2e%2e/",
                "/sign-in?next=//evil.example",
                "/runs?q=<script>",
            ]
            .map(str::to_owned),
        );
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        for place in &places {
            for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "POST", "DELETE"] {
                for accept in ["text/html", "*/*", "", "text/html;q=x,,;"] {
                    for key in [Some(&app.key), None] {
                        let method = Method::from_bytes(method.as_bytes()).expect("a method");
                        let request = client.request(method, format!("{}{place}", app.base));
                        let request = request
                            .header("accept", accept)
                            .header("cookie", "ergane_session=x; ;=; a=\"")
                            .timeout(Duration::from_secs(5));
                        let request = match key {
                            Some(key) => request.bearer_auth(key),
                            None => request,
                        };
                        match request.send().await {
                            Ok(answer) => {
                                assert!(answer.status().as_u16() < 500, "{place}");
                                let place_of = answer.headers().get("location");
                                let leads = place_of.and_then(|to| to.to_str().ok());
                                assert!(!leads.is_some_and(|to| to.starts_with("//")), "{place}");
                            }
                            // A stream goes on; everything else must answer.
                            Err(error) => assert!(place.ends_with("/stream"), "{place}: {error}"),
                        }
                    }
                }
            }
        }
        serves(&app).await;
    });
}

#[test]
fn deep_nesting_is_refused_before_anything_is_built() {
    with_app(async |app| {
        let bodies = [
            "[".repeat(100_000),
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
            format!("{{\"name\":{}1{}}}", "[".repeat(65), "]".repeat(65)),
        ];
        for (method, path) in TAKERS {
            for body in &bodies {
                let body = body.clone().into_bytes();
                let answer = raw(&app, method, path, "application/json", body).await;
                sound(&answer, path);
                if path != "/v1/workflows/validate" {
                    assert!(answer.status >= 400, "{path}: {}", answer.text);
                }
            }
        }
        for yaml in ["[".repeat(50_000), "- ".repeat(50_000), "a: {".repeat(50_000)] {
            let answer = raw(&app, "POST", "/v1/workflows", "application/yaml", yaml.into()).await;
            sound(&answer, "yaml");
            assert!(answer.status >= 400, "{}", answer.text);
        }
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &('b'..='i')
                .map(|name| {
                    let before = (name as u8 - 1) as char;
                    let refer = vec![format!("*{before}"); 9].join(",");
                    format!("{name}: &{name} [{refer}]\n")
                })
                .collect::<String>();
        let answer = raw(&app, "POST", "/v1/workflows", "application/yaml", bomb.into()).await;
        sound(&answer, "a bomb of aliases");
        assert!(answer.status >= 400, "{}", answer.text);
        let mut filter = json!({"a": {"~eq": 1}});
        for _ in 0..60 {
            filter = json!({"~and": [filter]});
        }
        let body = json!({"filter": filter, "event": {"type": "a:b", "payload": {"a": 1}}});
        sound(&app.post("/v1/filters/test", body).await, "a deep filter");
        serves(&app).await;
    });
}

#[test]
fn too_large_is_told_with_its_limit() {
    with_app(async |app| {
        let text = |bytes: usize| json!({"text": "x".repeat(bytes)});
        let refused = app.post("/v1/events/order:placed", text(300 << 10)).await;
        assert_eq!(refused.refused(413, "too_large")["limit"], 256 << 10);
        app.post("/v1/events/order:placed", text(200 << 10)).await.expect(202);
        for (method, path) in TAKERS {
            let body = text(1 << 20).to_string().into_bytes();
            let answer = raw(&app, method, path, "application/json", body).await;
            assert_eq!(answer.status, 413, "{path}: {}", answer.text);
            sound(&answer, path);
        }
        let event = |id: usize| json!({"specversion": "1.0", "id": format!("{id}"), "source": "s", "type": "a:b"});
        let batch: Vec<Value> = (0..1_001).map(event).collect();
        app.post("/v1/events", json!(batch)).await.refused(413, "too_large");
        let none = app.get("/v1/events?type=a:b").await.expect(200);
        assert_eq!(none["data"], json!([]), "a refused batch leaves nothing");
        let accepted = app.post("/v1/events", json!(batch[..1_000])).await.expect(202);
        assert_eq!(accepted["accepted"].as_array().map(Vec::len), Some(1_000));
        let mut one = event(5_000);
        one["data"] = text(300 << 10);
        let mixed = app.post("/v1/events", json!([one, event(5_001)])).await.expect(202);
        assert_eq!(mixed["rejected"][0]["index"], 0, "{mixed}");
        assert_eq!(mixed["accepted"][0]["id"], "5001");
        serves(&app).await;
    });
}

#[test]
fn a_hundred_posts_of_one_event_at_once_start_one_run() {
    with_app(async |app| {
        let definition = json!({"name": "w", "trigger": {"event": "order:placed"},
            "steps": [{"id": "nap", "sleep": "1ms"}]});
        app.save(definition).await;
        let posts =
            (0..100).map(|number| app.post("/v1/events/order:placed?id=one", json!({"n": number})));
        let answers = futures_util::future::join_all(posts).await;
        let mut runs = Vec::new();
        let mut fresh = 0;
        for answer in answers {
            let accepted = answer.expect(202)["accepted"][0].clone();
            fresh += usize::from(accepted["duplicate"] == false);
            runs.push(accepted["runs"].clone());
        }
        assert_eq!(fresh, 1);
        assert!(runs.iter().all(|of| *of == runs[0]), "{runs:?}");
        let all = app.get("/v1/runs").await.expect(200);
        assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
        let same =
            |_| json!({"specversion": "1.0", "id": "two", "source": "s", "type": "order:placed"});
        let batch: Vec<Value> = (0..100).map(same).collect();
        let answer = app.post("/v1/events", json!(batch)).await.expect(202);
        let accepted = answer["accepted"].as_array().expect("a list");
        let fresh = accepted.iter().filter(|one| one["duplicate"] == false).count();
        assert_eq!((accepted.len(), fresh), (100, 1), "within a batch, too");
        let all = app.get("/v1/runs").await.expect(200);
        assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn a_hundred_requests_with_one_idempotency_key_make_one_thing() {
    with_app(async |app| {
        let posts = (0..50).map(|_| {
            let request = app.request(Method::POST, "/v1/teams");
            send(request.header("idempotency-key", "k").json(&json!({"name": "One"})))
        });
        let answers = futures_util::future::join_all(posts).await;
        for answer in &answers {
            assert!(matches!(answer.status, 201 | 409), "{}", answer.text);
        }
        let teams = app.get("/v1/teams").await.expect(200);
        assert_eq!(teams["data"].as_array().map(Vec::len), Some(1));
        let other = app.request(Method::POST, "/v1/teams").header("idempotency-key", "k");
        let other = send(other.json(&json!({"name": "Two"}))).await;
        other.refused(422, "idempotency_key_reused");
    });
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn hostile_names_are_only_names() {
    const NAMES: [&str; 22] = [
        "../",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/",
        "%00",
        "a%00b",
        "%ff%fe",
        "%",
        "%zz",
        "healthz",
        "<script>alert(1)</script>",
        "'; drop table runs; --",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "con",
        "nul",
        "\u{202e}gnp.exe",
        "\u{1f980}",
        "a b",
        "a/b",
        ".",
        "..",
        "~",
    ];
    with_app(async |app| {
        for name in NAMES {
            for place in [
                "workflows",
                "runs",
                "events",
                "tickets",
                "accounts",
                "keys",
                "event-types",
                "activities",
                "users",
            ] {
                for method in [Method::GET, Method::DELETE, Method::PATCH] {
                    let path = format!("/v1/{place}/{name}");
                    let Ok(request) = app.request(method, &path).json(&json!({})).build() else {
                        continue; // It is no address at all.
                    };
                    let answer = app.client.execute(request).await.expect("the server answers");
                    assert!(answer.status().as_u16() < 500, "{path}: {}", answer.status());
                }
            }
            let definition = json!({"name": name, "trigger": "manual",
                "steps": [{"id": name, "sleep": "1s"}]});
            let answer = app.post("/v1/workflows", definition).await;
            sound(&answer, name);
            if name != "healthz" && name != "con" && name != "nul" {
                assert_eq!(answer.status, 422, "{name}");
            }
            sound(&app.post("/v1/tags", json!({"name": name})).await, name);
            let key = json!({"name": name, "scopes": ["events:read"]});
            sound(&app.post("/v1/keys", key).await, name);
            let tenant = json!({"slug": name});
            sound(&app.post("/v1/tenants", tenant).await, name);
            let kind = json!({"type": name, "schema": {}});
            sound(&app.post("/v1/event-types", kind).await, name);
            let event = json!({"specversion": "1.0", "id": name, "source": name, "type": name,
                "subject": name, "data": {name: name}});
            sound(&app.post("/v1/events", event).await, name);
        }
        app.get("/healthz").await.expect(200);
        let events = app.get("/v1/events").await.expect(200);
        for event in events["data"].as_array().expect("a list") {
            assert!(NAMES.contains(&event["id"].as_str().unwrap_or("")), "{event}");
        }
        serves(&app).await;
    });
}

#[test]
fn control_characters_in_ids_are_kept_or_refused_never_mangled() {
    with_app(async |app| {
        for id in [
            "\u{0}",
            "a\u{0}b",
            "\u{7f}",
            "\n",
            "a\tb",
            "\u{feff}",
            "\u{2028}",
            "é",
            " ",
            "a ",
            "\u{1f468}\u{200d}\u{1f469}",
        ] {
            let event = json!({"specversion": "1.0", "id": id, "source": "s", "type": "a:b"});
            let answer = app.post("/v1/events", event.clone()).await;
            sound(&answer, id);
            if answer.status == 202 {
                assert_eq!(answer.body["accepted"][0]["id"], id, "{}", answer.text);
                let again = app.post("/v1/events", event).await.expect(202);
                assert_eq!(again["accepted"][0]["duplicate"], true, "{id:?}");
            }
        }
        let long = "x".repeat(5_000);
        let event = json!({"specversion": "1.0", "id": long, "source": "s", "type": "a:b"});
        let problem = app.post("/v1/events", event).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/id");
    });
}

#[test]
fn huge_and_odd_numbers_survive_or_are_refused() {
    with_app(async |app| {
        for number in [
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1e300",
            "5e-324",
            "123456789012345678901234567890",
            "-0",
            "1e400",
        ] {
            let body = format!("{{\"n\": {number}}}").into_bytes();
            let path = "/v1/events/order:placed";
            let answer = raw(&app, "POST", path, "application/json", body).await;
            sound(&answer, number);
            if answer.status == 202 {
                let id = answer.body["accepted"][0]["id"].as_str().expect("an id").to_owned();
                let kept = app.get(&format!("/v1/events/{id}")).await.expect(200);
                let same: f64 = number.parse().expect("a number");
                assert_eq!(kept["payload"]["n"].as_f64(), Some(same), "{number}");
            }
        }
        for (path, body) in [
            ("/v1/workflows/w/run", json!({"version": 1e300})),
            ("/v1/workflows/w/run", json!({"version": -1})),
            ("/v1/workflows/w/run", json!({"version": u64::MAX})),
            ("/v1/filters/test", json!({"filter": {}, "type": "a:b", "last": u64::MAX})),
            ("/v1/tickets", json!({"storyPoints": 1e308})),
        ] {
            let answer = app.post(path, body).await;
            sound(&answer, path);
            assert!(answer.status >= 400);
        }
        for duration in ["1e30", "-1s", "999999999999999999999h", "1.5.5s", "s", "1y", "NaN"] {
            let step = json!({"id": "a", "sleep": duration});
            let definition = json!({"name": "w", "trigger": "manual", "steps": [step]});
            let answer = app.post("/v1/workflows", definition).await;
            answer.refused(422, "invalid");
            let answer = app.get(&format!("/v1/runs/none?wait={duration}")).await;
            sound(&answer, duration);
        }
        serves(&app).await;
    });
}

#[test]
fn wrong_content_types_cursors_tags_and_parameters_are_refused_by_name() {
    with_app(async |app| {
        for path in ["/v1/workflows", "/v1/events", "/v1/tickets", "/v1/keys"] {
            for kind in [
                "text/html",
                "application/xml",
                "multipart/form-data; boundary=x",
                "application/x-www-form-urlencoded",
                "application/octet-stream",
            ] {
                let answer = raw(&app, "POST", path, kind, b"{}".to_vec()).await;
                answer.refused(415, "unsupported_media_type");
            }
        }
        for cursor in ["x", "%00", "AAAA", "////", "eyJhIjoxfQ", &"A".repeat(5_000), "-1"] {
            for list in ["runs", "events", "workflows", "tickets", "keys"] {
                let answer = app.get(&format!("/v1/{list}?cursor={cursor}")).await;
                sound(&answer, cursor);
                assert_eq!(answer.status, 400, "{list} {cursor}");
            }
        }
        let definition = json!({"name": "w", "trigger": "manual",
            "steps": [{"id": "nap", "sleep": "1s"}]});
        app.save(definition.clone()).await;
        for tag in ["", "x", "\"x\"", "\"99\"", "W/\"", ",,,", "\"\"", "\u{fc}"] {
            let request = app.request(Method::PUT, "/v1/workflows/w").header("if-match", tag);
            send(request.json(&definition)).await.refused(412, "stale");
        }
        let right = app.get("/v1/workflows/w").await;
        let tag = right.header("etag").expect("a tag").to_owned();
        let request = app.request(Method::PUT, "/v1/workflows/w").header("if-match", tag);
        send(request.json(&definition)).await.expect(200);
        for (path, name) in [
            ("/v1/runs?stauts=failed", "stauts"),
            ("/v1/workflows/w?verison=1", "verison"),
            ("/v1/events?foo", "foo"),
            ("/v1/tickets?status[]=open", "status[]"),
        ] {
            let problem = app.get(path).await.expect(400);
            assert!(problem["detail"].to_string().contains(name), "{problem}");
        }
        for path in [
            "/v1/runs?since=yesterday",
            "/v1/events?until=2026-99-99",
            "/v1/events?matched=maybe",
            "/v1/workflows/w?version=0",
            "/v1/workflows/w?version=4294967296",
            "/v1/workflows/w?format=toml",
        ] {
            app.get(path).await.refused(400, "invalid_parameter");
        }
    });
}

#[test]
fn unknown_activities_operators_and_references_are_refused_with_a_hint() {
    with_app(async |app| {
        for (step, at, code) in [
            (
                json!({"id": "a", "activity": "tickets:update-tiket-platform"}),
                "/activity",
                "unknown_activity",
            ),
            (
                json!({"id": "a", "activity": "workflows:transform-platform", "if": {"x": {"~eqq": 1}}}),
                "/if/x/~0eqq",
                "unknown_operator",
            ),
            (
                json!({"id": "a", "activity": "workflows:transform-platform",
                "input": {"output": "{{ steps.b.output }}"}}),
                "/input/output",
                "unknown_step",
            ),
            (
                json!({"id": "a", "activity": "workflows:transform-platform",
                "input": {"output": "{{ trigger.payload.x | no_such_filter }}"}}),
                "/input/output",
                "invalid_expression",
            ),
        ] {
            let definition = json!({"name": "w", "trigger": "manual", "steps": [step]});
            let problem =
                app.post("/v1/workflows", definition.clone()).await.refused(422, "invalid");
            let found = &problem["errors"][0];
            assert_eq!(found["pointer"], format!("/steps/0{at}"), "{problem}");
            assert_eq!(found["code"], code);
            let verdict = app.post("/v1/workflows/validate", definition).await.expect(200);
            let mut told = found.clone();
            told["severity"] = json!("error");
            assert_eq!((&verdict["valid"], &verdict["problems"][0]), (&json!(false), &told));
        }
    });
}

/// Sends bytes on a connection of their own and returns what came back.
async fn spoken(app: &TestApp, bytes: &[u8]) -> String {
    let address = app.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let _ = stream.write_all(bytes).await; // The server may refuse before the end.
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(8), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn broken_requests_on_the_wire_harm_nobody() {
    with_app(async |app| {
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
        let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(5_000));
        let post = |rest: &str| {
            format!("POST /v1/events/a:b HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\n{rest}", app.key)
        };
        for bytes in [
            b"\x00\x01\x02\r\n\r\n".to_vec(),
            b"GET\r\n\r\n".to_vec(),
            b"GET / HTTP/9.9\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            long.into_bytes(),
            headers.into_bytes(),
            post("Content-Length: -1\r\n\r\n{}").into_bytes(),
            post("Content-Length: 99999999999999999999\r\n\r\n{}").into_bytes(),
            post("Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ").into_bytes(),
            post("Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n").into_bytes(),
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n").into_bytes(),
            post("Content-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd")
                .into_bytes(),
        ] {
            let answer = spoken(&app, &bytes).await;
            let first = answer.lines().next().unwrap_or_default();
            assert!(
                !first.contains(" 5"),
                "{first} for {}",
                String::from_utf8_lossy(&bytes[..40.min(bytes.len())])
            );
            assert!(!first.contains(" 202"), "{first}");
        }
        let none = app.get("/v1/events").await.expect(200);
        assert_eq!(none["data"], json!([]));
        serves(&app).await;
    });
}

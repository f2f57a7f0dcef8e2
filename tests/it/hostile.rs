//! Hostile documents in the shape of a known suite: what is JSON (`y`), what is none (`n`), and what
//! readers may disagree about (`i`); as events, definitions, filters and manifests; and YAML.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, send, with_app};

const PLACES: [&str; 6] = [
    "/v1/events/hostile:one",
    "/v1/events",
    "/v1/workflows",
    "/v1/filters/test",
    "/v1/apps",
    "/v1/event-types",
];

/// Whether a text is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Sound,
    Broken,
    Debatable,
}

#[expect(clippy::too_many_lines, reason = "a table, read as one")]
fn corpus() -> Vec<(Class, Vec<u8>)> {
    let mut corpus: Vec<(Class, Vec<u8>)> = Vec::new();
    let mut add = |class: Class, text: &[u8]| {
        corpus.push((class, text.to_vec()));
        for (before, after) in [("[", "]"), ("{\"a\":", "}"), (" \t\r\n", "\n ")] {
            corpus.push((class, [before.as_bytes(), text, after.as_bytes()].concat()));
        }
    };
    for text in [
        "0",
        "-0",
        "-1",
        "1E1",
        "1e+2",
        "1e-2",
        "123.456e78",
        "-0.0e-0",
        "1.5",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        "\"\\u0000\"",
        "\"\\u00e9\\n\\t\\/\\\\\\\"\"",
        "\"\\ud834\\udd1e\"",
        "\"\u{2028}\u{2029}\"",
        "\"\u{10ffff}\"",
        "\"\u{7f}\"",
        "\"\u{feff}\"",
        "[]",
        "{}",
        "[[[[[]]]]]",
        "{\"\":0}",
        "{\"a\":{\"b\":[1,{\"c\":null}]}}",
        "[1,\n2\r,\t3 ]",
        "\"\\uFFFF\"",
        "-9223372036854775808",
        "18446744073709551615",
        "\"asd\u{e000}\"",
        "{\"__proto__\":1}",
        "{\"constructor\":{\"prototype\":1}}",
        "{\"\\u0061\":1}",
    ] {
        add(Class::Sound, text.as_bytes());
    }
    for text in [
        "01",
        "-01",
        "1.",
        ".1",
        "-.1",
        "1.e1",
        "1e",
        "1e+",
        "1eE2",
        "0x1",
        "0b1",
        "+1",
        "++1",
        "-",
        "--1",
        "- 1",
        "1 000",
        "1_000",
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "Inf",
        "1a",
        "1.2.3",
        "1,2 3",
        "\u{ff11}",
        "TRUE",
        "True",
        "tru",
        "truE",
        "nul",
        "nulll",
        "undefined",
        "None",
        "'a'",
        "a",
        "\"",
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\x00\"",
        "\"\\u\"",
        "\"\\u00\"",
        "\"\\u00A\"",
        "\"\\u00AG\"",
        "\"\\a\"",
        "\"\\U0041\"",
        "\"\\'\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"a\u{1}b\"",
        "\"a\0b\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[,1]",
        "[1,,2]",
        "[1 2]",
        "[1,]",
        "[,]",
        "[1}",
        "[\"a\"",
        "[\"\": 1]",
        "[*]",
        "[1]x",
        "[1]]",
        "[][]",
        "[true",
        "{",
        "}",
        "{]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{\"a\":1,,\"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{null:1}",
        "{\"a\":1}}",
        "{\"a\":1}{\"b\":2}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":/*c*/1}",
        "/*c*/1",
        "1//c",
        "1#c",
        "<!--1-->",
        "1;",
        "\u{c}1",
        "1\u{b}",
        "\u{a0}1",
        "\u{2003}1",
        "\u{200b}1",
        "1\0",
        "\u{0}1",
        "\u{feff}1",
        "<null>",
        "<a/>",
        "---",
        "%",
        "\\",
        "\\u0031",
        "[\\n]",
        "(1)",
        "`a`",
        "@",
        "1 x",
        "null null",
        "\"a\" \"b\"",
        "\"a\" + \"b\"",
        "{{1}}",
        "$1",
        "&a",
        "*a",
        "!!null",
        "? a : b",
    ] {
        add(Class::Broken, text.as_bytes());
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xe0\x80\xaf\"",
        b"\"\xf0\x80\x80\xaf\"",
        b"\"\xc1\xbf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe9\"",
        b"\"\xc3\"",
        b"\"\x80\"",
        b"\xff",
        b"\xc3\xa9",
        b"\xef\xbb\xbf",
        b"\xff\xfe[\x00]\x00",
        b"\xfe\xff\x00[\x00]",
        b"[\x00]\x00",
        b"\"\\\xff\"",
        b"1\xe5",
        b"\xf0",
        b"\xed\xa0\x80",
    ] {
        add(Class::Broken, bytes);
    }
    for text in [
        "1e400",
        "-1e400",
        "1e-400",
        "1.5e+9999",
        "0e9999999999",
        "123456789012345678901234567890",
        "-123123123123123123123123123123",
        "0.1234567890123456789012345678901234567890",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800a\"",
        "\"\\uDFAA\"",
        "\"\\ud83d\\u0041\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":{},\"a\":{}}",
    ] {
        add(Class::Debatable, text.as_bytes());
    }
    let nested = |open: &str, close: &str, times| {
        format!("{}0{}", open.repeat(times), close.repeat(times)).into_bytes()
    };
    for times in [63, 64, 65, 500, 50_000] {
        corpus.push((Class::Debatable, nested("[", "]", times)));
        corpus.push((Class::Debatable, nested("{\"a\":", "}", times)));
        corpus.push((Class::Broken, "[".repeat(times).into_bytes()));
        corpus.push((Class::Broken, "{\"a\":".repeat(times).into_bytes()));
        corpus.push((Class::Broken, "[{\"\":".repeat(times).into_bytes()));
    }
    corpus.push((Class::Debatable, format!("1{}", "0".repeat(100_000)).into_bytes()));
    corpus.push((Class::Debatable, format!("0.{}1", "0".repeat(100_000)).into_bytes()));
    corpus.push((Class::Sound, format!("\"{}\"", "\\u0041".repeat(30_000)).into_bytes()));
    corpus
}

async fn post(app: &TestApp, path: &str, kind: &str, body: &[u8]) -> Answer {
    let request = app.request(Method::POST, path).header("content-type", kind);
    send(request.body(body.to_vec())).await
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned()
}

fn is_told(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert!(answer.body["code"].is_string(), "{what}: {}", answer.text);
    }
}

#[test]
fn every_reader_tells_json_from_what_is_none() {
    with_app(async |app| {
        let corpus = corpus();
        assert!(corpus.len() > 700, "{}", corpus.len());
        for (class, body) in &corpus {
            for path in PLACES {
                let answer = post(&app, path, "application/json", body).await;
                let what = format!("{class:?} {} at {path}", shown(body));
                is_told(&answer, &what);
                let code = answer.body["code"].as_str().unwrap_or_default();
                match class {
                    Class::Sound => assert_ne!(code, "invalid_json", "{what}: {}", answer.text),
                    // A body of nothing but a broken outside may be refused for its inside too.
                    Class::Broken => assert!(
                        matches!(answer.status, 400 | 422),
                        "{what}: {} {}",
                        answer.status,
                        answer.text
                    ),
                    Class::Debatable => {}
                }
            }
        }
        app.get("/readyz").await.expect(200);
        assert_eq!(app.publish("still:here", json!({})).await.len(), 0);
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, read as one")]
fn yaml_is_read_within_bounds_and_without_surprises() {
    with_app(async |app| {
        let plain = "name: w\ntrigger: manual\nsteps: [{id: a, sleep: 1ms}]\n";
        let bomb = |levels: usize| {
            let first = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
            (1..levels).fold(first, |text, n| {
                let item = format!("*a{}", n - 1);
                format!("{text}a{n}: &a{n} [{}]\n", [item.as_str(); 9].join(", "))
            })
        };
        let merges = (1..30).fold("m0: &m0 {k: v}\n".to_owned(), |text, n| {
            format!("{text}m{n}: &m{n} {{<<: [*m{0}, *m{0}]}}\n", n - 1)
        });
        let begun = Instant::now();
        for text in [
            bomb(6),
            bomb(12),
            merges,
            "[".repeat(100_000),
            "- ".repeat(50_000),
            "? ".repeat(50_000),
            "a: &a [*a]".to_owned(),
            "a: &a {<<: *a}".to_owned(),
            "{".repeat(1_000),
            "&a ".repeat(1_000),
            "! ".repeat(1_000),
            "|".repeat(1_000),
            format!("{plain}name: again\n"),
            format!("{plain}? name\n: again\n"),
            format!("{plain}x: !!python/object/apply:os.system [id]\n"),
            format!("{plain}x: !<tag:yaml.org,2002:js/function> x\n"),
            format!("{plain}x: !tag y\n"),
            format!("{plain}x: *nowhere\n"),
            format!("{plain}---\nname: second\n"),
            format!("{plain}x: .inf\n"),
            format!("{plain}x: .nan\n"),
            format!("{plain}<<: {{name: merged}}\n"),
            format!("{plain}x: \"\\ud800\"\n"),
            format!("{plain}x: \u{1}\n"),
            format!("{plain}\tx: y\n"),
            format!("\u{feff}\u{feff}{plain}"),
            "%YAML 9.9\n---\na: b\n".to_owned(),
            "%TAG ! !\n%TAG ! !\n---\na\n".to_owned(),
            "a: b: c".to_owned(),
            "@a".to_owned(),
            "`a".to_owned(),
            "a: 'b".to_owned(),
            "a: \"b".to_owned(),
            "a: [b".to_owned(),
            "a: {b".to_owned(),
            "}".to_owned(),
            "? [a, b]\n: c".to_owned(),
            "{a: 1}: b".to_owned(),
            "\0".to_owned(),
            String::new(),
        ] {
            for path in ["/v1/workflows", "/v1/workflows/validate"] {
                let answer = post(&app, path, "application/yaml", text.as_bytes()).await;
                let what = format!("{} at {path}", shown(text.as_bytes()));
                is_told(&answer, &what);
                let refused = matches!(answer.status, 400 | 413 | 422)
                    || answer.body["valid"] == json!(false);
                assert!(refused, "{what}: {} {}", answer.status, answer.text);
            }
        }
        for (class, body) in corpus().iter().filter(|(class, _)| *class == Class::Broken) {
            let answer = post(&app, "/v1/workflows", "application/yaml", body).await;
            is_told(&answer, &format!("{class:?} {}", shown(body)));
            assert_ne!(answer.status, 201, "{}", shown(body));
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
        post(&app, "/v1/workflows", "application/yaml", plain.as_bytes()).await.expect(201);
    });
}

#[test]
fn a_key_that_stands_twice_in_a_definition_is_refused_with_its_place() {
    with_app(async |app| {
        for (path, kind, text, at) in [
            (
                "/v1/workflows",
                "application/json",
                r#"{"name": "w", "steps": [{"id": "a", "sleep": "1s", "sleep": "2s"}]}"#,
                "/steps/0/sleep",
            ),
            (
                "/v1/workflows",
                "application/yaml",
                "name: w\nsteps:\n  - id: a\n    sleep: 1s\n    sleep: 2s\n",
                "/steps/0/sleep",
            ),
            ("/v1/apps", "application/json", r#"{"manifest": {"a": 1, "a": 2}}"#, "/manifest/a"),
            (
                "/v1/filters/test",
                "application/json",
                r#"{"filter": {"x": 1, "x": 2}}"#,
                "/filter/x",
            ),
            ("/v1/event-types", "application/json", r#"{"type": "a:b", "type": "c:d"}"#, "/type"),
        ] {
            let answer = post(&app, path, kind, text.as_bytes()).await;
            assert!(matches!(answer.status, 400 | 422), "{path}: {}", answer.text);
            assert_eq!(answer.body["code"], "duplicate_key", "{path}: {}", answer.text);
            assert_eq!(answer.body["errors"][0]["pointer"], at, "{path}: {}", answer.text);
            let detail = answer.body["errors"][0]["detail"].as_str().expect("a sentence");
            assert!(detail.contains("line "), "{detail}");
        }
    });
}

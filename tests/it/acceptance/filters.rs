//! The filter language as Thena documents it, asked through the API.

use serde_json::{Value, json};

use super::{echo, step};
use crate::support::{TestApp, with_app};

async fn holds(app: &TestApp, filter: &Value, payload: &Value) -> bool {
    let body = json!({"filter": filter, "event": {"type": "order:placed", "payload": payload}});
    let verdict = app.post("/v1/filters/test", body).await.expect(200);
    assert_eq!(verdict["matches"], verdict["trace"]["result"], "{verdict}");
    verdict["matches"].as_bool().expect("true or false")
}

/// Insists on what filters say of payloads: `(filter, passes, fails)`.
fn check(table: &[(Value, &[Value], &[Value])]) {
    with_app(async |app| {
        for (filter, passing, failing) in table {
            for (payloads, expected) in [(passing, true), (failing, false)] {
                for payload in *payloads {
                    assert_eq!(holds(&app, filter, payload).await, expected, "{filter} {payload}");
                }
            }
        }
    });
}

/// Insists that saving a workflow with each filter is refused with a code at its pointer.
fn refused(table: &[(Value, &str, &str)]) {
    with_app(async |app| {
        for (filter, pointer, code) in table {
            let answer = app
                .post("/v1/workflows", echo("w", "order:placed", filter.clone(), json!(1)))
                .await;
            let problem = answer.refused(422, "invalid");
            let found = &problem["errors"][0];
            assert_eq!(found["pointer"], format!("/trigger/filter{pointer}"), "{filter}");
            assert_eq!(found["code"], *code, "{filter}: {found}");
        }
        app.get("/v1/workflows/w").await.expect(404);
    });
}

#[test]
fn row_35_a_trigger_without_filters_matches_every_event_of_its_type() {
    with_app(async |app| {
        for (name, filter) in [("empty", json!({})), ("null", Value::Null)] {
            app.save(echo(name, "order:placed", filter, json!(1))).await;
        }
        let mut absent = echo("absent", "order:placed", json!({}), json!(1));
        absent["trigger"].as_object_mut().expect("an object").remove("filter");
        app.save(absent).await;
        for payload in [json!({}), json!({"a": [1]}), json!([]), json!("text"), json!(null)] {
            assert_eq!(app.publish("order:placed", payload).await.len(), 3);
        }
        assert_eq!(app.publish("order:paid", json!({})).await.len(), 0);
    });
}

#[test]
fn row_36_equal_and_not_equal() {
    check(&[
        (
            json!({"priority": {"~eq": "high"}}),
            &[json!({"priority": "high"})],
            &[json!({"priority": "low"}), json!({"priority": "HIGH"}), json!({})],
        ),
        (
            json!({"status": {"~neq": "closed"}}),
            &[json!({"status": "open"}), json!({})],
            &[json!({"status": "closed"})],
        ),
        (json!({"a": {"~eq": null}}), &[json!({}), json!({"a": null})], &[json!({"a": 0})]),
    ]);
}

#[test]
fn row_37_comparisons_have_right_bounds_and_no_errors() {
    check(&[
        (
            json!({"value": {"~gt": 100}}),
            &[json!({"value": 101}), json!({"value": "100.5"})],
            &[json!({"value": 100}), json!({"value": "many"}), json!({"value": [200]}), json!({})],
        ),
        (
            json!({"age": {"~gte": 18}}),
            &[json!({"age": 18})],
            &[json!({"age": 17.999}), json!({"age": "x"})],
        ),
        (json!({"count": {"~lt": 5}}), &[json!({"count": 4})], &[json!({"count": 5}), json!({})]),
        (
            json!({"score": {"~lte": 10}}),
            &[json!({"score": 10}), json!({"score": -1e300})],
            &[json!({"score": 10.001}), json!({"score": null}), json!({"score": {}})],
        ),
    ]);
}

#[test]
fn row_38_membership_wants_a_list() {
    check(&[
        (
            json!({"status": {"~in": ["open", "pending"]}}),
            &[json!({"status": "open"}), json!({"status": "pending"})],
            &[json!({"status": "closed"}), json!({})],
        ),
        (
            json!({"type": {"~nin": ["internal", "test"]}}),
            &[json!({"type": "customer"}), json!({})],
            &[json!({"type": "internal"})],
        ),
    ]);
    with_app(async |app| {
        for operator in ["~in", "~nin"] {
            let filter = json!({"status": {operator: "open"}});
            let answer = app.post("/v1/workflows", echo("w", "order:placed", filter, json!(1)));
            let problem = answer.await.refused(422, "invalid");
            let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
            assert_eq!(pointer, format!("/trigger/filter/status/~0{}", &operator[1..]));
        }
    });
}

#[test]
fn row_39_patterns_search_and_bad_ones_are_refused_at_save() {
    let hostile = json!({"text": "a".repeat(100_000)});
    check(&[
        (
            json!({"email": {"~regex": ".*@company\\.com"}}),
            &[json!({"email": "ann@company.com"}), json!({"email": "x ann@company.com y"})],
            &[json!({"email": "ann@companyxcom"}), json!({})],
        ),
        (
            json!({"url": {"~nregex": ".*\\.test\\.com"}}),
            &[json!({"url": "www.example.com"}), json!({})],
            &[json!({"url": "www.test.com"})],
        ),
        (json!({"text": {"~regex": "^(a+)+$"}}), &[hostile], &[]),
    ]);
    with_app(async |app| {
        for pattern in ["(", "[z-a]", "(?P<x", "a{1000000}{1000000}"] {
            let filter = json!({"email": {"~regex": pattern}});
            let answer = app.post("/v1/workflows", echo("w", "order:placed", filter, json!(1)));
            let problem = answer.await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "/trigger/filter/email/~0regex");
        }
    });
}

#[test]
fn row_40_starts_and_ends() {
    check(&[
        (
            json!({"name": {"~starts": "Test"}}),
            &[json!({"name": "Testing"})],
            &[json!({"name": "A Test"}), json!({})],
        ),
        (
            json!({"ref": {"~nstarts": "DRAFT"}}),
            &[json!({"ref": "FINAL-1"}), json!({})],
            &[json!({"ref": "DRAFT-1"})],
        ),
        (
            json!({"email": {"~ends": "@thena.ai"}}),
            &[json!({"email": "a@thena.ai"})],
            &[json!({"email": "a@thena.ai.example"}), json!({"email": 5})],
        ),
        (
            json!({"path": {"~nends": ".tmp"}}),
            &[json!({"path": "a.txt"}), json!({})],
            &[json!({"path": "a.tmp"})],
        ),
    ]);
}

#[test]
fn row_41_contains_is_substring_or_membership() {
    check(&[
        (
            json!({"it": {"~contains": "urgent"}}),
            &[json!({"it": "very urgent!"}), json!({"it": ["urgent", "x"]})],
            &[json!({"it": "calm"}), json!({"it": ["urgently"]}), json!({}), json!({"it": 5})],
        ),
        (
            json!({"title": {"~ncontains": "test"}}),
            &[json!({"title": "real"}), json!({}), json!({"title": ["tests"]})],
            &[json!({"title": "a test"}), json!({"title": ["test"]})],
        ),
    ]);
}

#[test]
fn row_42_null_and_empty_both_ways() {
    check(&[
        (
            json!({"a": {"~isnull": true}}),
            &[json!({}), json!({"a": null})],
            &[json!({"a": ""}), json!({"a": 0}), json!({"a": false})],
        ),
        (json!({"a.b.c": {"~isnull": true}}), &[json!({}), json!({"a": 5})], &[]),
        (json!({"a": {"~isnull": false}}), &[json!({"a": 0})], &[json!({}), json!({"a": null})]),
        (
            json!({"tags": {"~isempty": true}}),
            &[json!({}), json!({"tags": ""}), json!({"tags": []}), json!({"tags": {}})],
            &[json!({"tags": ["x"]}), json!({"tags": 0}), json!({"tags": " "})],
        ),
        (json!({"tags": {"~isempty": false}}), &[json!({"tags": ["x"]})], &[json!({"tags": []})]),
    ]);
}

#[test]
fn row_43_and_and_or_nest_and_have_their_empty_cases() {
    let mut deep = json!({"a": {"~eq": 1}});
    for level in 0..12 {
        let operator = if level % 2 == 0 { "~and" } else { "~or" };
        deep = json!({operator: [deep]});
    }
    check(&[
        (
            json!({"~and": [{"status": {"~eq": "open"}}, {"priority": {"~eq": "high"}}]}),
            &[json!({"status": "open", "priority": "high"})],
            &[json!({"status": "open"}), json!({"priority": "high"})],
        ),
        (
            json!({"~or": [{"type": {"~eq": "bug"}}, {"priority": {"~eq": "high"}}]}),
            &[json!({"type": "bug"}), json!({"priority": "high"})],
            &[json!({})],
        ),
        (json!({"~and": []}), &[json!({})], &[]),
        (json!({"~or": []}), &[], &[json!({})]),
        (deep, &[json!({"a": 1})], &[json!({"a": 2})]),
    ]);
}

#[test]
fn row_44_several_paths_or_operators_must_all_hold() {
    check(&[(
        json!({"n": {"~gt": 1, "~lt": 5}, "s": {"~eq": "x"}}),
        &[json!({"n": 3, "s": "x"})],
        &[json!({"n": 3, "s": "y"}), json!({"n": 6, "s": "x"}), json!({"n": 1, "s": "x"})],
    )]);
}

#[test]
fn row_45_paths_go_deep_index_lists_and_survive_missing_parents() {
    check(&[
        (json!({"a.b.c.d": {"~eq": 1}}), &[json!({"a": {"b": {"c": {"d": 1}}}})], &[json!({})]),
        (
            json!({"lines.1.sku": {"~eq": "x"}}),
            &[json!({"lines": [{}, {"sku": "x"}]})],
            &[json!({"lines": [{"sku": "x"}]}), json!({"lines": "text"}), json!({"lines": null})],
        ),
    ]);
}

#[test]
fn row_46_a_template_key_equals_the_bare_path() {
    let bare = json!({"ticket.title": {"~contains": "fire"}});
    for key in [
        "{{context.event.message.payload.ticket.title}}",
        "{{trigger.payload.ticket.title}}",
        "{{ trigger.payload.ticket.title }}",
    ] {
        let (yes, no) = (json!({"ticket": {"title": "On fire"}}), json!({"ticket": {"title": ""}}));
        let (yes, no) = ([yes], [no]);
        check(&[(json!({key: {"~contains": "fire"}}), &yes, &no), (bare.clone(), &yes, &no)]);
    }
}

#[test]
fn row_47_the_right_hand_side_may_be_a_template() {
    check(&[
        (
            json!({"a": {"~eq": "{{trigger.payload.b}}"}}),
            &[json!({"a": 5, "b": 5})],
            &[json!({"a": 5, "b": 6})],
        ),
        (
            json!({"who": {"~eq": "{{context.event.message.payload.owner}}"}}),
            &[json!({"who": "ann", "owner": "ann"})],
            &[json!({"who": "ann", "owner": "bob"})],
        ),
    ]);
}

#[test]
fn row_48_all_operators_are_listed_with_kind_and_types() {
    const DOCUMENTED: [&str; 20] = [
        "~eq",
        "~neq",
        "~gt",
        "~gte",
        "~lt",
        "~lte",
        "~in",
        "~nin",
        "~regex",
        "~nregex",
        "~starts",
        "~nstarts",
        "~ends",
        "~nends",
        "~contains",
        "~ncontains",
        "~isnull",
        "~isempty",
        "~and",
        "~or",
    ];
    with_app(async |app| {
        let body = app.get("/v1/filter-operators").await.expect(200);
        let operators = body["data"].as_array().expect("a list");
        for name in DOCUMENTED {
            let found = operators.iter().find(|operator| operator["name"] == name);
            let found = found.unwrap_or_else(|| panic!("{name} is missing"));
            assert!(found["kind"].is_string(), "{found}");
            let logical = matches!(name, "~and" | "~or");
            assert_eq!(found["kind"] == "logical", logical, "{found}");
            assert!(!found["appliesTo"].as_array().expect("types").is_empty(), "{found}");
            assert_eq!(found["extension"], false, "{found}");
        }
        for name in ["~not", "~any", "~all", "~changed", "~changedTo", "~changedFrom", "~between"] {
            assert!(operators.iter().any(|operator| operator["name"] == name), "{name}");
        }
    });
}

#[test]
fn row_49_a_step_whose_filter_fails_is_skipped_and_the_rest_goes_on() {
    with_app(async |app| {
        app.save(json!({
            "name": "w",
            "trigger": {"event": "order:placed"},
            "steps": [
                {"id": "big", "activity": "workflows:transform-platform",
                 "if": {"trigger.payload.total": {"~gt": 100}}, "input": {"output": "big"}},
                {"id": "after", "activity": "workflows:transform-platform",
                 "input": {"output": {"was": "{{ steps.big.status }}"}}},
            ],
        }))
        .await;
        for (total, big, status) in [(7, "skipped", "skipped"), (700, "succeeded", "succeeded")] {
            let runs = app.publish("order:placed", json!({"total": total})).await;
            let run = app.end_of(&runs[0]).await;
            assert_eq!(run["status"], "succeeded");
            assert_eq!(step(&run, "big")["status"], big, "{run:#}");
            assert_eq!(step(&run, "after")["output"]["was"], status);
            let because = &step(&run, "big")["skippedBecause"];
            assert_eq!(because.is_null(), total > 100, "{because}");
        }
    });
}

#[test]
fn wrong_filters_are_refused_at_their_place() {
    refused(&[
        (json!({"a": {"~eqq": 1}}), "/a/~0eqq", "unknown_operator"),
        (json!({"~and": {"a": {"~eq": 1}}}), "/~0and", "invalid_value"),
        (json!({"a": {"~isnull": "yes"}}), "/a/~0isnull", "invalid_value"),
        (json!({"a": {"~starts": 5}}), "/a/~0starts", "invalid_value"),
    ]);
}

#[test]
fn our_own_operators_negate_quantify_and_compare_with_what_was() {
    check(&[
        (
            json!({"~not": {"status": {"~eq": "closed"}}}),
            &[json!({"status": "open"}), json!({})],
            &[json!({"status": "closed"})],
        ),
        (
            json!({"tags": {"~any": {"~starts": "vip"}}}),
            &[json!({"tags": ["x", "vip-1"]})],
            &[json!({"tags": ["x"]}), json!({"tags": []}), json!({})],
        ),
        (
            json!({"items": {"~all": {"price": {"~gt": 0}}}}),
            &[json!({"items": [{"price": 1}, {"price": 2}]})],
            &[json!({"items": [{"price": 1}, {"price": 0}]})],
        ),
        (
            json!({"ticket.status": {"~changed": true}}),
            &[json!({"ticket": {"status": "a"}, "previousTicket": {"status": "b"}})],
            &[json!({"ticket": {"status": "a"}, "previousTicket": {"status": "a"}})],
        ),
        (
            json!({"ticket.status": {"~changedTo": "closed", "~changedFrom": "open"}}),
            &[json!({"ticket": {"status": "closed"}, "previousTicket": {"status": "open"}})],
            &[
                json!({"ticket": {"status": "closed"}, "previousTicket": {"status": "closed"}}),
                json!({"ticket": {"status": "open"}, "previousTicket": {"status": "closed"}}),
            ],
        ),
        (
            json!({"score": {"~between": [1, 5]}}),
            &[json!({"score": 1}), json!({"score": 5})],
            &[json!({"score": 0.9}), json!({"score": 5.1}), json!({"score": "x"})],
        ),
    ]);
}

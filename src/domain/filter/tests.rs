//! The filter language, example by example and rule by rule.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Filter, Kind, Operator, operators};
use crate::domain::scope::Scope;

fn event(payload: Value) -> Scope {
    let mut scope = Scope::of_event(json!({
        "id": "e1", "type": "ticket:updated", "source": "ergane", "subject": "t1",
        "time": "2026-11-23T10:00:00.000Z",
        "actor": {"id": "u1", "type": "AGENT", "email": "ann@thena.ai"},
        "payload": payload, "metadata": {}, "cause": null,
    }));
    scope.set("tenant", json!({"id": "org1"}));
    scope
}

/// Checks what a filter answers to payloads, and that its trace says the same.
fn check(filter: Value, holds_for: &[Value], fails_for: &[Value]) {
    let parsed =
        Filter::parse(&filter, "/filter").unwrap_or_else(|why| panic!("{filter}: {why:?}"));
    let holds = holds_for.iter().map(|payload| (payload, true));
    for (payload, expected) in holds.chain(fails_for.iter().map(|payload| (payload, false))) {
        let scope = event(payload.clone());
        assert_eq!(parsed.matches(&scope), expected, "{filter} on {payload}");
        assert_eq!(parsed.trace(&scope).result, expected, "the trace of {filter} on {payload}");
    }
}

/// Returns the pointer, code and hint of every problem.
fn problems(filter: Value) -> Vec<(String, String, Option<String>)> {
    let problems = Filter::parse(&filter, "/f").expect_err("the filter is wrong");
    problems.into_iter().map(|problem| (problem.pointer, problem.code, problem.hint)).collect()
}

fn codes(filter: Value) -> Vec<String> {
    problems(filter).into_iter().map(|(_, code, _)| code).collect()
}

#[test]
fn eq_wants_the_same_value() {
    check(
        json!({"priority": {"~eq": "high"}}),
        &[json!({"priority": "high"})],
        &[json!({"priority": "High"}), json!({"priority": "low"}), json!({})],
    );
    check(json!({"a": {"~eq": 5}}), &[json!({"a": 5.0}), json!({"a": "5"})], &[json!({"a": true})]);
    check(json!({"a": {"~eq": null}}), &[json!({}), json!({"a": null})], &[json!({"a": 0})]);
    check(
        json!({"a": {"~eq": [1, "x"]}}),
        &[json!({"a": [1.0, "x"]})],
        &[json!({"a": ["1", "x"]})],
    );
}

#[test]
fn neq_wants_another_value_and_a_missing_one_is_another() {
    check(
        json!({"status": {"~neq": "closed"}}),
        &[json!({"status": "open"}), json!({}), json!({"status": null})],
        &[json!({"status": "closed"})],
    );
}

#[test]
fn gt_wants_more() {
    check(
        json!({"value": {"~gt": 100}}),
        &[json!({"value": 101}), json!({"value": 100.5}), json!({"value": "101"})],
        &[json!({"value": 100}), json!({"value": "many"}), json!({"value": [101]}), json!({})],
    );
}

#[test]
fn gte_wants_as_much() {
    check(
        json!({"age": {"~gte": 18}}),
        &[json!({"age": 18}), json!({"age": "18"})],
        &[json!({"age": 17}), json!({"age": true}), json!({"age": null})],
    );
}

#[test]
fn lt_wants_less() {
    check(
        json!({"count": {"~lt": 5}}),
        &[json!({"count": 4}), json!({"count": -1})],
        &[json!({"count": 5}), json!({}), json!({"count": ""})],
    );
}

#[test]
fn lte_wants_no_more() {
    check(
        json!({"score": {"~lte": 10}}),
        &[json!({"score": 10}), json!({"score": 9.99})],
        &[json!({"score": 11}), json!({"score": {}})],
    );
}

#[test]
fn integers_are_not_rounded() {
    check(
        json!({"id": {"~gt": 9007199254740992_i64}}),
        &[json!({"id": 9007199254740993_i64}), json!({"id": u64::MAX})],
        &[json!({"id": 9007199254740992_i64})],
    );
}

#[test]
fn times_compare_as_instants() {
    check(
        json!({"at": {"~gt": "2026-11-23T10:00:00Z"}}),
        &[json!({"at": "2026-11-23T10:00:00.001Z"}), json!({"at": "2026-11-23T10:00:00-01:00"})],
        &[json!({"at": "2026-11-23T11:00:00+01:00"}), json!({"at": "soon"}), json!({"at": 5})],
    );
    check(json!({"at": {"~lt": "2026-11-24"}}), &[json!({"at": "2026-11-23T10:00:00Z"})], &[]);
}

#[test]
fn in_wants_one_of_the_values() {
    check(
        json!({"status": {"~in": ["open", "pending"]}}),
        &[json!({"status": "open"}), json!({"status": "pending"})],
        &[json!({"status": "closed"}), json!({}), json!({"status": ["open"]})],
    );
}

#[test]
fn nin_wants_none_of_the_values() {
    check(
        json!({"type": {"~nin": ["internal", "test"]}}),
        &[json!({"type": "bug"}), json!({"type": null}), json!({})],
        &[json!({"type": "internal"}), json!({"type": "test"})],
    );
}

#[test]
fn regex_searches_anywhere() {
    check(
        json!({"email": {"~regex": ".*@company\\.com"}}),
        &[json!({"email": "ann@company.com"}), json!({"email": "x ann@company.com y"})],
        &[json!({"email": "ann@companyxcom"}), json!({"email": 5}), json!({})],
    );
    check(json!({"a": {"~regex": "b"}}), &[json!({"a": "abc"})], &[json!({"a": "aBc"})]);
}

#[test]
fn nregex_wants_no_match() {
    check(
        json!({"url": {"~nregex": ".*\\.test\\.com"}}),
        &[json!({"url": "https://a.com"}), json!({}), json!({"url": 5})],
        &[json!({"url": "https://a.test.com"})],
    );
}

#[test]
fn starts_matches_a_prefix() {
    check(
        json!({"name": {"~starts": "Test"}}),
        &[json!({"name": "Testing"}), json!({"name": "Test"})],
        &[json!({"name": "A Test"}), json!({"name": "test"}), json!({}), json!({"name": ["Test"]})],
    );
}

#[test]
fn nstarts_wants_another_prefix() {
    check(
        json!({"ref": {"~nstarts": "DRAFT"}}),
        &[json!({"ref": "FINAL"}), json!({}), json!({"ref": 1})],
        &[json!({"ref": "DRAFT-1"})],
    );
}

#[test]
fn ends_matches_a_suffix() {
    check(
        json!({"email": {"~ends": "@thena.ai"}}),
        &[json!({"email": "ann@thena.ai"})],
        &[json!({"email": "ann@thena.ai.evil"}), json!({})],
    );
}

#[test]
fn nends_wants_another_suffix() {
    check(
        json!({"path": {"~nends": ".tmp"}}),
        &[json!({"path": "a.txt"}), json!({})],
        &[json!({"path": "a.tmp"})],
    );
}

#[test]
fn contains_searches_texts_and_arrays() {
    check(
        json!({"description": {"~contains": "urgent"}}),
        &[json!({"description": "most urgent!"}), json!({"description": ["calm", "urgent"]})],
        &[json!({"description": "Urgent"}), json!({"description": ["urgently"]}), json!({})],
    );
    check(json!({"ids": {"~contains": 5}}), &[json!({"ids": [1, 5]})], &[json!({"ids": 5})]);
}

#[test]
fn ncontains_wants_no_part() {
    check(
        json!({"title": {"~ncontains": "test"}}),
        &[json!({"title": "real"}), json!({}), json!({"title": []})],
        &[json!({"title": "a test"}), json!({"title": ["test"]})],
    );
}

#[test]
fn isnull_takes_missing_for_null() {
    let null = [json!({}), json!({"assignee": null})];
    let present = [json!({"assignee": "u1"}), json!({"assignee": ""}), json!({"assignee": false})];
    check(json!({"assignee": {"~isnull": true}}), &null, &present);
    check(json!({"assignee": {"~isnull": false}}), &present, &null);
}

#[test]
fn isempty_knows_four_kinds_of_empty() {
    let empty = [
        json!({}),
        json!({"tags": null}),
        json!({"tags": ""}),
        json!({"tags": []}),
        json!({"tags": {}}),
    ];
    let full = [json!({"tags": ["a"]}), json!({"tags": 0}), json!({"tags": " "})];
    check(json!({"tags": {"~isempty": true}}), &empty, &full);
    check(json!({"tags": {"~isempty": false}}), &full, &empty);
}

#[test]
fn and_wants_all() {
    check(
        json!({"~and": [{"status": {"~eq": "open"}}, {"priority": {"~eq": "high"}}]}),
        &[json!({"status": "open", "priority": "high"})],
        &[json!({"status": "open", "priority": "low"}), json!({"priority": "high"})],
    );
    check(json!({"~and": []}), &[json!({})], &[]);
}

#[test]
fn or_wants_one() {
    check(
        json!({"~or": [{"type": {"~eq": "bug"}}, {"priority": {"~eq": "high"}}]}),
        &[json!({"type": "bug"}), json!({"type": "idea", "priority": "high"})],
        &[json!({"type": "idea", "priority": "low"})],
    );
    check(json!({"~or": []}), &[], &[json!({})]);
}

#[test]
fn paths_and_operators_side_by_side_must_all_hold() {
    check(
        json!({"a": {"~gt": 1, "~lt": 5}, "b": {"~eq": "x"}}),
        &[json!({"a": 2, "b": "x"})],
        &[json!({"a": 2}), json!({"a": 5, "b": "x"}), json!({"a": 1, "b": "x"})],
    );
    check(
        json!({"~or": [{"a": {"~eq": 1}}, {"b": {"~eq": 1}}], "c": {"~eq": 1}}),
        &[json!({"b": 1, "c": 1})],
        &[json!({"b": 1}), json!({"c": 1})],
    );
}

#[test]
fn an_empty_or_absent_filter_matches_everything() {
    check(json!({}), &[json!({}), json!({"a": 1})], &[]);
    check(json!(null), &[json!({})], &[]);
    assert!(Filter::any().matches(&event(json!(null))));
    assert_eq!(Filter::any(), Filter::parse(&json!({}), "").expect("an empty filter"));
}

#[test]
fn logic_nests() {
    check(
        json!({"~and": [{"~or": [{"a": {"~eq": 1}}, {"~and": [{"b": {"~eq": 1}}, {"c": {"~eq": 1}}]}]}]}),
        &[json!({"a": 1}), json!({"b": 1, "c": 1})],
        &[json!({"b": 1})],
    );
}

#[test]
fn not_turns_a_filter_around() {
    check(
        json!({"~not": {"a": {"~eq": 1}, "b": {"~eq": 1}}}),
        &[json!({"a": 1}), json!({})],
        &[json!({"a": 1, "b": 1})],
    );
    check(json!({"a": {"~not": {"~gt": 5}}}), &[json!({"a": 5}), json!({})], &[json!({"a": 6})]);
    let either = json!({"a": {"~or": [{"~lt": 1}, {"~gt": 5}]}});
    check(either, &[json!({"a": 0}), json!({"a": 6})], &[json!({"a": 3}), json!({})]);
}

#[test]
fn any_wants_one_element() {
    check(
        json!({"tags": {"~any": {"~starts": "vip"}}}),
        &[json!({"tags": ["a", "vip-1"]})],
        &[json!({"tags": []}), json!({"tags": ["a"]}), json!({"tags": "vip"}), json!({})],
    );
    check(
        json!({"lines": {"~any": {"sku": {"~eq": "x"}, "trigger.payload.on": {"~eq": true}}}}),
        &[json!({"on": true, "lines": [{"sku": "y"}, {"sku": "x"}]})],
        &[
            json!({"on": false, "lines": [{"sku": "x"}]}),
            json!({"sku": "x", "on": true, "lines": [{}]}),
        ],
    );
    check(
        json!({"lines": {"~any": {"parts": {"~all": {"n": {"~gt": 1}}}}}}),
        &[json!({"lines": [{"parts": [{"n": 1}]}, {"parts": [{"n": 2}, {"n": 3}]}]})],
        &[json!({"lines": [{"parts": [{"n": 1}, {"n": 2}]}]})],
    );
}

#[test]
fn all_wants_every_element() {
    check(
        json!({"items": {"~all": {"price": {"~gt": 0}}}}),
        &[json!({"items": [{"price": 1}, {"price": 2}]}), json!({"items": []})],
        &[json!({"items": [{"price": 1}, {}]}), json!({}), json!({"items": {"price": 1}})],
    );
}

#[test]
fn a_star_gathers_the_elements() {
    check(
        json!({"lines.*.sku": {"~contains": "x"}}),
        &[json!({"lines": [{"sku": "y"}, {"sku": "x"}]})],
        &[json!({"lines": [{"sku": "y"}]}), json!({"lines": []}), json!({})],
    );
}

#[test]
fn changed_compares_with_the_previous_record() {
    let changed = [
        json!({"ticket": {"status": "closed"}, "previousTicket": {"status": "open"}}),
        json!({"ticket": {"status": "closed"}, "previousTicket": {}}),
    ];
    let same = [
        json!({"ticket": {"status": "open"}, "previousTicket": {"status": "open"}}),
        json!({"ticket": {"status": "open"}}),
        json!({}),
    ];
    check(json!({"ticket.status": {"~changed": true}}), &changed, &same);
    check(json!({"ticket.status": {"~changed": false}}), &same, &changed);
    check(json!({"{{trigger.payload.ticket.status}}": {"~changed": true}}), &changed, &same);
    check(
        json!({"account.name": {"~changed": true}}),
        &[json!({"account": {"name": "b"}, "previousAccount": {"name": "a"}})],
        &[json!({"account": {"name": "b"}, "previousTicket": {"name": "a"}})],
    );
}

#[test]
fn changed_to_and_from_name_the_values() {
    let moved = |from: &str, to: &str| json!({"ticket": {"s": to}, "previousTicket": {"s": from}});
    check(
        json!({"ticket.s": {"~changedTo": "closed"}}),
        &[moved("open", "closed")],
        &[moved("closed", "closed"), moved("closed", "open"), json!({"ticket": {"s": "closed"}})],
    );
    check(
        json!({"ticket.s": {"~changedFrom": "open"}}),
        &[moved("open", "closed")],
        &[moved("open", "open"), moved("closed", "open")],
    );
}

#[test]
fn between_includes_both_ends() {
    check(
        json!({"score": {"~between": [1, 5]}}),
        &[json!({"score": 1}), json!({"score": 5}), json!({"score": "3"})],
        &[json!({"score": 0}), json!({"score": 6}), json!({"score": "x"}), json!({})],
    );
    check(
        json!({"at": {"~between": ["2026-11-01", "2026-11-30"]}}),
        &[json!({"at": "2026-11-23T10:00:00Z"})],
        &[json!({"at": "2026-12-01T00:00:00Z"})],
    );
}

#[test]
fn every_spelling_of_a_path_finds_the_same() {
    for path in [
        "ticket.title",
        "trigger.payload.ticket.title",
        "{{ticket.title}}",
        "{{trigger.payload.ticket.title}}",
        "{{ context.event.message.payload.ticket.title }}",
        "context.event.payload.ticket.title",
        "ticket[\"title\"]",
    ] {
        check(
            json!({path: {"~eq": "x"}}),
            &[json!({"ticket": {"title": "x"}})],
            &[json!({"ticket": {"title": "y"}}), json!({"ticket": null}), json!({})],
        );
    }
    check(
        json!({"tags.1": {"~eq": "b"}}),
        &[json!({"tags": ["a", "b"]})],
        &[json!({"tags": ["b"]})],
    );
    check(json!({"actor.id": {"~eq": "u1"}}), &[json!({})], &[json!({"actor": {"id": "u2"}})]);
    check(json!({"tenant.id": {"~eq": "org1"}}), &[json!({})], &[]);
}

#[test]
fn a_key_may_compute() {
    check(
        json!({"{{ trigger.payload.title | lower }}": {"~eq": "x"}}),
        &[json!({"title": "X"})],
        &[json!({"title": "y"}), json!({})],
    );
}

#[test]
fn a_value_may_be_a_template() {
    check(
        json!({"owner": {"~eq": "{{context.event.actor.id}}"}}),
        &[json!({"owner": "u1"})],
        &[json!({"owner": "u2"}), json!({})],
    );
    check(
        json!({"owner": {"~in": ["{{trigger.actor.id}}", "u9"]}}),
        &[json!({"owner": "u1"}), json!({"owner": "u9"})],
        &[json!({"owner": "u2"})],
    );
    check(
        json!({"mark": {"~in": "{{trigger.payload.marks}}"}}),
        &[json!({"mark": 1, "marks": [1, 2]})],
        &[json!({"mark": 3, "marks": [1, 2]}), json!({"mark": 1, "marks": 1}), json!({"mark": 1})],
    );
    check(json!({"a": {"~eq": "{{nothing.there}}"}}), &[json!({})], &[json!({"a": 1})]);
    check(json!({"a": {"~neq": "{{ 1 / 0 ~ [] + 1 }}"}}), &[], &[json!({"a": 1})]);
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let found = problems(json!({
        "a": {"~startz": "x", "~regex": "(", "~in": "x"},
        "b": 5,
        "c..d": {"~eq": 1},
        "~and": [{"e": {"~isnull": "yes"}}, 7],
        "~eq": 1,
        "f/g": {"~between": [1]},
    }));
    let places: Vec<(&str, &str)> =
        found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(
        places,
        [
            ("/f/a/~0startz", "unknown_operator"),
            ("/f/a/~0regex", "invalid_pattern"),
            ("/f/a/~0in", "invalid_value"),
            ("/f/b", "missing_operator"),
            ("/f/c..d", "invalid_path"),
            ("/f/~0and/0/e/~0isnull", "invalid_value"),
            ("/f/~0and/1", "invalid_filter"),
            ("/f/~0eq", "missing_path"),
            ("/f/f~1g/~0between", "invalid_value"),
        ]
    );
}

#[test]
fn hints_say_what_was_meant() {
    for (filter, hint) in [
        (json!({"a": {"~startz": 1}}), "did you mean `~starts`?"),
        (json!({"a": {"eq": 1}}), "did you mean `~eq`?"),
        (json!({"a": {"$nin": 1}}), "did you mean `~nin`?"),
        (json!({"a": "high"}), "did you mean {\"~eq\": \"high\"}?"),
        (json!({"a": ["x"]}), "did you mean {\"~in\": [\"x\"]}?"),
        (
            json!({"ticket": {"priority": {"~eq": 1}}}),
            "for a field inside, write the path `ticket.priority`",
        ),
    ] {
        let found = problems(filter.clone());
        assert_eq!(found[0].2.as_deref(), Some(hint), "{filter}");
    }
}

#[test]
fn wrong_values_are_refused() {
    for (filter, code) in [
        (json!({"a": {"~gt": true}}), "invalid_value"),
        (json!({"a": {"~lt": [1]}}), "invalid_value"),
        (json!({"a": {"~nin": "x"}}), "invalid_value"),
        (json!({"a": {"~starts": 1}}), "invalid_value"),
        (json!({"a": {"~contains": null}}), "invalid_value"),
        (json!({"a": {"~isempty": 1}}), "invalid_value"),
        (json!({"a": {"~changed": "x"}}), "invalid_value"),
        (json!({"a": {"~between": [1, 2, 3]}}), "invalid_value"),
        (json!({"a": {"~any": []}}), "invalid_value"),
        (json!({"~or": {}}), "invalid_value"),
        (json!({"~not": []}), "invalid_value"),
        (json!({"a": {"~regex": "[a"}}), "invalid_pattern"),
        (json!({"a": {"~regex": "x".repeat(1_001)}}), "invalid_pattern"),
        (json!({"a": {"~regex": "(a{1000}){1000}"}}), "invalid_pattern"),
        (json!({"a": {"~nregex": "{{trigger.id}}"}}), "invalid_pattern"),
        (json!({"a": {"~eq": "{{ 1 + }}"}}), "invalid_expression"),
        (json!({"{{ 1 + }}": {"~eq": 1}}), "invalid_path"),
        (json!({"steps.x.output": {"~changed": true}}), "invalid_path"),
        (json!({"a": {}}), "missing_operator"),
        (json!("x"), "invalid_filter"),
        (json!([]), "invalid_filter"),
    ] {
        assert_eq!(codes(filter.clone()), [code], "{filter}");
    }
}

#[test]
fn size_and_depth_are_limited() {
    let nested = |levels: usize| {
        (0..levels).fold(json!({"a": {"~eq": 1}}), |inner, _| json!({"~and": [inner]}))
    };
    assert!(Filter::parse(&nested(32), "").is_ok());
    assert_eq!(codes(nested(33)), ["too_deep"]);
    let wide = |conditions: usize| json!({"~or": vec![json!({"a": {"~eq": 1}}); conditions]});
    assert!(Filter::parse(&wide(1_000), "").is_ok());
    assert_eq!(codes(wide(1_001)), ["too_many_conditions"]);
}

#[test]
fn a_hostile_text_does_not_slow_a_pattern_down() {
    let filter = Filter::parse(&json!({"a": {"~regex": "(a+)+$"}}), "").expect("a fine pattern");
    assert!(!filter.matches(&event(json!({"a": format!("{}b", "a".repeat(100_000))}))));
}

#[test]
fn the_trace_tells_why() {
    let filter = json!({
        "ticket.priority": {"~eq": "high"},
        "ticket.prio": {"~eq": "high"},
        "ticket.tags": {"~any": {"~eq": "vip"}},
        "ticket.status": {"~changedTo": "closed"},
    });
    let payload = json!({"ticket": {"priority": "medium", "tags": ["a"], "status": "open"}});
    let filter = Filter::parse(&filter, "").expect("a fine filter");
    let trace = serde_json::to_value(filter.trace(&event(payload))).expect("JSON");
    assert_eq!(
        trace,
        json!({"op": "~and", "result": false, "children": [
            {"op": "~eq", "path": "ticket.priority", "expected": "high", "actual": "medium",
                "result": false, "reason": "was \"medium\""},
            {"op": "~eq", "path": "ticket.prio", "expected": "high", "actual": null,
                "result": false,
                "reason": "path missing; nearest existing is payload.ticket.priority",
                "hint": "payload.ticket.priority"},
            {"op": "~any", "path": "ticket.tags", "expected": {"~eq": "vip"}, "actual": ["a"],
                "result": false, "reason": "held for 0 of 1 elements", "children": [
                {"op": "~eq", "path": "ticket.tags.0", "expected": "vip", "actual": "a",
                    "result": false, "reason": "was \"a\""}]},
            {"op": "~changedTo", "path": "ticket.status", "expected": "closed", "actual": "open",
                "result": false,
                "reason": "was \"open\"; nothing earlier is recorded at previousTicket"},
        ]})
    );
}

#[test]
fn references_name_every_path() {
    let filter = json!({
        "ticket.id": {"~eq": "{{context.steps.1.result.id}}"},
        "lines": {"~any": {"sku": {"~eq": 1}, "parts": {"~all": {"~gt": 1}}, "run.id": {"~eq": 1}}},
        "{{ trigger.payload.a | lower }}": {"~eq": "x"},
    });
    let filter = Filter::parse(&filter, "").expect("a fine filter");
    let references: Vec<String> = filter.references().iter().map(ToString::to_string).collect();
    assert_eq!(
        references,
        [
            "ticket.id",
            "steps.step_1.output.id",
            "lines",
            "lines.*.sku",
            "lines.*.parts",
            "lines.*.parts.*",
            "run.id",
            "trigger.payload.a",
        ]
    );
}

#[test]
fn twenty_operators_are_thenas_and_every_example_parses() {
    let listed = operators();
    assert_eq!(listed.iter().filter(|info| !info.extension).count(), 20);
    let is_thena =
        |kind: Kind| move |info: &&super::OperatorInfo| !info.extension && info.kind == kind;
    assert_eq!(listed.iter().filter(is_thena(Kind::Field)).count(), 18);
    for info in &listed {
        let example: Value = serde_json::from_str(info.example).expect(info.name);
        assert!(info.example.contains(info.name));
        assert!(Filter::parse(&example, "").is_ok(), "{}", info.name);
        assert_eq!(Operator::named(info.name).map(Operator::name), Some(info.name));
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        Just(json!(1.5)),
        "[ab1]{0,2}".prop_map(Value::from),
        Just(json!("2026-11-23T10:00:00Z")),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[abc]|previousA", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Value> {
    let plain = ["~eq", "~neq", "~gt", "~lte", "~contains", "~nends", "~changedTo", "~changedFrom"];
    let operator = prop_oneof![
        (prop::sample::select(plain.to_vec()), scalars())
            .prop_map(|(name, value)| json!({name: value})),
        prop::collection::vec(scalars(), 0..3).prop_map(|members| json!({"~in": members})),
        any::<bool>().prop_map(|wanted| json!({"~isempty": wanted, "~isnull": !wanted})),
        any::<bool>().prop_map(|wanted| json!({"~changed": wanted})),
        Just(json!({"~eq": "{{trigger.payload.b}}"})),
        Just(json!({"~between": [0, 2]})),
        Just(json!({"~nregex": "a+"})),
    ];
    let path =
        prop::sample::select(vec!["a", "b", "a.b", "a.0", "a.*.b", "{{trigger.payload.a}}", "id"]);
    let leaf = (path, operator).prop_map(|(path, operator)| json!({path: operator}));
    leaf.prop_recursive(4, 20, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|all| json!({"~and": all})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|any| json!({"~or": any})),
            inner.clone().prop_map(|inner| json!({"~not": inner})),
            inner.clone().prop_map(|inner| json!({"a": {"~any": inner}})),
            inner.prop_map(|inner| json!({"a": {"~all": inner}})),
        ]
    })
}

fn agrees(trace: &super::Trace) -> bool {
    let results = || trace.children.iter().map(|child| child.result);
    let expected = match trace.op {
        "~and" => results().all(|result| result),
        "~or" => results().any(|result| result),
        "~not" => !results().all(|result| result),
        _ => trace.result, // Leaves, and arrays that may be shown in part.
    };
    trace.result == expected && trace.children.iter().all(agrees)
}

proptest! {
    #[test]
    fn the_trace_always_agrees_with_the_match(filter in conditions(), payload in values()) {
        // Some of the values do not fit their operators; those filters are refused, not evaluated.
        if let Ok(filter) = Filter::parse(&filter, "") {
            let scope = event(payload);
            let trace = filter.trace(&scope);
            prop_assert_eq!(trace.result, filter.matches(&scope));
            prop_assert!(agrees(&trace));
        }
    }
}

//! What forms change in a document.

use serde_json::{Value, json};

use super::super::samples::HOSTILE;
use super::super::shell::Shell;
use super::control::{Making, Outcome, Widget};
use super::deeds::{Next, apply};
use super::page::{EditQuery, Known, live, page};
use super::posted::{Posted, value_of};
use crate::app::definitions::Verdict;
use crate::app::drafts::{DraftText, Opened};
use crate::app::editing::Sample;
use crate::domain::activity::Catalogue;
use crate::domain::scope::Scope;

fn posted(fields: &[(&str, &str)]) -> Posted {
    Posted(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

fn document() -> Value {
    json!({"name": "w", "steps": [
        {"id": "a", "activity": "x:one", "input": {"text": "t", "deep": {"n": 1}}},
        {"id": "b", "branch": [{"if": {"a": {"~eq": 1}}, "steps": [{"id": "c", "sleep": "1s"}]}]},
        {"id": "d", "sleep": "1s"},
    ]})
}

fn done(fields: &[(&str, &str)]) -> (Value, Next) {
    let mut changed = document();
    let next = apply(&mut changed, &posted(fields), &Catalogue::default());
    (changed, next)
}

fn ids(document: &Value) -> String {
    let steps = crate::domain::workflow::outline::outline(document);
    steps.into_iter().map(|step| step.id).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_typed_becomes_what_it_looks_like() {
    for (kind, typed, value) in [
        ("text", " a ", Some(json!(" a "))),
        ("text", "  ", None),
        ("number", "2.5", Some(json!(2.5))),
        ("number", "two", Some(json!("two"))),
        ("number", "{{ n }}", Some(json!("{{ n }}"))),
        ("truth", "true", Some(json!(true))),
        ("list", "a\n b \n\n", Some(json!(["a", "b"]))),
        ("list", "{{ trigger.payload.tags }}", Some(json!("{{ trigger.payload.tags }}"))),
        ("json", "a: [1, {b: c}]", Some(json!({"a": [1, {"b": "c"}]}))),
        ("json", "a: [", Some(json!("a: ["))),
        ("choice", "high", Some(json!("high"))),
        ("choice", "3", Some(json!(3))),
    ] {
        assert_eq!(value_of(kind, typed), value, "{kind} {typed}");
    }
}

#[test]
fn a_card_changes_the_fields_that_were_on_it_and_no_other() {
    let (changed, next) = done(&[
        ("part", "step"),
        ("at", "/steps/0"),
        ("was", "a"),
        ("open", "/steps/0"),
        ("id", "first"),
        ("in:input/text", "{{ trigger.payload.x }}"),
        ("as:input/text", "text"),
        ("in:input/deep/m", "3"),
        ("as:input/deep/m", "number"),
        ("in:retry/attempts", "5"),
        ("as:retry/attempts", "number"),
        ("in:timeout", ""),
        ("as:timeout", "text"),
        ("undo", "none"),
        ("do", "save"),
    ]);
    let expected = json!({"id": "first", "activity": "x:one", "compensate": "none",
        "input": {"text": "{{ trigger.payload.x }}", "deep": {"n": 1, "m": 3}},
        "retry": {"attempts": 5}});
    assert_eq!(changed["steps"][0], expected);
    assert_eq!(next.open, "/steps/0");
    let (other, _) = done(&[("part", "step"), ("at", "/steps/0"), ("was", "z"), ("id", "q")]);
    assert_eq!(other, document());
    let (way, _) = done(&[
        ("part", "step"),
        ("at", "/steps/1"),
        ("was", "b"),
        ("in:branch/0/if", "a: {~eq: 2}"),
        ("as:branch/0/if", "json"),
    ]);
    assert_eq!(way["steps"][1]["branch"][0]["if"], json!({"a": {"~eq": 2}}));
}

#[test]
fn steps_are_moved_copied_removed_and_switched() {
    let ids_after = |at: &str, deed: &str| ids(&done(&[("at", at), ("do", deed)]).0);
    assert_eq!(ids_after("/steps/2", "up"), "a d b c");
    assert_eq!(ids_after("/steps/0", "down"), "b c a d");
    assert_eq!(ids_after("/steps/0", "up"), "a b c d");
    assert_eq!(ids_after("/steps/1", "duplicate"), "a b c b_2 c_2 d");
    assert_eq!(ids_after("/steps/1/branch/0/steps/0", "remove"), "a b d");
    assert_eq!(ids_after("/steps/1", "way"), "a b c way d");
    assert_eq!(ids_after("/steps/9", "remove"), "a b c d");
    assert_eq!(ids_after("/steps/1", "add:sleep"), "a sleep b c d");
    assert_eq!(ids_after("/steps/3", "add:parallel"), "a b c d parallel one other");
    let (mut off, _) = done(&[("at", "/steps/0"), ("do", "off")]);
    assert!(super::changes::is_off(&off["steps"][0]));
    apply(&mut off, &posted(&[("at", "/steps/0"), ("do", "on")]), &Catalogue::default());
    assert_eq!(off, document());
}

#[test]
fn a_reference_is_put_behind_what_stands_in_a_field() {
    let (changed, _) = done(&[
        ("at", "/steps/0"),
        ("do", "insert"),
        ("reference", "trigger.id"),
        ("into", "input/text"),
    ]);
    assert_eq!(changed["steps"][0]["input"]["text"], "t {{ trigger.id }}");
}

#[test]
fn a_schema_becomes_fields_with_what_their_expressions_give() {
    let schema = json!({"required": ["b"], "properties": {
        "a": {"type": ["string", "null"], "description": "What it says."},
        "b": {"enum": ["x", "y"]}, "n": {"type": "integer"}, "t": {"type": "boolean"},
        "l": {"type": "array", "items": {"type": "string"}}, "o": {"type": "object"},
        "w": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "in": {"type": "object", "properties": {"c": {"type": "string"}}},
    }});
    let value =
        json!({"a": "{{ trigger.no }}", "in": {"c": "{{ trigger.x }}!"}, "b": "x", "more": [1]});
    let scope = Scope::of_event(json!({"x": "ok"}));
    let making = Making { scope: &scope, fx: &["input/t"], problems: &[], at: "/steps/0" };
    let made = making.object(&schema, &value, "input");
    let of = |name: &str| made.iter().find(|it| it.name == format!("input/{name}")).expect(name);
    assert_eq!((made[0].name.as_str(), made[0].required), ("input/b", true));
    assert_eq!(of("b").widget, Widget::Choice(vec!["x".into(), "y".into()]));
    for (name, widget) in [
        ("a", Widget::Line),
        ("n", Widget::Number),
        ("t", Widget::Expression),
        ("l", Widget::List),
        ("o", Widget::Free),
        ("w", Widget::Line),
        ("in/c", Widget::Line),
        ("more", Widget::Free),
    ] {
        assert_eq!(of(name).widget, widget, "{name}");
    }
    assert_eq!(of("in/c").outcome, Outcome::Value("\"ok!\"".into()));
    let Outcome::Fault { caret, .. } = &of("a").outcome else { panic!("{:?}", of("a").outcome) };
    assert_eq!(caret, "{{ trigger.no }}\n   ^");
}

fn hostile_document() -> Value {
    json!({"name": "w", "title": HOSTILE, "description": HOSTILE,
    "trigger": {"event": HOSTILE, "filter": {HOSTILE: {"~eq": HOSTILE}}},
    "steps": [
        {"id": HOSTILE, "title": HOSTILE, "activity": HOSTILE, "timeout": HOSTILE,
            "if": {HOSTILE: {"~eq": HOSTILE}}, "input": {HOSTILE: HOSTILE, "e": "{{ a b"},
            "compensate": {"activity": HOSTILE, "input": {HOSTILE: HOSTILE}}},
        {"id": "b", "branch": [{"if": {"a": {"~eq": HOSTILE}}, "steps": [{"id": HOSTILE}]}]},
    ]})
}

fn known<'k>(document: &'k Value, opened: &'k Opened, sample: &'k Sample) -> Known<'k> {
    let catalogue: &'static Catalogue = Box::leak(Box::default());
    let verdict = Verdict {
        valid: true,
        problems: Vec::new(),
        warnings: Vec::new(),
        definition: None,
        rehearsal: Vec::new(),
    };
    Known {
        name: HOSTILE,
        opened,
        document,
        verdict: Ok(verdict),
        sample,
        catalogue,
        events: vec![(HOSTILE.to_owned(), HOSTILE.to_owned())],
        trigger: None,
        hand: "h".to_owned(),
    }
}

#[test]
fn whatever_stands_in_a_draft_comes_out_as_text() {
    let document = hostile_document();
    let source = DraftText::of(&document.to_string(), "json");
    let opened = Opened { source, draft: None, live: None };
    let sample = Sample::of_event(json!({"payload": {HOSTILE: HOSTILE, "x": HOSTILE}}));
    let mut seen = Vec::new();
    for (tab, open, add) in [
        ("form", "/steps/0", ""),
        ("form", "/steps/1", ""),
        ("form", "", "/steps/1"),
        ("source", "", ""),
    ] {
        let query = EditQuery {
            tab: tab.to_owned(),
            open: open.to_owned(),
            add: add.to_owned(),
            find: HOSTILE.to_owned(),
            ..EditQuery::default()
        };
        let shell = Shell::for_tests("/base");
        let follow = live(shell.clone(), &query, &known(&document, &opened, &sample));
        seen.push(follow.to_string());
        let html = page(shell, query, known(&document, &opened, &sample)).to_string();
        assert_eq!(html.matches("<h1").count(), 1);
        seen.push(html);
    }
    for html in seen {
        assert!(!html.contains("<img src=x") && !html.contains("</script><img"), "{html}");
        for address in html.split("href=\"/").skip(1) {
            assert!(address.starts_with("base/"), "{address:.60}");
        }
    }
}

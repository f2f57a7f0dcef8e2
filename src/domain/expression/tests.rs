//! The expression language, rule by rule, and what hostile expressions come to.

use serde_json::{Value, json};

use super::Template;
use crate::domain::scope::Scope;

fn scope() -> Scope {
    let mut scope = Scope::of_event(json!({
        "id": "e1", "type": "ticket:created", "time": "2026-11-23T10:00:00.000Z",
        "actor": {"id": "u1", "email": "Ann <ann@Thena.ai>"},
        "payload": {
            "ticket": {"id": "t1", "title": "Ünable to log in", "priority": "high", "count": 3,
                "big": 9007199254740993_i64, "huge": 18446744073709551615_u64, "ratio": 1.0,
                "none": null, "open": true, "tags": ["a", "b"], "x-key": "odd"},
            "lines": [{"id": 1, "price": 2.5}, {"id": 2, "price": 1}],
            "evil": "{{ trigger.id }}", "html": "<p>Hello&nbsp;<b>you</b> &amp; a < b</p>",
        },
    }));
    scope.set_step("find-it", "output", json!({"total": 2, "rows": [{"id": "r1"}]}));
    scope.set_step("step_1", "output", json!({"id": "o1"}));
    scope.set_step("skipped", "status", json!("skipped"));
    scope.set_step("nulled", "output", json!(null));
    scope.set("run", json!({"id": "run1", "now": "2026-11-23T10:00:05.000Z"}));
    scope.set("workflow", json!({"name": "escalate"}));
    scope.set("item", json!({"id": "i1"}));
    scope
}

fn template(raw: Value) -> Template {
    Template::parse(&raw, "/input").unwrap_or_else(|why| panic!("{raw}: {why:?}"))
}

fn render(text: &str) -> Value {
    template(json!(text)).render(&scope()).unwrap_or_else(|why| panic!("{text}: {why:?}"))
}

fn failure(text: &str) -> (&'static str, String, String) {
    let error = template(json!(text)).render(&scope()).expect_err(text);
    assert_eq!(error.pointer, "/input");
    (error.code, error.detail, error.hint.unwrap_or_default())
}

fn problem(text: &str) -> (String, String) {
    let mut problems = Template::parse(&json!(text), "/input").expect_err(text);
    let problem = problems.remove(0);
    assert_eq!(problem.pointer, "/input");
    (problem.code, format!("{} {}", problem.detail, problem.hint.unwrap_or_default()))
}

#[test]
fn a_whole_expression_keeps_its_type() {
    for (text, expected) in [
        ("{{trigger.payload.ticket.count}}", json!(3)),
        ("{{ trigger.payload.ticket.big }}", json!(9007199254740993_i64)),
        ("{{ trigger.payload.ticket.huge }}", json!(18446744073709551615_u64)),
        ("{{ trigger.payload.ticket.big + 0 }}", json!(9007199254740993_i64)),
        ("{{ trigger.payload.ticket.huge | default(0) }}", json!(18446744073709551615_u64)),
        ("{{ trigger.payload.ticket.ratio }}", json!(1.0)),
        ("{{ trigger.payload.ticket.open }}", json!(true)),
        ("{{ trigger.payload.ticket.none }}", json!(null)),
        ("{{ trigger.payload.ticket.tags }}", json!(["a", "b"])),
        ("{{ trigger.payload.ticket.tags + ['c'] }}", json!(["a", "b", "c"])),
        ("{{ trigger.payload.lines[0] }}", json!({"id": 1, "price": 2.5})),
        ("{{ trigger.payload.lines.1.id }}", json!(2)),
        ("{{ trigger.payload.lines.*.id }}", json!([1, 2])),
        ("{{ trigger.payload.ticket['x-key'] }}", json!("odd")),
        ("{{ steps.find-it.output.total }}", json!(2)),
        ("{{ steps.find-it.output.total > 1 }}", json!(true)),
        ("{{ steps.find-it.output.rows[0].id }}", json!("r1")),
        ("{{ {'a': trigger.id, 'b': {'c': [1]}} }}", json!({"a": "e1", "b": {"c": [1]}})),
        ("{{ item.id }}", json!("i1")),
        ("{{ ticket.id }}", json!("t1")),
        ("{{ 1 / 2 }}", json!(0.5)),
        ("{{ '}}' }}", json!("}}")),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn mixed_text_interpolates() {
    for (text, expected) in [
        (
            "#{{trigger.payload.ticket.id}}: {{trigger.payload.ticket.title}}",
            "#t1: Ünable to log in",
        ),
        ("n={{trigger.payload.ticket.count}}, {{trigger.payload.ticket.open}}", "n=3, true"),
        ("[{{trigger.payload.ticket.none}}]", "[]"),
        ("{{trigger.payload.ticket.tags}}!", "[\"a\",\"b\"]!"),
        ("{{ trigger.payload.lines[1] }} ", "{\"id\":2,\"price\":1} "),
        ("a { b } {c} }} {", "a { b } {c} }} {"),
        ("100{% off, {#channel}", "100{% off, {#channel}"),
    ] {
        assert_eq!(render(text), json!(expected), "{text}");
    }
}

#[test]
fn a_tree_is_rendered_throughout() {
    let raw = json!({"id": "{{trigger.id}}", "list": ["{{item.id}}", 5, {"deep": "x {{run.id}}"}],
        "fixed": {"a": [1]}});
    let rendered = template(raw.clone()).render(&scope()).expect("a fine template");
    let expected = json!({"id": "e1", "list": ["i1", 5, {"deep": "x run1"}], "fixed": {"a": [1]}});
    assert_eq!(rendered, expected);
    assert_eq!(template(raw.clone()).source(), &raw);
    assert_eq!(template(raw.clone()).constant(), None);
    assert_eq!(template(json!({"a": ["b"]})).constant(), Some(&json!({"a": ["b"]})));
    assert_eq!(template(raw.clone()), template(raw));
}

#[test]
fn thenas_spellings_work_alone_and_inside() {
    for (text, expected) in [
        ("{{context.event.message.payload.ticket.id}}", json!("t1")),
        ("{{ context.event.message.payload.ticket.id | upper }}", json!("T1")),
        ("{{ context.event.payload.ticket.count + 1 }}", json!(4)),
        ("{{ context.event.message.eventType }}", json!("ticket:created")),
        ("{{ context.event.messageAttributes.context_user_id ~ '!' }}", json!("u1!")),
        ("{{ context.steps.1.result.id }}", json!("o1")),
        ("{{ context.steps.1.result.id | upper }}", json!("O1")),
        ("{{ context.steps.find-it.result.total + 1 }}", json!(3)),
        ("{{ context.execution.id }}/{{ context.workflow.name }}", json!("run1/escalate")),
        ("{{ context.now | date }}", json!("2026-11-23")),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn filters_do_what_they_say() {
    for (text, expected) in [
        ("{{ trigger.payload.ticket.title | truncate(8) }}", json!("Ünable…")),
        ("{{ 'short' | truncate(8) }}", json!("short")),
        ("{{ trigger.payload.ticket.title | slug }}", json!("ünable-to-log-in")),
        ("{{ '<a> & b' | slackescape }}", json!("&lt;a&gt; &amp; b")),
        ("{{ ('a' | hash)[:8] }}", json!("ca978112")),
        (
            "{{ '2026-07-01T22:30:00Z' | date('%d.%m. %H:%M', 'Europe/Berlin') }}",
            json!("02.07. 00:30"),
        ),
        ("{{ trigger.actor.email | domain }}", json!("thena.ai")),
        ("{{ 'https://u@Ex.org:80/x?y' | domain }}", json!("ex.org")),
        ("{{ trigger.time | date('%d.%m.%Y %H:%M') }}", json!("23.11.2026 10:00")),
        ("{{ trigger.time | add('-30d') }}", json!("2026-10-24T10:00:00.000Z")),
        ("{{ trigger.time | add('90m') | date('%H:%M') }}", json!("11:30")),
        ("{{ 'héllo' | b64 }}", json!("aMOpbGxv")),
        ("{{ trigger.payload.lines[0] | pick('id') }}", json!({"id": 1})),
        ("{{ trigger.payload.lines[0] | omit('id', 'x') }}", json!({"price": 2.5})),
        ("{{ trigger.payload.html | plain }}", json!("Hello you & a < b")),
        ("{{ trigger.payload.lines | map(attribute='id') | list }}", json!([1, 2])),
        ("{{ trigger.payload.lines | selectattr('price', '>', 2) | length }}", json!(1)),
        ("{{ trigger.payload.ticket.tags | join(', ') }}", json!("a, b")),
        ("{{ ' x ' | trim ~ '7' | int }}", json!("x7")),
        ("{{ 2.567 | round(1) }}", json!(2.6)),
        ("{{ ['b', 'a', 'b'] | unique | sort | first }}", json!("a")),
        ("{{ {'a': 1} | tojson }}", json!("{\"a\":1}")),
        ("{{ 'a,b' | split(',') | last }}", json!("b")),
        ("{{ 'yes' if trigger.payload.ticket.open else 'no' }}", json!("yes")),
        ("{{ 'a' in trigger.payload.ticket.tags }}", json!(true)),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn a_default_allows_absence_at_any_depth() {
    for text in [
        "{{ steps.skipped.output.deep.er | default('z') }}",
        "{{ steps.nulled.output.deep | default('z') }}",
        "{{ steps.nowhere.output | d('z') }}",
        "{{ (trigger.payload.nothing) | default('z') }}",
        "{{ trigger.payload.nothing if trigger.payload.nothing is defined else 'z' }}",
        "{{ trigger.payload.nothing.at.all | default(trigger.payload.less | default('z')) }}",
        "{{ 'z' if true else trigger.payload.nothing }}",
    ] {
        assert_eq!(render(text), json!("z"), "{text}");
    }
}

#[test]
fn what_does_not_exist_is_an_error_with_the_nearest_path() {
    for text in [
        "{{trigger.payload.ticket.priorityy}}",
        "{{ trigger.payload.ticket.priorityy | upper }}",
        "is {{ trigger.payload.ticket.priorityy ~ 'x' }}",
        "{{ trigger.payload.ticket.priorityy or 'x' }}",
        "{{ trigger.payload.ticket.priorityy == 'x' }}",
    ] {
        let (code, detail, hint) = failure(text);
        assert_eq!(
            (code, detail.as_str()),
            ("path_missing", "`trigger.payload.ticket.priorityy` does not exist")
        );
        assert!(hint.contains("`trigger.payload.ticket.priority`"), "{hint}");
        assert!(hint.contains("| default("), "{hint}");
    }
    assert_eq!(failure("{{ trigger.payload[item.id] }}").0, "path_missing");
    assert_eq!(failure("{{ trigger.payload.ticket.id if false }}").0, "path_missing");
    assert_eq!(failure("{{ 1 + 'x' }}").0, "expression_failed");
    assert_eq!(failure("{{ 'x' | date }}").0, "expression_failed");
    assert_eq!(failure("{{ trigger.time | date('%Q') }}").0, "expression_failed");
    assert_eq!(failure("{{ 2 ** 100 }}").0, "expression_failed");
}

#[test]
fn a_payload_is_never_evaluated() {
    assert_eq!(render("{{ trigger.payload.evil }}"), json!("{{ trigger.id }}"));
    assert_eq!(render("x{{ trigger.payload.evil }}"), json!("x{{ trigger.id }}"));
    assert_eq!(render("{{ trigger.payload.evil | upper }}"), json!("{{ TRIGGER.ID }}"));
    assert_eq!(render("{{ trigger.payload.evil ~ '' }}"), json!("{{ trigger.id }}"));
}

#[test]
fn mistakes_are_found_when_parsed() {
    for (text, code, part) in [
        ("ab {{ 1 + }}", "invalid_expression", "column 9"),
        ("{{ trigger.payload.ticket.title + ) }}", "invalid_expression", "column 35"),
        ("{{ trigger.id | uper }}", "invalid_expression", "no filter `uper` did you mean `upper`?"),
        ("{{ trigger.id is strng }}", "invalid_expression", "no test `strng`"),
        ("{{ now() }}", "invalid_expression", "no function `now`"),
        ("{{ debug() }}", "invalid_expression", "no function"),
        ("{{ trigger.id | safe }}", "invalid_expression", "no filter"),
        ("ü {{ trigger.id", "invalid_expression", "column 3: this `{{` is never closed"),
        ("{{ }}", "invalid_expression", "no expression"),
        ("{{ context }}", "invalid_expression", "context"),
        ("{% for x in y %}{% endfor %}", "statement_not_allowed", "column 1"),
        ("a {# b #}", "statement_not_allowed", "column 3"),
        ("{{ a }} {% if b %}", "statement_not_allowed", "column 9"),
    ] {
        let (found, detail) = problem(text);
        assert_eq!(found, code, "{text}: {detail}");
        assert!(detail.contains(part), "{text}: {detail}");
    }
    let raw = json!({"a/b": ["{{ 1 + }}", "{{ 2 + }}"], "c": "{% x %}"});
    let pointers: Vec<String> = Template::parse(&raw, "/i")
        .expect_err("three mistakes")
        .into_iter()
        .map(|problem| problem.pointer)
        .collect();
    assert_eq!(pointers, ["/i/a~1b/0", "/i/a~1b/1", "/i/c"]);
}

#[test]
fn references_are_known_without_rendering() {
    let raw = json!({
        "a": "{{context.steps.1.result.id}}",
        "b": ["x {{ steps.find.output.rows[0].id | default('') }} {{ trigger.payload.t | upper }}"],
        "c": "{{ vars.x if vars.x is defined else 'y' }}",
    });
    let references: Vec<(String, String, bool)> = template(raw)
        .references()
        .into_iter()
        .map(|reference| (reference.path.to_string(), reference.pointer, reference.optional))
        .collect();
    let expected = [
        ("steps.step_1.output.id", "/input/a", false),
        ("steps.find.output.rows.0.id", "/input/b/0", true),
        ("trigger.payload.t", "/input/b/0", false),
        ("vars.x", "/input/c", true),
        ("vars.x", "/input/c", true),
    ];
    assert_eq!(references, expected.map(|(path, at, is)| (path.to_owned(), at.to_owned(), is)));
}

#[test]
fn hostile_expressions_end_soon_with_an_error() {
    for text in [
        "{{ 'a' * 10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ ['a'] * 90000000 }}",
        "{{ [['a' * 1000] * 1000] * 1000 }}",
        "{{ ([[['aaaaaaaaaa'] * 1000] * 1000] * 1000) ~ '' }}",
        "{{ ([[['aaaaaaaaaa'] * 1000] * 1000] * 1000) | tojson }}",
        "{{ [[['aaaaaaaaaa'] * 1000] * 1000] * 1000 == [[['aaaaaaaaaa'] * 1000] * 1000] * 999 + [1] }}",
        "{{ range(1000000000) | list }}",
        "{{ range(100000) | map('string') | join('x' * 100000) }}",
        "{{ ('a' * 90000) | replace('a', 'b' * 90000) }}",
        "{{ [1] | batch(1000000000, 'x') | list }}",
        "{{ [1] | slice(1000000000) | list }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 3 * [1] }}",
        "{{ 3 * trigger.payload.lines * 2 }}",
        "{{ (['a'] if true else 1) * 3 }}",
        "{{ 2 + 3 * ([1] | list) ~ 'x' }}",
        "{{ trigger.payload.lines * 90000000 | length }}",
        "{{ range(10000) | map('d', 'x' * 9000, true) | list }}",
        "{{ range(10000) | map(attribute='x', default=['x']) | list }}",
        "{{ range(10000) | map('int', default=[[1]]) | list }}",
        "{{ range(10001) }}",
        "{{ 'x' | indent(1000000000, true) }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 1.5 | round(1000000000) }}x{{ range(99999)|list|length / 0 }}",
    ] {
        let started = std::time::Instant::now();
        let outcome = Template::parse(&json!(text), "/input")
            .map_err(|problems| problems[0].code.clone())
            .and_then(|template| template.render(&scope()).map_err(|error| error.code.to_owned()));
        let short = outcome.map(|value| value.to_string().chars().take(80).collect::<String>());
        assert!(short.is_err(), "{text}: {short:?}");
        assert!(started.elapsed().as_secs() < 2, "{text} took {:?}", started.elapsed());
    }
}

#[test]
fn costly_expressions_end_soon_either_way() {
    let ranges = vec!["range(9999)"; 40].join(",");
    let triggers = vec!["trigger"; 49].join(",");
    for text in [
        format!("{{{{ [{ranges}] ~ '' }}}}"),
        format!("{{{{ [{triggers}] ~ '' }}}}"),
        "{{ range(9999) | map('string') | map('replace', '1', 'x' * 200) | join }}".to_owned(),
        "{{ ('a' * 90000) | list | sort | unique | length }}".to_owned(),
    ] {
        let mut scope = scope();
        let payload = json!({"id": "e1", "payload": {"text": "x".repeat(40_000)}});
        scope.set("trigger", payload);
        let started = std::time::Instant::now();
        let _ = template(json!(text)).render(&scope);
        assert!(started.elapsed().as_secs() < 2, "{text} took {:?}", started.elapsed());
    }
}

#[test]
fn products_of_numbers_and_texts_stay() {
    for (text, expected) in [
        ("{{ trigger.payload.ticket.count * 2 + 1 }}", json!(7)),
        ("{{ (1 + 2) * -(3 - 1) }}", json!(-6)),
        ("{{ 2 * 3 ** 2 * 2 }}", json!(36)),
        ("{{ '-' * 3 ~ '>' }}", json!("--->")),
        ("{{ [2 * 3, 4 * 5 if true else 1] }}", json!([6, 20])),
        ("{{ {'a': 2 * 3} }}", json!({"a": 6})),
        ("{{ (2 * 3) is even and 2 * 2 == 4 }}", json!(true)),
        ("{{ 2 * trigger.payload.lines[0].price | int }}", json!(4)),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn hostile_sources_neither_overflow_the_stack_nor_hang() {
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{'a':", "1", "}"),
        ("not ", "1", ""),
        ("-", "1", ""),
        ("", "1", "|abs"),
        ("", "trigger", ".x"),
        ("", "(1)", ".x"),
        ("", "1", "+1"),
        ("", "'a'", "~'a'"),
        ("", "1", "**1"),
        ("", "1", " if 1 else 1"),
        ("", "1", "<1"),
        ("1 is ", "x", ""),
        ("range(", "1", ")"),
        ("a[", "1", "]"),
        ("", "a", "[1:2]"),
        ("", "a", "()"),
    ] {
        let times = 8_000 / (open.len() + close.len());
        let text = format!("{{{{ {}{middle}{} }}}}", open.repeat(times), close.repeat(times));
        if let Ok(template) = Template::parse(&json!(text), "/input") {
            let _ = template.render(&scope());
        }
    }
    let long = format!("{{{{ '{}' }}}}", "x".repeat(9_000));
    assert_eq!(problem(&long).0, "expression_too_long");
    assert_eq!(problem(&"{{trigger.id}}".repeat(501)).0, "too_many_expressions");
}

#[test]
fn large_results_are_refused() {
    let mut scope = scope();
    scope.set("vars", json!({"long": "x".repeat(200_000)}));
    let render = |raw: Value| template(raw).render(&scope).map_err(|error| error.code);
    assert!(render(json!("{{vars.long}}")).is_ok());
    assert!(render(json!("{{ vars.long | upper }}")).is_ok());
    assert_eq!(render(json!(["{{vars.long}}", "{{vars.long}}"])), Err("too_large"));
    assert_eq!(render(json!("{{vars.long}}{{vars.long}}")), Err("too_large"));
    assert_eq!(render(json!("{{ vars.long ~ vars.long }}")), Err("too_large"));
}

#[test]
fn text_rendering_gives_keys() {
    let text = |raw: Value| template(raw).render_text(&scope());
    assert_eq!(text(json!("{{trigger.payload.ticket.count}}")), Ok("3".to_owned()));
    assert_eq!(text(json!("t-{{trigger.payload.ticket.id}}")), Ok("t-t1".to_owned()));
}

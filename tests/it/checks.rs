//! What a definition is told before it is saved: faults with their severity, neighbours that it may
//! start without end, and what it does when a step fails.

use serde_json::{Value, json};

use crate::support::{TestApp, with_app};

fn transform(id: &str, output: &str) -> Value {
    json!({"id": id, "activity": "workflows:transform-platform", "input": {"output": output}})
}

async fn validated(app: &TestApp, definition: Value) -> Value {
    app.post("/v1/workflows/validate", definition).await.expect(200)
}

fn told<'a>(verdict: &'a Value, code: &str) -> &'a Value {
    let mut problems = verdict["problems"].as_array().expect("a list").iter();
    problems.find(|problem| problem["code"] == code).unwrap_or(&Value::Null)
}

#[test]
fn errors_and_warnings_are_told_apart_and_only_errors_refuse() {
    with_app(|app| async move {
        let call = json!({"id": "call", "activity": "workflows:http-request-platform",
            "input": {"url": "https://example.com"}});
        let doubtful = json!({"name": "w", "steps": [call]});
        let verdict = validated(&app, doubtful.clone()).await;
        let warning = told(&verdict, "no_compensation");
        assert_eq!((&verdict["valid"], &warning["severity"]), (&json!(true), &json!("warning")));
        assert_eq!(verdict["warnings"].as_array().map(Vec::len), Some(1));
        app.post("/v1/workflows", doubtful).await.expect(201);

        let late = json!({"name": "w2", "steps": [transform("a", "{{steps.b.output}}"),
            transform("b", "{{trigger.actor.name}}")]});
        let verdict = validated(&app, late).await;
        assert_eq!((&verdict["valid"], &verdict["rehearsal"]), (&json!(false), &json!([])));
        let fault = told(&verdict, "step_order");
        assert_eq!(
            (&fault["severity"], &fault["pointer"]),
            (&json!("error"), &json!("/steps/0/input/output"))
        );
        for problem in verdict["problems"].as_array().expect("a list") {
            assert!(problem["hint"].is_string(), "{problem}");
        }
    });
}

#[test]
fn a_registered_schema_decides_what_references_lead_to() {
    with_app(|app| async move {
        let schema = json!({"type": "object", "required": ["id"], "additionalProperties": false,
            "properties": {"id": {"type": "string"}, "size": {"enum": ["small", "large"]},
                "note": {"type": "string"}, "parts": {"type": "array"}}});
        let kind = json!({"type": "parcel:sent", "name": "Parcel", "schema": schema});
        app.post("/v1/event-types", kind).await.expect(201);
        let definition = |filter: Value, output: &str| {
            json!({"name": "w", "trigger": {"event": "parcel:sent", "filter": filter},
                "steps": [transform("a", output)]})
        };
        for (filter, output, code, hint) in [
            (json!({}), "{{trigger.payload.idd}}", "unknown_path", "did you mean `id`?"),
            (json!({}), "{{trigger.id2}}", "unknown_path", "did you mean `id`?"),
            (json!({"size": {"~eq": "larg"}}), "x", "unknown_value", "did you mean `large`?"),
            (
                json!({"parts": {"~gt": 3}}),
                "x",
                "operator_mismatch",
                "look for an element with ~contains, or at each with ~any",
            ),
        ] {
            let verdict = validated(&app, definition(filter, output)).await;
            assert_eq!(told(&verdict, code)["hint"], hint, "{verdict}");
        }
        let unsure = definition(json!({}), "{{trigger.payload.note}}");
        assert_eq!(told(&validated(&app, unsure).await, "may_be_absent")["severity"], "warning");
        let sure = definition(json!({"note": {"~isnull": false}}), "{{trigger.payload.note}}");
        assert_eq!(validated(&app, sure).await["problems"], json!([]));
    });
}

#[test]
fn neighbours_that_may_start_each_other_without_end_are_named() {
    with_app(|app| async move {
        let publishes = |name: &str, on: &str, kind: &str| {
            json!({"name": name, "trigger": {"event": on}, "steps": [
                {"id": "p", "activity": "workflows:publish-event-platform",
                 "input": {"type": kind}, "compensate": "none"}]})
        };
        app.save(publishes("second", "chain:b", "chain:c")).await;
        app.save(publishes("third", "chain:c", "chain:a")).await;
        let verdict = validated(&app, publishes("first", "chain:a", "chain:b")).await;
        let detail = told(&verdict, "loop")["detail"].as_str().unwrap_or_default();
        assert!(
            detail.ends_with("first → chain:b → second → chain:c → third → chain:a → first"),
            "{verdict}"
        );

        let starts = |name: &str, other: &str| json!({"name": name, "steps": [transform("a", "x"), {"id": "go", "run": other}]});
        app.save(starts("inner", "outer")).await;
        let verdict = validated(&app, starts("outer", "inner")).await;
        let cycle = told(&verdict, "run_cycle");
        assert_eq!((&cycle["pointer"], &verdict["valid"]), (&json!("/steps/1"), &json!(true)));
        assert_eq!(cycle["detail"], "it comes back to itself: outer → inner → outer");

        let verdict = validated(&app, starts("other", "iner")).await;
        assert_eq!(told(&verdict, "unknown_workflow")["hint"], "did you mean `inner`?");
        let endless = json!({"name": "endless", "steps": [{"id": "go", "run": "endless"}]});
        let verdict = validated(&app, endless).await;
        assert_eq!(told(&verdict, "run_cycle")["severity"], "warning", "{verdict}");
    });
}

#[test]
fn a_valid_definition_is_rehearsed() {
    with_app(|app| async move {
        let definition = json!({"name": "refund", "trigger": {"event": "ticket:created"}, "steps": [
            {"id": "mark", "activity": "tickets:add-tags-platform",
             "input": {"id": "{{trigger.payload.ticket.id}}", "tags": ["refund"]}},
            {"id": "read", "activity": "tickets:get-ticket-platform",
             "input": {"id": "{{trigger.payload.ticket.id}}"}},
            {"id": "page", "activity": "workflows:http-request-platform", "compensate": "none",
             "input": {"url": "https://example.com"}},
            {"id": "say", "activity": "slack.postMessage",
             "input": {"channel": "#x", "text": "{{steps.read.output.title}}"},
             "compensate": {"activity": "slack.deleteMessage", "input": {
                "channel": "{{steps.say.output.channel}}", "ts": "{{steps.say.output.ts}}"}}},
            {"id": "last", "activity": "tickets:escalate-ticket-platform",
             "input": {"id": "{{trigger.payload.ticket.id}}"}}]});
        let verdict = validated(&app, definition.clone()).await;
        assert_eq!(verdict["rehearsal"].as_array().map(Vec::len), Some(5), "{verdict}");
        let last = &verdict["rehearsal"][4]["ifFails"];
        assert_eq!(
            last["undone"],
            json!([{"step": "say", "by": "activity", "activity": "slack.deleteMessage"},
                {"step": "mark", "by": "platform"}])
        );
        assert_eq!(last["stays"], json!([{"step": "page", "why": "nothing undoes it"}]));
        assert_eq!((&last["outcome"], &last["skipped"]), (&json!("failed"), &json!([])));
        let first = &verdict["rehearsal"][0]["ifFails"];
        assert_eq!(first["skipped"], json!(["read", "page", "say", "last"]));
    });
}

//! Events: taken in, registered, checked, recognised.

use serde_json::{Value, json};

use super::{echo, events, step};
use crate::support::with_app;

fn order_placed(schema: Value) -> Value {
    json!({
        "type": "order:placed", "name": "Order placed", "description": "A customer ordered.",
        "source": "shop", "schema": schema,
    })
}

#[test]
fn row_01_an_event_is_stored_answered_with_its_id_and_starts_matching_workflows() {
    with_app(async |app| {
        app.post("/v1/event-types", order_placed(json!({"type": "object"}))).await.expect(201);
        app.save(echo("on-order", "order:placed", json!({}), json!("seen"))).await;
        app.save(echo("on-big", "order:placed", json!({"total": {"~gt": 100}}), json!(1))).await;
        let answer = app.post("/v1/events/order:placed", json!({"total": 7})).await.expect(202);
        let accepted = &answer["accepted"][0];
        assert_eq!(accepted["runs"].as_array().map(Vec::len), Some(1), "{answer}");
        let id = accepted["id"].as_str().expect("an id");
        let stored = app.get(&format!("/v1/events/{id}")).await.expect(200);
        assert_eq!(stored["payload"], json!({"total": 7}));
        assert_eq!(stored["runs"], accepted["runs"]);
        let run = app.end_of(accepted["runs"][0].as_str().expect("a run")).await;
        assert_eq!((&run["workflow"], &run["status"]), (&json!("on-order"), &json!("succeeded")));
    });
}

#[test]
fn row_03_an_own_event_type_is_registered_and_its_registration_replaced() {
    with_app(async |app| {
        for missing in ["type"] {
            let mut body = order_placed(json!({}));
            body.as_object_mut().expect("an object").remove(missing);
            let problem = app.post("/v1/event-types", body).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{missing}"));
        }
        let made = app.post("/v1/event-types", order_placed(json!({}))).await.expect(201);
        assert_eq!(made["source"], "shop");
        let mut second = order_placed(json!({"type": "object", "required": ["total"]}));
        second["description"] = json!("Now with a total.");
        let replaced = app.post("/v1/event-types", second.clone()).await.expect(201);
        assert_eq!(
            app.put("/v1/event-types/order:placed", second).await.expect(200)["uid"],
            made["uid"]
        );
        assert_eq!(replaced["description"], "Now with a total.");
        assert_eq!(replaced["uid"], made["uid"]);
        app.post("/v1/events/order:placed", json!({})).await.refused(422, "invalid");
        let listed = app.get("/v1/event-types?source=shop").await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
        app.put("/v1/event-types/ticket:created", json!({"schema": {}})).await.expect(409);
    });
}

#[test]
fn row_04_a_payload_that_breaks_the_schema_is_refused_with_the_path() {
    with_app(async |app| {
        let schema = json!({
            "type": "object",
            "required": ["order"],
            "properties": {"order": {"type": "object", "properties": {
                "lines": {"type": "array", "items": {"type": "object", "properties": {
                    "count": {"type": "integer", "minimum": 1}}}}}}},
        });
        app.post("/v1/event-types", order_placed(schema)).await.expect(201);
        for (payload, pointer) in [
            (json!({"order": {"lines": [{"count": 1}, {"count": 0}]}}), "order/lines/1/count"),
            (json!({"order": {"lines": [{"count": "two"}]}}), "order/lines/0/count"),
            (json!({"order": []}), "order"),
        ] {
            let answer = app.post("/v1/events/order:placed", payload.clone()).await;
            let problem = answer.refused(422, "invalid");
            let found = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
            assert!(found.ends_with(pointer), "{payload}: {problem}");
        }
        let problem = app.post("/v1/events/order:placed", json!({})).await.refused(422, "invalid");
        assert!(problem.to_string().contains("order"), "{problem}");
        assert!(events(&app, "order:placed").await.is_empty());
        app.post("/v1/event-types", json!({"type": "x:y", "schema": {"type": "nonsense"}}))
            .await
            .refused(422, "invalid");
    });
}

#[test]
fn row_05_the_whole_envelope_is_readable_in_filters_and_inputs() {
    with_app(async |app| {
        let filter = json!({
            "type": {"~eq": "order:placed"},
            "source": {"~eq": "shop/7"},
            "subject": {"~eq": "order-1"},
            "actor.email": {"~ends": "@example.com"},
            "metadata.channel": {"~eq": "web"},
            "id": {"~starts": "evt"},
            "total": {"~gt": 1},
            "{{context.event.message.payload.total}}": {"~lt": 9},
        });
        let shown = json!({
            "id": "{{ trigger.id }}", "type": "{{ trigger.type }}", "time": "{{ trigger.time }}",
            "source": "{{ trigger.source }}", "actor": "{{ trigger.actor }}",
            "payload": "{{ trigger.payload }}", "channel": "{{ trigger.metadata.channel }}",
            "eventId": "{{ context.event.message.eventId }}",
            "total": "{{ context.event.message.payload.total }}",
            "org": "{{ context.event.message.orgId }}",
        });
        app.save(echo("on-order", "order:placed", filter, shown)).await;
        let answer = app
            .post(
                "/v1/events",
                json!({
                    "specversion": "1.0", "id": "evt-1", "source": "shop/7", "type": "order:placed",
                    "subject": "order-1", "time": "2026-11-23T10:00:00.000Z", "channel": "web",
                    "actor": {"id": "U1", "type": "CUSTOMER", "email": "ada@example.com"},
                    "data": {"total": 7},
                }),
            )
            .await
            .expect(202);
        let run = answer["accepted"][0]["runs"][0].as_str().expect("a run");
        let run = app.end_of(run).await;
        let output = &step(&run, "show")["output"];
        for (name, expected) in [
            ("id", json!("evt-1")),
            ("type", json!("order:placed")),
            ("time", json!("2026-11-23T10:00:00.000Z")),
            ("source", json!("shop/7")),
            ("actor", json!({"id": "U1", "type": "CUSTOMER", "email": "ada@example.com"})),
            ("payload", json!({"total": 7})),
            ("channel", json!("web")),
            ("eventId", json!("evt-1")),
            ("total", json!(7)),
        ] {
            assert_eq!(output[name], expected, "{name} of {output}");
        }
        assert!(!output["org"].is_null(), "{output}");
    });
}

#[test]
fn row_06_the_message_attributes_stand_beside_the_event() {
    with_app(async |app| {
        let attribute = |name: &str| format!("{{{{ context.event.messageAttributes.{name} }}}}");
        let shown = json!({
            "event_name": attribute("event_name"), "event_id": attribute("event_id"),
            "event_timestamp": attribute("event_timestamp"),
            "context_user_id": attribute("context_user_id"),
            "context_user_type": attribute("context_user_type"),
            "context_organization_id": attribute("context_organization_id"),
        });
        app.save(echo("on-order", "order:placed", json!({}), shown)).await;
        let runs = app.publish("order:placed", json!({})).await;
        let run = app.end_of(&runs[0]).await;
        let output = &step(&run, "show")["output"];
        assert_eq!(output["event_name"], "order:placed", "{run}");
        assert_eq!(output["event_id"], run["eventId"]);
        for (name, value) in output.as_object().expect("an object") {
            assert!(value.is_string() || value.is_number(), "{name} is {value}");
        }
    });
}

#[test]
fn row_07_the_same_event_id_twice_starts_no_second_execution() {
    with_app(async |app| {
        app.save(echo("on-order", "order:placed", json!({}), json!(1))).await;
        let path = "/v1/events/order:placed?id=one";
        let first = app.post(path, json!({"n": 1})).await.expect(202)["accepted"][0].clone();
        let second = app.post(path, json!({"n": 2})).await.expect(202)["accepted"][0].clone();
        assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
        assert_eq!(second["runs"], first["runs"]);
        let other = app.post(&format!("{path}&source=elsewhere"), json!({})).await.expect(202);
        assert_eq!(other["accepted"][0]["duplicate"], false, "another source is another event");
        let runs = app.get("/v1/runs").await.expect(200);
        assert_eq!(runs["data"].as_array().map(Vec::len), Some(2));
        assert_eq!(events(&app, "order:placed").await.len(), 2);
    });
}

#[test]
fn row_33_aliases_resolve_to_one_canonical_type() {
    with_app(async |app| {
        let organization = json!({"organization": {"id": "O1", "name": "Wayne", "subdomain": "w", "plan": "pro",
                "status": "active", "createdAt": "2026-01-01T00:00:00.000Z",
                "updatedAt": "2026-01-01T00:00:00.000Z"}});
        for (workflow, listens, sent, canonical, payload) in [
            (
                "dots",
                "slack.channel.created",
                "slack:channel:created",
                "slack:channel:created",
                json!({"channel": {"id": "C1", "name": "general"}}),
            ),
            ("dots-too", "form:submitted", "form.submitted", "form:submitted", json!({})),
            ("own", "com.example.order", "com.example.order", "com.example.order", json!({})),
            ("org", "org:created", "organization:created", "organization:created", organization),
            (
                "comments",
                "ticket:comment:created",
                "ticket:comment:added",
                "ticket:comment:added",
                json!({"comment": {"id": "C1", "content": "hello", "commentType": "comment"}}),
            ),
        ] {
            app.save(echo(workflow, listens, json!({}), json!(1))).await;
            let saved = app.get(&format!("/v1/workflows/{workflow}")).await.expect(200);
            assert_eq!(saved["event"], canonical);
            let answer = app.post(&format!("/v1/events/{sent}"), payload).await.expect(202);
            let accepted = &answer["accepted"][0];
            assert_eq!(accepted["runs"].as_array().map(Vec::len), Some(1), "{workflow}: {answer}");
            let stored =
                app.get(&format!("/v1/events/{}", accepted["id"].as_str().unwrap_or("?"))).await;
            assert_eq!(stored.expect(200)["type"], canonical);
        }
    });
}

//! The registry of event types, and what becomes of events that break their schema.

use serde_json::{Value, json};

use crate::support::{TestApp, with_app, with_config};

fn order(schema: Value) -> Value {
    json!({"type": "shop:order:placed", "name": "Order placed", "source": "shop", "schema": schema})
}

fn amount(kind: &str) -> Value {
    json!({"type": "object", "required": ["amount"], "properties": {"amount": {"type": kind}}})
}

async fn rejected(app: &TestApp) -> Vec<Value> {
    let body = app.get("/v1/events/rejected").await.expect(200);
    body["data"].as_array().expect("a list").clone()
}

#[test]
fn every_type_is_listed_with_its_kind_and_an_example_that_is_accepted() {
    with_app(async |app| {
        let all = app.get("/v1/event-types").await.expect(200);
        let all = all["data"].as_array().expect("a list").clone();
        assert!(all.len() > 80, "{}", all.len());
        for known in &all {
            let kind = known["type"].as_str().expect("a type");
            for name in ["uid", "name", "description", "source", "kind"] {
                assert!(known[name].as_str().is_some_and(|it| !it.is_empty()), "{kind}: {name}");
            }
            assert!(known["schema"].is_object(), "{kind}");
            let sent = kind.replace('*', "x");
            let shown = app.get(&format!("/v1/event-types/{sent}")).await.expect(200);
            let answer = app.post(&format!("/v1/events/{sent}"), shown["example"].clone()).await;
            assert_eq!(answer.status, 202, "{kind}: {}", answer.text);
        }
        for (kind, expected) in [
            ("ticket:created", "system"),
            ("slack:message", "integration"),
            ("cron:custom", "timer"),
        ] {
            let listed = app.get(&format!("/v1/event-types?kind={expected}")).await.expect(200);
            let mut listed = listed["data"].as_array().expect("a list").iter();
            assert!(listed.any(|it| it["type"] == kind), "{kind}");
        }
        app.get("/v1/event-types?kind=other").await.expect(400);
    });
}

#[test]
fn an_incompatible_schema_is_refused_unless_it_is_forced() {
    with_app(async |app| {
        app.post("/v1/event-types", order(amount("number"))).await.expect(201);
        let mut wider = amount("number");
        wider["properties"]["note"] = json!({"type": "string"});
        let second = app.post("/v1/event-types", order(wider.clone())).await.expect(201);
        assert_eq!((&second["version"], &second["kind"]), (&json!(2), &json!("custom")));
        let mut stricter = amount("integer");
        stricter["required"] = json!(["amount", "note"]);
        let refused = app.post("/v1/event-types", order(stricter.clone())).await;
        let problem = refused.refused(409, "incompatible_schema");
        let found: Vec<_> = problem["errors"].as_array().expect("problems").iter().collect();
        let found: Vec<_> = found.iter().map(|it| (&it["pointer"], &it["code"])).collect();
        assert_eq!(
            found,
            [
                (&json!("/schema/required"), &json!("property_required")),
                (&json!("/schema/properties/amount/type"), &json!("type_narrowed")),
            ]
        );
        let kept = app.get("/v1/event-types/shop:order:placed").await.expect(200);
        assert_eq!(kept["schema"], wider);
        app.post("/v1/event-types?force=true", order(stricter)).await.expect(201);
        let path = "/v1/event-types/shop:order:placed/versions";
        let versions = app.get(path).await.expect(200);
        let numbers: Vec<_> =
            versions["data"].as_array().expect("a list").iter().map(|it| &it["version"]).collect();
        assert_eq!(numbers, [3, 2, 1]);
        assert_eq!(versions["data"][0]["incompatibilities"].as_array().map(Vec::len), Some(2));
        assert_eq!(versions["data"][2]["schema"], amount("number"));
    });
}

#[test]
fn an_own_type_has_a_namespace_an_example_that_fits_and_an_end() {
    with_app(async |app| {
        let bare = json!({"type": "placed", "schema": {}});
        let problem = app.post("/v1/event-types", bare).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/type");
        let mut wrong = order(amount("number"));
        wrong["example"] = json!({"amount": "much"});
        let problem = app.post("/v1/event-types", wrong.clone()).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/example/amount");
        wrong["example"] = json!({"amount": 5});
        app.post("/v1/event-types", wrong).await.expect(201);
        let path = "/v1/event-types/shop:order:placed";
        assert_eq!(app.get(path).await.expect(200)["example"], json!({"amount": 5}));
        app.post("/v1/events/shop:order:placed", json!({})).await.expect(422);
        app.delete(path).await.expect(204);
        app.delete(path).await.expect(404);
        app.delete("/v1/event-types/ticket:created").await.expect(409);
        app.post("/v1/events/shop:order:placed", json!({})).await.expect(202);
    });
}

#[test]
fn a_refused_event_is_kept_and_accepted_once_it_is_mended() {
    with_app(async |app| {
        app.post("/v1/event-types", order(amount("number"))).await.expect(201);
        let sent =
            app.post("/v1/events/shop:order:placed?id=o-1&source=till", json!({"a": 1})).await;
        let problem = sent.refused(422, "invalid");
        let kept = rejected(&app).await;
        assert_eq!(kept.len(), 1);
        let id = kept[0]["id"].as_str().expect("an id").to_owned();
        let hint = problem["errors"][0]["hint"].as_str().expect("a hint");
        assert!(hint.contains(&id), "{hint}");
        let path = format!("/v1/events/rejected/{id}");
        let one = app.get(&path).await.expect(200);
        assert_eq!((&one["payload"], &one["source"]), (&json!({"a": 1}), &json!("till")));
        assert_eq!((&one["eventId"], &one["type"]), (&json!("o-1"), &json!("shop:order:placed")));
        assert_eq!(one["problems"][0]["code"], "schema");
        let replay = format!("{path}/replay");
        app.post(&replay, json!({})).await.refused(422, "invalid");
        assert_eq!(app.get(&path).await.expect(200)["attempts"], 2);
        let mended = app.post(&replay, json!({"payload": {"amount": 3}})).await.expect(202);
        assert_eq!(mended["accepted"][0]["id"], "o-1");
        let stored = app.get("/v1/events/o-1").await.expect(200);
        assert_eq!(
            (&stored["payload"], &stored["source"]),
            (&json!({"amount": 3}), &json!("till"))
        );
        app.get(&path).await.expect(404);
        app.post(&replay, json!({})).await.expect(404);
        assert!(rejected(&app).await.is_empty());
    });
}

#[test]
fn a_refused_event_is_accepted_as_it_is_once_the_schema_is_mended() {
    with_app(async |app| {
        app.post("/v1/event-types", order(amount("number"))).await.expect(201);
        app.post("/v1/events/shop:order:placed", json!({"amount": "5"})).await.expect(422);
        let loose = order(json!({"type": "object"}));
        app.post("/v1/event-types", loose).await.expect(201);
        let id = rejected(&app).await[0]["id"].as_str().expect("an id").to_owned();
        let replayed = app.post(&format!("/v1/events/rejected/{id}/replay"), json!({})).await;
        assert_eq!(replayed.expect(202)["accepted"][0]["id"], json!(id));
        app.post("/v1/events/ticket:created", json!({})).await.expect(422);
        let id = rejected(&app).await[0]["id"].as_str().expect("an id").to_owned();
        app.delete(&format!("/v1/events/rejected/{id}")).await.expect(204);
        app.delete(&format!("/v1/events/rejected/{id}")).await.expect(404);
    });
}

#[test]
fn refused_events_are_bounded_in_number_and_size() {
    let small = |config: &mut ergane::config::Config| {
        config.events.rejected_events_max = 3;
        config.events.rejected_event_bytes_max = 100;
    };
    with_config(small, async |app| {
        app.post("/v1/event-types", order(amount("number"))).await.expect(201);
        for number in 0..5 {
            let payload = json!({"number": number});
            app.post("/v1/events/shop:order:placed", payload).await.expect(422);
        }
        let numbers: Vec<Value> =
            rejected(&app).await.iter().map(|it| it["payload"]["number"].clone()).collect();
        assert_eq!(numbers, [json!(4), json!(3), json!(2)]);
        let page = app.get("/v1/events/rejected?limit=2").await.expect(200);
        let cursor = page["nextCursor"].as_str().expect("a further page").to_owned();
        let rest = app.get(&format!("/v1/events/rejected?limit=2&cursor={cursor}")).await;
        assert_eq!(rest.expect(200)["data"][0]["payload"]["number"], 2);
        let large = json!({"text": "x".repeat(200)});
        app.post("/v1/events/shop:order:placed", large).await.expect(422);
        let kept = rejected(&app).await.remove(0);
        assert_eq!((&kept["payloadCut"], &kept["payload"]), (&json!(true), &Value::Null));
        let path = format!("/v1/events/rejected/{}/replay", kept["id"].as_str().expect("an id"));
        let problem = app.post(&path, json!({})).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/payload");
        app.post(&path, json!({"payload": {"amount": 1}})).await.expect(202);
    });
}

//! The platform's own records: fields, rules, keys that recognise repeats.

use serde_json::{Value, json};

use super::events;
use crate::support::with_app;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn row_114_records_have_their_documented_fields() {
    const TICKET: [&str; 24] = [
        "id",
        "ticketId",
        "ticketIdentifier",
        "title",
        "description",
        "status",
        "statusId",
        "statusName",
        "priority",
        "priorityId",
        "priorityName",
        "teamId",
        "teamName",
        "teamIdentifier",
        "requestorEmail",
        "customer",
        "customerContactId",
        "source",
        "tags",
        "isEscalated",
        "isArchived",
        "customFields",
        "createdAt",
        "updatedAt",
    ];
    with_app(async |app| {
        let team = app.team().await;
        let extra = json!({"customFields": {"plan": "pro"}, "tags": ["vip"], "source": "API"});
        let ticket = app.ticket(&team, extra).await;
        for name in TICKET {
            assert!(ticket.get(name).is_some(), "{name} of {ticket:#}");
        }
        assert_eq!((&ticket["ticketId"], &ticket["teamName"]), (&json!(1), &json!("Support")));
        assert_eq!(ticket["customer"]["email"], "ada@example.com");
        let second = app.ticket(&team, json!({})).await;
        assert_eq!(second["ticketId"], 2);
        let identifier = second["ticketIdentifier"].as_str().expect("an identifier");
        let named = app.get(&format!("/v1/tickets/{identifier}")).await.expect(200);
        assert_eq!(named["id"], second["id"]);
        let contacts = app.get("/v1/contacts").await.expect(200);
        assert_eq!(contacts["data"].as_array().map(Vec::len), Some(1), "one contact for both");
        for (place, body, fields) in [
            (
                "accounts",
                json!({"name": "W", "primaryDomain": "w.example"}),
                &["id", "name", "primaryDomain", "status", "health", "classification"][..],
            ),
            (
                "contacts",
                json!({"firstName": "B", "email": "b@example.com"}),
                &["id", "firstName", "lastName", "email", "contactType"],
            ),
            ("teams", json!({"name": "Billing"}), &["id", "name", "identifier", "isActive"]),
            (
                "users",
                json!({"name": "G", "email": "g@example.com"}),
                &["id", "name", "email", "userType", "status", "isActive", "teams"],
            ),
            ("tags", json!({"name": "hot"}), &["id", "name", "color", "tagType"]),
        ] {
            let made = app.post(&format!("/v1/{place}"), body).await;
            let etag = made.header("etag").map(str::to_owned);
            assert!(etag.is_some() && made.header("location").is_some(), "{place}");
            let made = made.expect(201);
            for name in fields {
                assert!(made.get(*name).is_some(), "{name} of {made:#}");
            }
            let path = format!("/v1/{place}/{}", made["id"].as_str().expect("an id"));
            let shown = app.get(&path).await;
            assert_eq!(shown.header("etag").map(str::to_owned), etag, "{place}");
            assert_eq!(shown.expect(200), made);
            let listed = app.get(&format!("/v1/{place}")).await.expect(200);
            let has = |one: &Value| one["id"] == made["id"];
            assert!(listed["data"].as_array().is_some_and(|all| all.iter().any(has)), "{place}");
            app.delete(&path).await.expect(204);
            app.get(&path).await.expect(404);
        }
    });
}

#[test]
fn row_115_statuses_stand_under_four_parents() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        assert_eq!(
            (&ticket["statusName"], &ticket["parentStatusName"]),
            (&json!("Open"), &json!("Open"))
        );
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        for (status, parent) in [
            ("In progress", "In progress"),
            ("on hold", "On hold"),
            ("Escalated", "In progress"),
            ("Pending", "On hold"),
            ("Resolved", "Closed"),
            ("Closed", "Closed"),
            ("Open", "Open"),
        ] {
            let changed = app.patch(&path, json!({"statusName": status})).await.expect(200);
            assert_eq!(changed["parentStatusName"], parent, "{status}");
            assert_eq!(changed["closedAt"].is_string(), parent == "Closed", "{status}");
        }
        let problem = app.patch(&path, json!({"statusName": "Opne"})).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/statusName");
        let own = json!({"name": "Own", "statuses": [
            {"name": "Waiting for parts", "parentStatusName": "On hold"}]});
        let own = app.post("/v1/teams", own).await.expect(201);
        let ticket = app.ticket(own["id"].as_str().expect("an id"), json!({})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        let changed =
            app.patch(&path, json!({"statusName": "Waiting for parts"})).await.expect(200);
        assert_eq!(changed["parentStatusName"], "On hold");
    });
}

#[test]
fn row_116_a_deduplication_key_makes_no_second_ticket_or_comment() {
    with_app(async |app| {
        let team = app.team().await;
        let first = app.ticket(&team, json!({"deDuplicationKey": "mail-1"})).await;
        let body = json!({"title": "Again", "requestorEmail": "ada@example.com", "teamId": team,
            "deDuplicationKey": "mail-1"});
        let second = app.post("/v1/tickets", body).await;
        assert!(matches!(second.status, 200 | 201), "{}", second.text);
        assert_eq!(second.body["id"], first["id"]);
        assert_eq!(second.body["title"], first["title"]);
        assert_eq!(events(&app, "ticket:created").await.len(), 1);
        let place = format!("/v1/tickets/{}/comments", first["id"].as_str().expect("an id"));
        let comment = json!({"content": "one", "deDuplicationKey": "mail-2"});
        let one = app.post(&place, comment.clone()).await.body;
        let two = app.post(&place, comment).await.body;
        assert_eq!(one["id"], two["id"]);
        let comments = app.get(&place).await.expect(200);
        assert_eq!(comments["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(events(&app, "ticket:comment:added").await.len(), 1);
    });
}

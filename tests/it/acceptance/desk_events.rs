//! Events that changes of the platform's own records make.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{echo, events, payloads};
use crate::support::{TestApp, with_app};

/// Counts the events of each type that begin as `prefix` does.
async fn counted(app: &TestApp, prefix: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events(app, &format!("{prefix}*")).await {
        let kind = event["type"].as_str().expect("a type").to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// Insists that a change makes exactly the events of `expected`, each once.
async fn emits(app: &TestApp, prefix: &str, change: impl Future<Output = ()>, expected: &[&str]) {
    let before = counted(app, prefix).await;
    change.await;
    let mut found: Vec<(String, usize)> = counted(app, prefix).await.into_iter().collect();
    for (kind, count) in &mut found {
        *count -= before.get(kind).copied().unwrap_or(0);
    }
    found.retain(|(_, count)| *count > 0);
    let mut expected: Vec<(String, usize)> =
        expected.iter().map(|kind| ((*kind).to_owned(), 1)).collect();
    expected.sort();
    assert_eq!(found, expected);
}

async fn patch_ticket(app: &TestApp, ticket: &Value, patch: Value) -> Value {
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
    app.patch(&path, patch).await.expect(200)
}

async fn act(app: &TestApp, ticket: &Value, verb: &str, body: Value) {
    let path = format!("/v1/tickets/{}/{verb}", ticket["id"].as_str().expect("an id"));
    app.post(&path, body).await.expect(200);
}

async fn user(app: &TestApp, name: &str) -> Value {
    let email = format!("{}@example.com", name.to_lowercase());
    app.post("/v1/users", json!({"name": name, "email": email})).await.expect(201)
}

#[test]
fn row_08_a_ticket_tells_of_its_life() {
    with_app(async |app| {
        let team = app.team().await;
        let create = async { drop(app.ticket(&team, json!({})).await) };
        emits(&app, "ticket:", create, &["ticket:created"]).await;
        let ticket = payloads(&app, "ticket:created").await[0]["ticket"].clone();
        let update = async { drop(patch_ticket(&app, &ticket, json!({"title": "Out"})).await) };
        emits(&app, "ticket:", update, &["ticket:updated"]).await;
        let archive = act(&app, &ticket, "archive", json!({}));
        emits(&app, "ticket:", archive, &["ticket:archived"]).await;
        let unarchive = act(&app, &ticket, "unarchive", json!({}));
        emits(&app, "ticket:", unarchive, &["ticket:unarchived"]).await;
        let delete = async {
            app.delete(&format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id")))
                .await
                .expect(204);
        };
        emits(&app, "ticket:", delete, &["ticket:deleted"]).await;
    });
}

#[test]
fn row_09_one_update_emits_each_derived_event_once() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"priorityName": "low"})).await;
        let patch = json!({"statusName": "In progress", "priorityName": "urgent"});
        let update = async { drop(patch_ticket(&app, &ticket, patch).await) };
        let expected = ["ticket:updated", "ticket:status:changed", "ticket:priority:changed"];
        emits(&app, "ticket:", update, &expected).await;
        let all = events(&app, "ticket:priority:changed").await;
        assert_eq!(all[0]["payload"]["ticket"]["priorityName"], "urgent");
        assert_eq!(all[0]["payload"]["previousTicket"]["priorityName"], "low");
        assert_eq!(all[0]["subject"], ticket["id"]);
    });
}

#[test]
fn row_10_an_equal_status_is_no_change() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let patch = json!({"statusName": ticket["statusName"], "title": "Another"});
        let update = async { drop(patch_ticket(&app, &ticket, patch).await) };
        emits(&app, "ticket:", update, &["ticket:updated"]).await;
        let same = async { drop(patch_ticket(&app, &ticket, json!({"title": "Another"})).await) };
        emits(&app, "ticket:", same, &[]).await;
    });
}

#[test]
fn row_11_the_previous_ticket_is_whole_and_filters_read_it() {
    with_app(async |app| {
        let team = app.team().await;
        let reopened = json!({"previousTicket.statusName": {"~eq": "Closed"}});
        app.save(echo("reopened", "ticket:updated", reopened, json!(1))).await;
        let ticket = app.ticket(&team, json!({"tags": ["vip"]})).await;
        patch_ticket(&app, &ticket, json!({"statusName": "Closed"})).await;
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id"));
        let before = app.get(&path).await.expect(200);
        patch_ticket(&app, &ticket, json!({"statusName": "Open", "priorityName": "high"})).await;
        let updates = events(&app, "ticket:updated").await;
        assert_eq!(updates[1]["payload"]["previousTicket"], before);
        assert_eq!(updates[0]["runs"], json!([]));
        assert_eq!(updates[1]["runs"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn row_12_a_deletion_carries_only_what_was() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        app.delete(&format!("/v1/tickets/{}", ticket["id"].as_str().expect("an id")))
            .await
            .expect(204);
        let payload = payloads(&app, "ticket:deleted").await.remove(0);
        let names: Vec<&String> = payload.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["previousTicket"]);
        assert_eq!(payload["previousTicket"]["id"], ticket["id"]);
    });
}

#[test]
fn row_13_escalation_assignment_type_and_sentiment_are_told() {
    with_app(async |app| {
        let team = app.team().await;
        let agent = user(&app, "Grace").await;
        let ticket = app.ticket(&team, json!({"type": "INCIDENT"})).await;
        let escalate = act(&app, &ticket, "escalate", json!({}));
        emits(&app, "ticket:", escalate, &["ticket:updated", "ticket:escalated"]).await;
        let again = act(&app, &ticket, "escalate", json!({}));
        emits(&app, "ticket:", again, &[]).await;
        let assign = act(&app, &ticket, "assign", json!({"assignedAgentId": agent["id"]}));
        emits(&app, "ticket:", assign, &["ticket:updated", "ticket:assigned"]).await;
        let told = payloads(&app, "ticket:assigned").await.remove(0);
        assert_eq!(told["ticket"]["assignedAgent"]["email"], "grace@example.com");
        let patch = json!({"type": "PROBLEM", "sentimentName": "negative"});
        let change = async { drop(patch_ticket(&app, &ticket, patch).await) };
        let expected = ["ticket:updated", "ticket:type:changed", "ticket:sentiment:changed"];
        emits(&app, "ticket:", change, &expected).await;
    });
}

#[test]
fn row_14_custom_fields_tell_what_was_added_removed_and_changed() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"customFields": {"plan": "pro", "old": "x"}})).await;
        let patch = json!({"customFields": {"plan": "max", "old": null, "new": "y"}});
        patch_ticket(&app, &ticket, patch).await;
        for (verb, field, previous, new) in [
            ("added", "new", json!([]), json!(["y"])),
            ("removed", "old", json!(["x"]), json!([])),
            ("changed", "plan", json!(["pro"]), json!(["max"])),
        ] {
            let all = payloads(&app, &format!("ticket:custom_field_value:{verb}")).await;
            assert_eq!(all.len(), 1, "{verb}");
            let changed = &all[0]["changedCustomFields"];
            assert_eq!(changed.as_array().map(Vec::len), Some(1), "{changed}");
            assert_eq!(changed[0]["fieldUid"], field);
            assert_eq!(changed[0]["changeType"], verb);
            let listed = |value: &Value| match value {
                Value::Null => json!([]),
                other => other.clone(),
            };
            assert_eq!(listed(&changed[0]["previousValues"]), previous, "{changed}");
            assert_eq!(listed(&changed[0]["newValues"]), new, "{changed}");
        }
    });
}

#[test]
fn row_15_tags_and_moves_are_told() {
    with_app(async |app| {
        let team = app.team().await;
        let other = app.post("/v1/teams", json!({"name": "Billing"})).await.expect(201);
        let ticket = app.ticket(&team, json!({})).await;
        let tag = act(&app, &ticket, "tags", json!({"tags": ["vip"]}));
        emits(&app, "ticket:", tag, &["ticket:updated", "ticket:tag:updated"]).await;
        let again = act(&app, &ticket, "tags", json!({"tags": ["vip"]}));
        emits(&app, "ticket:", again, &[]).await;
        let migrate =
            async { drop(patch_ticket(&app, &ticket, json!({"teamId": other["id"]})).await) };
        emits(&app, "ticket:", migrate, &["ticket:updated", "ticket:migrated"]).await;
        let told = payloads(&app, "ticket:migrated").await.remove(0);
        assert_eq!(told["ticket"]["teamId"], other["id"]);
        assert_eq!(told["previousTicket"]["teamId"], json!(team));
    });
}

#[test]
fn row_16_comments_are_told_with_previous_and_new_content() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let place = format!("/v1/tickets/{}/comments", ticket["id"].as_str().expect("an id"));
        app.save(echo("added", "ticket:comment:created", json!({}), json!(1))).await;
        let comment = app.post(&place, json!({"content": "First"})).await.expect(201);
        let added = events(&app, "ticket:comment:created").await;
        assert_eq!((added.len(), &added[0]["type"]), (1, &json!("ticket:comment:added")));
        assert_eq!(added[0]["runs"].as_array().map(Vec::len), Some(1), "the alias listens");
        assert_eq!(added[0]["payload"]["comment"]["content"], "First");
        let path = format!("/v1/comments/{}", comment["id"].as_str().expect("an id"));
        app.patch(&path, json!({"content": "Second"})).await.expect(200);
        let updated = payloads(&app, "ticket:comment:updated").await.remove(0);
        assert_eq!(updated["comment"]["content"], "Second");
        assert_eq!(updated["previousComment"]["content"], "First");
        app.delete(&path).await.expect(204);
        let deleted = payloads(&app, "ticket:comment:deleted").await;
        assert_eq!(deleted.len(), 1);
        assert!(deleted[0].to_string().contains("Second"), "{deleted:?}");
    });
}

#[test]
fn row_21_accounts_tell_of_their_life() {
    with_app(async |app| {
        let body = json!({"name": "Wayne", "primaryDomain": "wayne.example"});
        let account = app.post("/v1/accounts", body).await.expect(201);
        let path = format!("/v1/accounts/{}", account["id"].as_str().expect("an id"));
        app.patch(&path, json!({"name": "Wayne Enterprises"})).await.expect(200);
        app.delete(&path).await.expect(204);
        let created = payloads(&app, "account:created").await.remove(0);
        assert_eq!(created["account"]["name"], "Wayne");
        let updated = payloads(&app, "account:updated").await.remove(0);
        assert_eq!(updated["account"]["name"], "Wayne Enterprises");
        assert_eq!(updated["previousAccount"]["name"], "Wayne");
        let deleted = payloads(&app, "account:deleted").await.remove(0);
        assert_eq!(deleted["previousAccount"]["name"], "Wayne Enterprises");
        assert!(deleted.get("account").is_none(), "{deleted}");
    });
}

#[test]
fn row_22_changed_attributes_of_an_account_are_told() {
    with_app(async |app| {
        let body = json!({"name": "Wayne", "primaryDomain": "wayne.example"});
        let account = app.post("/v1/accounts", body).await.expect(201);
        let path = format!("/v1/accounts/{}", account["id"].as_str().expect("an id"));
        let patch = json!({"health": "RED", "status": "CHURNED", "classification": "SMB",
            "industry": "Vigilance"});
        let change = async { drop(app.patch(&path, patch).await.expect(200)) };
        let expected = [
            "account-health:changed",
            "account-status:changed",
            "account-classification:changed",
            "account-industry:changed",
            "account:updated",
        ];
        emits(&app, "account", change, &expected).await;
        let same = async { drop(app.patch(&path, json!({"health": "RED"})).await.expect(200)) };
        emits(&app, "account", same, &[]).await;
        let custom = async {
            drop(app.patch(&path, json!({"customFields": {"tier": ["gold"]}})).await.expect(200));
        };
        let expected = ["account:updated", "account-custom_field_value:added"];
        emits(&app, "account", custom, &expected).await;
    });
}

#[test]
fn row_23_contacts_tell_of_their_life() {
    with_app(async |app| {
        let body = json!({"firstName": "Ada", "email": "ada@example.com"});
        let contact = app.post("/v1/contacts", body).await.expect(201);
        let path = format!("/v1/contacts/{}", contact["id"].as_str().expect("an id"));
        let rename = async { drop(app.patch(&path, json!({"lastName": "L"})).await.expect(200)) };
        emits(&app, "customer-contact:", rename, &["customer-contact:updated"]).await;
        let custom = async {
            drop(app.patch(&path, json!({"customFields": {"vip": ["yes"]}})).await.expect(200));
        };
        let expected = ["customer-contact:custom_field_value:added", "customer-contact:updated"];
        emits(&app, "customer-contact:", custom, &expected).await;
        let delete = async { drop(app.delete(&path).await.expect(204)) };
        emits(&app, "customer-contact:", delete, &["customer-contact:deleted"]).await;
        assert_eq!(events(&app, "customer-contact:created").await.len(), 1);
    });
}

#[test]
fn row_24_users_are_told_when_made_changed_removed_and_mentioned() {
    with_app(async |app| {
        let team = app.team().await;
        let grace = user(&app, "Grace").await;
        let path = format!("/v1/users/{}", grace["id"].as_str().expect("an id"));
        app.patch(&path, json!({"name": "Grace H"})).await.expect(200);
        let ticket = app.ticket(&team, json!({})).await;
        let place = format!("/v1/tickets/{}/comments", ticket["id"].as_str().expect("an id"));
        let mentions = json!({"mentions": [{"id": grace["id"]}, {"id": grace["id"]}]});
        let comment = json!({"content": "@grace look", "metadata": mentions});
        let comment = app.post(&place, comment).await.expect(201);
        let told = events(&app, "user:mentioned").await;
        assert_eq!(told.len(), 1, "once per user and comment");
        let metadata = &told[0]["metadata"];
        assert_eq!(metadata["mentionedUserId"], grace["id"], "{metadata}");
        assert_eq!(metadata["commentId"], comment["id"]);
        assert_eq!(metadata["entityId"], ticket["id"]);
        assert_eq!(metadata["entityType"], "TICKET");
        assert_eq!(told[0]["payload"]["user"]["email"], "grace@example.com");
        app.delete(&path).await.expect(204);
        for (kind, count) in [("user:created", 1), ("user:updated", 1), ("user:deleted", 1)] {
            assert_eq!(events(&app, kind).await.len(), count, "{kind}");
        }
    });
}

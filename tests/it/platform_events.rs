//! What the platform's own records tell, from the operations of the API that cause it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::acceptance::{echo, events, payloads};
use crate::support::{TestApp, with_app, with_config};

fn id(record: &Value) -> &str {
    record["id"].as_str().expect("an id")
}

async fn account(app: &TestApp, name: &str) -> Value {
    let domain = format!("{}.example", name.to_lowercase());
    app.post("/v1/accounts", json!({"name": name, "primaryDomain": domain})).await.expect(201)
}

async fn user(app: &TestApp, name: &str) -> Value {
    let email = format!("{}@example.com", name.to_lowercase());
    app.post("/v1/users", json!({"name": name, "email": email})).await.expect(201)
}

/// Counts the events of each type that begin as `prefix` does.
async fn counted(app: &TestApp, prefix: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events(app, &format!("{prefix}*")).await {
        *counts.entry(event["type"].as_str().expect("a type").to_owned()).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

#[test]
fn a_survey_is_told_when_it_is_sent_and_when_it_is_answered() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let place = format!("/v1/tickets/{}/csat", id(&ticket));
        let sent = app.post(&format!("{place}/send"), json!({})).await.expect(200);
        assert_eq!(sent["csat"]["status"], "SENT");
        let wrong = app.post(&place, json!({"rating": 9})).await.refused(422, "invalid");
        assert_eq!(wrong["errors"][0]["pointer"], "/rating");
        let answer = json!({"rating": 5, "comment": "Quick and kind"});
        app.post(&place, answer.clone()).await.expect(200);
        app.post(&place, answer).await.expect(200);
        let expected =
            [("ticket:created", 1), ("ticket:csat:sent", 1), ("ticket:csat:received", 1)];
        assert_eq!(counted(&app, "ticket:").await, counts(&expected));
        let told = payloads(&app, "ticket:csat:received").await.remove(0);
        assert_eq!((&told["csat"]["rating"], &told["ticket"]["id"]), (&json!(5), &ticket["id"]));
    });
}

#[test]
fn entries_of_accounts_and_their_comments_tell_of_their_life() {
    with_app(async |app| {
        let acme = account(&app, "Acme").await;
        let agent = user(&app, "Grace").await;
        for (plural, word, input, patch) in [
            ("notes", "account-note", json!({"content": "Hm"}), json!({"content": "Aha"})),
            (
                "tasks",
                "account-task",
                json!({"title": "Call", "assigneeId": agent["id"]}),
                json!({"status": "COMPLETED"}),
            ),
            (
                "activities",
                "account-activity",
                json!({"activityTimestamp": "2026-11-23T10:00:00Z", "duration": 5,
                    "location": "here"}),
                json!({"status": "COMPLETED"}),
            ),
        ] {
            let made = app.post(&format!("/v1/accounts/{}/{plural}", id(&acme)), input).await;
            let place = made.header("location").expect("a place").to_owned();
            let made = made.expect(201);
            assert_eq!(app.get(&place).await.expect(200), made);
            app.patch(&place, patch).await.expect(200);
            let comments = format!("{place}/comments");
            let mentions = json!({"mentions": [agent["id"]]});
            let body = json!({"content": "@grace", "metadata": mentions});
            let comment = app.post(&comments, body).await.expect(201);
            let comment = format!("/v1/comments/{}", id(&comment));
            app.patch(&comment, json!({"content": "@grace again"})).await.expect(200);
            let listed = app.get(&comments).await.expect(200);
            assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
            app.delete(&comment).await.expect(204);
            app.delete(&place).await.expect(204);
            let verbs = ["created", "updated", "deleted"];
            let kinds: Vec<String> = verbs
                .iter()
                .flat_map(|verb| [format!("{word}:{verb}"), format!("{word}:comment:{verb}")])
                .collect();
            let expected: Vec<(&str, usize)> = kinds.iter().map(|kind| (&**kind, 1)).collect();
            assert_eq!(counted(&app, &format!("{word}:")).await, counts(&expected));
        }
        let mentioned = events(&app, "user:mentioned").await;
        let types: Vec<_> = mentioned.iter().map(|it| &it["metadata"]["entityType"]).collect();
        assert_eq!(types, ["ACCOUNT_NOTE", "ACCOUNT_TASK", "ACCOUNT_ACTIVITY"]);
        assert!(mentioned[0]["metadata"].get("teamId").is_none(), "only tickets have a team");
        assert_eq!(mentioned[0]["payload"]["user"]["organization"]["name"], "Default");
    });
}

#[test]
fn relationships_between_accounts_tell_of_their_life() {
    with_app(async |app| {
        let (acme, venue) = (account(&app, "Acme").await, account(&app, "Venue").await);
        let place = format!("/v1/accounts/{}/relationships", id(&acme));
        let itself = app.post(&place, json!({"relatedAccountId": "acme.example"})).await;
        itself.refused(422, "invalid");
        let input = json!({"relatedAccountId": "venue.example", "type": "PARTNER"});
        let made = app.post(&place, input).await.expect(201);
        assert_eq!(made["relatedAccount"]["name"], "Venue");
        let listed = app.get(&format!("/v1/accounts/{}/relationships", id(&venue))).await;
        assert_eq!(listed.expect(200)["data"][0]["id"], made["id"], "both know of it");
        let path = format!("/v1/account-relationships/{}", id(&made));
        app.patch(&path, json!({"type": "RESELLER"})).await.expect(200);
        app.delete(&format!("/v1/accounts/{}", id(&venue))).await.expect(204);
        app.get(&path).await.expect(404);
        let expected = [
            ("account-relationship:created", 1),
            ("account-relationship:updated", 1),
            ("account-relationship:deleted", 1),
        ];
        assert_eq!(counted(&app, "account-relationship:").await, counts(&expected));
    });
}

#[test]
fn members_of_a_team_come_and_go() {
    with_app(async |app| {
        let team = app.team().await;
        let grace = user(&app, "Grace").await;
        user(&app, "Ada").await;
        let place = format!("/v1/teams/{team}/members");
        app.post(&place, json!({})).await.refused(422, "invalid");
        let both = json!({"userIds": ["grace@example.com", "ada@example.com"]});
        app.post(&place, both).await.expect(200);
        app.post(&place, json!({"userId": grace["id"]})).await.expect(200);
        app.post(&place, json!({"userId": "nobody@example.com"})).await.refused(422, "invalid");
        app.delete(&format!("{place}/grace@example.com")).await.expect(200);
        app.delete(&format!("{place}/grace@example.com")).await.expect(404);
        let members = app.get(&place).await.expect(200);
        assert_eq!(members["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(members["data"][0]["name"], "Ada");
        let expected = [("team:created", 1), ("team:updated", 2), ("team:members:changed", 2)];
        assert_eq!(counted(&app, "team:").await, counts(&expected));
    });
}

#[test]
fn users_tell_of_other_permissions_and_join_the_organization() {
    with_app(async |app| {
        let grace = user(&app, "Grace").await;
        let path = format!("/v1/users/{}", id(&grace));
        let patch = json!({"roles": ["lead"], "userType": "ORG_ADMIN"});
        app.patch(&path, patch).await.expect(200);
        app.patch(&path, json!({"name": "Grace H"})).await.expect(200);
        let expected = [("user:created", 1), ("user:updated", 2), ("user:permissions:changed", 1)];
        assert_eq!(counted(&app, "user:").await, counts(&expected));
        let joined = payloads(&app, "organization:member-joined").await;
        assert_eq!(joined.len(), 1, "once, and not at a change");
        assert_eq!(joined[0]["user"]["email"], "grace@example.com");
        assert_eq!(joined[0]["organization"]["name"], "Default");
    });
}

#[test]
fn an_organization_tells_of_its_beginning_its_changes_and_its_end() {
    with_app(async |app| {
        assert_eq!(events(&app, "org:created").await.len(), 0, "nobody made the first tenant");
        app.post("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
        let own = |path: &str| app.request(reqwest::Method::GET, path).header("X-Tenant", "acme");
        let told = crate::support::send(own("/v1/events?type=organization:*")).await.expect(200);
        let kinds: Vec<_> =
            told["data"].as_array().expect("events").iter().map(|it| &it["type"]).collect();
        assert_eq!(kinds, ["organization:member-joined", "organization:created"]);
        assert_eq!(told["data"][1]["payload"]["organization"]["subdomain"], "acme");
        let key = app.request(reqwest::Method::POST, "/v1/keys").header("X-Tenant", "acme");
        let key = key.json(&json!({"name": "theirs", "scopes": ["*"]}));
        let key = crate::support::send(key).await.expect(201);
        let theirs = app.with_key(key["key"].as_str().expect("a key"));
        let shown = theirs.get("/v1/organization").await.expect(200);
        assert_eq!((&shown["name"], &shown["plan"]), (&json!("Acme"), &json!("self-hosted")));
        let patch = json!({"name": "Acme Ltd", "domain": "acme.example", "settings": {"tone": 1}});
        theirs.patch("/v1/organization", patch).await.expect(200);
        let told = payloads(&theirs, "organization:updated").await.remove(0);
        assert_eq!(told["previousOrganization"]["name"], "Acme");
        assert_eq!(told["organization"]["name"], "Acme Ltd");
        let tenants = app.get("/v1/tenants").await.expect(200);
        assert_eq!(tenants["data"][1]["name"], "Acme Ltd");
        app.delete("/v1/tenants/default").await.refused(409, "protected");
        theirs.delete("/v1/tenants/acme").await.expect(403);
        app.delete("/v1/tenants/acme").await.refused(422, "invalid");
        app.delete("/v1/tenants/acme?confirm=acme").await.expect(202);
        app.delete("/v1/tenants/acme?confirm=acme").await.expect(404);
        theirs.get("/v1/organization").await.expect(401);
        crate::support::send(own("/v1/organization")).await.expect(404);
        let tenants = app.get("/v1/tenants").await.expect(200);
        assert_eq!(tenants["data"].as_array().map(Vec::len), Some(1));
        app.post("/v1/tenants", json!({"slug": "acme"})).await.expect(201);
        let told = crate::support::send(own("/v1/events?type=organization:*")).await.expect(200);
        assert_eq!(told["data"].as_array().map(Vec::len), Some(2), "another tenant altogether");
    });
}

#[test]
fn custom_objects_tell_of_their_life_and_start_workflows() {
    with_app(async |app| {
        let won = json!({"object.values.stage": {"~eq": "won"}});
        let kind = "custom-object:default:deal:updated";
        app.save(echo("won", kind, won, json!("{{ trigger.payload.object.id }}"))).await;
        let place = "/v1/custom-objects/deal/records";
        app.post("/v1/custom-objects/Big%20Deal/records", json!({})).await.refused(422, "invalid");
        let made = app.post(place, json!({"values": {"stage": "open", "size": 5}})).await;
        let path = made.header("location").expect("a place").to_owned();
        let made = made.expect(201);
        assert_eq!((&made["objectType"], &made["namespace"]), (&json!("deal"), &json!("default")));
        app.get(&path.replace("deal", "lead")).await.expect(404);
        let changed = app.patch(&path, json!({"values": {"stage": "won"}})).await.expect(200);
        assert_eq!(changed["values"], json!({"stage": "won", "size": 5}));
        let updated = events(&app, kind).await.remove(0);
        let run = app.end_of(updated["runs"][0].as_str().expect("a run")).await;
        assert_eq!((&run["workflow"], &run["status"]), (&json!("won"), &json!("succeeded")));
        let listed = app.get(place).await.expect(200);
        assert_eq!(listed["data"], json!([changed]));
        app.delete(&path).await.expect(204);
        let verbs = ["created", "updated", "deleted"];
        let kinds = verbs.map(|verb| format!("custom-object:default:deal:{verb}"));
        let expected: Vec<(&str, usize)> = kinds.iter().map(|kind| (&**kind, 1)).collect();
        assert_eq!(counted(&app, "custom-object:").await, counts(&expected));
    });
}

#[test]
fn custom_fields_are_defined_and_held_to_their_definition() {
    with_app(async |app| {
        let team = app.team().await;
        let plan = json!({"name": "Plan", "fieldType": "single_choice", "source": "ticket",
            "options": [{"value": "gold"}, "pro"], "mandatoryOnCreation": true});
        let plan = app.post("/v1/custom-fields", plan).await.expect(201);
        assert_eq!((&plan["slug"], &plan["uid"]), (&json!("plan"), &plan["id"]));
        let again = json!({"name": "plan", "source": "ticket"});
        app.post("/v1/custom-fields", again).await.refused(409, "duplicate");
        app.post("/v1/custom-fields", json!({"name": "plan", "source": "account"}))
            .await
            .expect(201);
        let ticket = |fields: Value| {
            json!({"title": "Help", "requestorEmail": "a@example.com", "teamId": team,
                "customFieldValues": fields})
        };
        for (fields, code) in [(json!([]), "required"), (json!({"plan": "tin"}), "not_allowed")] {
            let refused = app.post("/v1/tickets", ticket(fields)).await.refused(422, "invalid");
            assert_eq!(refused["errors"][0]["pointer"], "/customFieldValues/plan");
            assert_eq!(refused["errors"][0]["code"], code);
        }
        let given = json!([{"fieldId": plan["id"], "value": "gold"}]);
        let made = app.post("/v1/tickets", ticket(given)).await.expect(201);
        assert_eq!(made["customFields"], json!({"plan": "gold"}));
        let path = format!("/v1/tickets/{}", id(&made));
        app.patch(&path, json!({"customFields": {"plan": "pro"}})).await.expect(200);
        let changed = payloads(&app, "ticket:custom_field_value:changed").await.remove(0);
        assert_eq!(changed["changedCustomFields"][0]["fieldUid"], "plan");
        app.patch(&format!("/v1/custom-fields/{}", id(&plan)), json!({"isActive": false}))
            .await
            .expect(200);
        app.post("/v1/tickets", ticket(json!([]))).await.expect(201);
    });
}

#[test]
fn statuses_below_the_four_are_made_and_end_and_tickets_move() {
    with_app(async |app| {
        let team = app.team().await;
        let all = app.get("/v1/ticket-statuses").await.expect(200);
        let all = all["data"].as_array().expect("a list").clone();
        let parents: Vec<_> = all
            .iter()
            .filter(|status| status["parentStatusName"].is_null())
            .map(|status| status["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(parents, ["Open", "In progress", "On hold", "Closed"]);
        assert_eq!((&all[0]["isDefault"], &all[3]["isClosed"]), (&json!(true), &json!(true)));
        for name in ["Open", "Closed", "ST-IN-PROGRESS"] {
            let path = format!("/v1/ticket-statuses/{name}");
            app.delete(&path).await.refused(409, "protected");
        }
        let make = async |name: &str, default: bool| {
            let body = json!({"name": name, "parentStatusId": "ST-ON-HOLD", "isDefault": default});
            app.post("/v1/ticket-statuses", body).await.expect(201)
        };
        let parts = make("Waiting for parts", true).await;
        assert_eq!(parts["statusId"], "ST-WAITING-FOR-PARTS");
        let body = json!({"name": "waiting for parts", "parentStatusName": "Open"});
        app.post("/v1/ticket-statuses", body).await.refused(409, "duplicate");
        app.post("/v1/ticket-statuses", json!({"name": "Pending", "parentStatusName": "Open"}))
            .await
            .refused(422, "invalid");
        make("Waiting for money", true).await;
        let shown = app.get("/v1/ticket-statuses/Waiting for parts").await.expect(200);
        assert_eq!(shown["isDefault"], false, "there is one default");
        let ticket = app.ticket(&team, json!({"statusName": "waiting for parts"})).await;
        assert_eq!(ticket["parentStatusName"], "On hold");
        let path = format!("/v1/tickets/{}", id(&ticket));
        app.post(&format!("{path}/archive"), json!({})).await.expect(200);
        app.delete("/v1/ticket-statuses/Waiting for money").await.refused(409, "protected");
        app.delete(&format!("/v1/ticket-statuses/{}", id(&parts))).await.expect(204);
        let moved = app.get(&path).await.expect(200);
        assert_eq!(moved["statusName"], "Waiting for money", "to the default beside it");
        app.delete("/v1/ticket-statuses/ST-WAITING-FOR-MONEY").await.expect(204);
        let moved = app.get(&path).await.expect(200);
        assert_eq!(moved["statusName"], "On hold", "the last one gives way to its parent");
        assert_eq!(events(&app, "ticket:status:changed").await.len(), 2);
    });
}

#[test]
fn long_words_are_cut_in_events_and_whole_by_their_id() {
    with_config(
        |config| config.events.comment_text_bytes_max = 10,
        async |app| {
            let team = app.team().await;
            let ticket = app.ticket(&team, json!({})).await;
            let words = "a long story in many words";
            let place = format!("/v1/tickets/{}/comments", id(&ticket));
            let comment = app.post(&place, json!({"content": words})).await.expect(201);
            assert_eq!(comment["content"], words);
            let path = format!("/v1/comments/{}", id(&comment));
            let mark = format!("a long sto…[cut: 16 bytes, fetch {path}]");
            let told = payloads(&app, "ticket:comment:added").await.remove(0);
            assert_eq!(told["comment"]["content"], mark);
            assert_eq!(app.get(&path).await.expect(200)["content"], words);
            app.patch(&path, json!({"content": "short"})).await.expect(200);
            let told = payloads(&app, "ticket:comment:updated").await.remove(0);
            assert_eq!(told["comment"]["content"], "short");
            assert_eq!(told["previousComment"]["content"], words, "nobody could fetch it any more");
        },
    );
}

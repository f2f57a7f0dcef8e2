//! What people see and press at the desk and in the house, over real HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::acceptance::{begun, by_hand, failing, transform};
use crate::people::{Browser, joined};
use crate::support::{Answer, TestApp, with_app};

/// Returns the page that a form led to.
async fn followed(browser: &mut Browser, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let place = answer.header("location").expect("a place").to_owned();
    let page = browser.get(&place).await;
    assert_eq!(page.status, 200, "{place}: {}", page.text);
    page.text
}

async fn owner(app: &TestApp) -> Browser {
    joined(app, "olga@example.com", &["owner"]).await
}

#[test]
fn somebody_approves_and_rejects_on_the_page_with_a_reason() {
    with_app(async |app| {
        let mut pay = transform("pay", json!("done"));
        pay["approval"] = json!({
            "approvers": ["role:approver"], "timeout": "2h", "reason": "<b>Refund</b> 70",
            "escalate": {"after": "1h", "to": ["role:admin"]},
        });
        app.save(by_hand("refund", json!([pay]))).await;
        let mut browser = joined(&app, "ada@example.com", &["approver"]).await;
        for (decision, status) in [("approve", "succeeded"), ("reject", "failed")] {
            let run = begun(&app, "refund", json!({})).await;
            app.until(&run, "waiting").await;
            let asked = app.get("/v1/approvals?status=mine").await.expect(200);
            let asked = &asked["data"][0];
            assert_eq!((&asked["mayDecide"], &asked["run"]), (&json!(true), &json!(run)));
            assert!(asked["escalatesAt"].is_string(), "{asked}");
            let page = browser.get("/approvals").await.text;
            assert!(page.contains("&#60;b&#62;Refund") && page.contains(&run), "{page}");
            let form = [("decision", decision), ("comment", "looked at it")];
            let answer = browser.form(&format!("/approvals/{run}/pay"), &form).await;
            followed(&mut browser, &answer).await;
            app.until(&run, status).await;
        }
        let page = browser.get("/approvals?show=decided").await.text;
        assert!(page.contains("looked at it") && page.contains("Rejected"), "{page}");
        let mut other = joined(&app, "vera@example.com", &["viewer"]).await;
        let page = other.get("/approvals").await.text;
        assert!(page.contains("Nothing waits for you"), "{page}");
    });
}

#[test]
fn incidents_of_one_cause_are_settled_together() {
    with_app(async |app| {
        let mut find = failing("find");
        find["onFailure"] = json!("pause");
        app.save(by_hand("careful", json!([find]))).await;
        let mut runs = Vec::new();
        for _ in 0..3 {
            let run = begun(&app, "careful", json!({})).await;
            app.until(&run, "waiting").await;
            runs.push(run);
        }
        let causes = app.get("/v1/incidents/causes").await.expect(200);
        let cause = &causes["data"][0];
        assert_eq!((&cause["count"], &cause["step"]), (&json!(3), &json!("find")), "{causes}");
        let mut browser = owner(&app).await;
        let page = browser.get("/incidents").await.text;
        assert!(page.contains("Settle all 3"), "{page}");
        let code = cause["code"].as_str().expect("a code");
        let form = [
            ("workflow", "careful"),
            ("step", "find"),
            ("code", code),
            ("action", "skip"),
            ("comment", "known"),
        ];
        let answer = browser.form("/incidents", &form).await;
        let page = followed(&mut browser, &answer).await;
        assert!(page.contains("3 incidents were settled."), "{page}");
        for run in runs {
            app.until(&run, "succeeded").await;
        }
        let body = json!({"workflow": "careful", "step": "find", "code": code, "action": "retry"});
        app.post("/v1/incidents/resolve", body).await.refused(404, "incident_not_found");
    });
}

#[test]
fn a_record_is_made_changed_and_removed_by_forms() {
    with_app(async |app| {
        let mut browser = owner(&app).await;
        let form = [("name", "Acme <b>"), ("primaryDomain", "nonsense"), ("employees", "many")];
        let refused = browser.form("/accounts", &form).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains("Acme &#60;b&#62;") && refused.text.contains("no number"));
        let form = [("name", "Acme"), ("primaryDomain", "acme.example"), ("status", "TRIAL")];
        let answer = browser.form("/accounts", &form).await;
        let page = followed(&mut browser, &answer).await;
        assert!(page.contains("It was made.") && page.contains("trial"), "{page}");
        let account = app.get("/v1/accounts/acme.example").await.expect(200);
        let path = format!("/accounts/{}", account["id"].as_str().expect("an id"));
        let form = [("name", "Acme"), ("primaryDomain", "acme.example"), ("status", "")];
        let answer = browser.form(&path, &form).await;
        followed(&mut browser, &answer).await;
        let account = app.get("/v1/accounts/acme.example").await.expect(200);
        assert_eq!(account["status"], Value::Null);
        let notes = format!("{path}/notes");
        let answer = browser.form(&notes, &[("content", "calls on Mondays")]).await;
        assert!(followed(&mut browser, &answer).await.contains("calls on Mondays"));
        let answer = browser.form(&format!("{path}/remove"), &[("confirm", "Apex")]).await;
        assert_eq!(answer.status, 422);
        let answer = browser.form(&format!("{path}/remove"), &[("confirm", "Acme")]).await;
        followed(&mut browser, &answer).await;
        app.get("/v1/accounts/acme.example").await.refused(404, "account_not_found");
    });
}

#[test]
fn a_table_is_looked_at_before_it_is_taken_in() {
    with_app(async |app| {
        let mut browser = owner(&app).await;
        let text = "Name;Primary domain;Colour\nAcme;acme.example;red\nApex;apex;blue\n\
                    Also;acme.example;\n";
        let page = browser.form("/accounts/import", &[("text", text), ("mode", "check")]).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for part in ["1 of 3 rows are right", "is left out", "Make 1 account", "a row above"] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        let none = app.get("/v1/accounts").await.expect(200);
        assert_eq!(none["data"].as_array().map(Vec::len), Some(0));
        let good = "name,primaryDomain\nAcme,acme.example\nApex,apex.example\n";
        let answer = browser.form("/accounts/import", &[("text", good), ("mode", "make")]).await;
        assert!(followed(&mut browser, &answer).await.contains("Every row was taken in"));
        let made = app.get("/v1/events?type=account:created").await.expect(200);
        assert_eq!(made["data"].as_array().map(Vec::len), Some(2), "an event each: {made}");
        let request = app.request(Method::POST, "/v1/accounts/import?dryRun=true");
        let request = request.header("content-type", "text/csv").body(good);
        let outcome = crate::support::send(request).await.expect(200);
        assert_eq!((&outcome["right"], &outcome["made"]), (&json!(0), &json!(0)), "{outcome}");
        assert_eq!(outcome["problems"][0]["code"], "duplicate");
    });
}

#[test]
fn a_change_of_a_ticket_is_foreseen_and_then_stands_in_its_feed() {
    with_app(async |app| {
        app.save(json!({
            "name": "on-close", "trigger": {"event": "ticket:status:changed",
                "filter": {"payload.ticket.statusName": {"~eq": "Closed"}}},
            "steps": [transform("note", json!("done"))],
        }))
        .await;
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"title": "Printer"})).await;
        let id = ticket["id"].as_str().expect("an id").to_owned();
        let patch = json!({"statusName": "Closed"});
        let seen = app.post(&format!("/v1/tickets/{id}/preview"), patch).await.expect(200);
        let events = seen["events"].as_array().expect("a list");
        let changed = events.iter().find(|event| event["type"] == "ticket:status:changed");
        let run = &changed.expect("it would come")["workflows"][0];
        assert_eq!((&run["workflow"], &run["matches"]), (&json!("on-close"), &json!(true)));
        let still = app.get(&format!("/v1/tickets/{id}")).await.expect(200);
        assert_eq!(still["statusName"], "Open");

        let mut browser = owner(&app).await;
        let path = format!("/tickets/{id}");
        let form = [("statusName", "In progress"), ("tags", "vip, urgent")];
        let page = browser.form(&format!("{path}/preview"), &form).await.text;
        assert!(page.contains("Would not") && page.contains("ticket:tag:updated"), "{page}");
        let form = [("statusName", "Closed"), ("tags", "vip")];
        let answer = browser.form(&path, &form).await;
        let page = followed(&mut browser, &answer).await;
        for part in ["Status: Open → Closed", "Tags: + vip", "on-close", "olga@example.com"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    });
}

#[test]
fn an_owner_makes_bounds_suspends_and_removes_a_tenant() {
    with_app(async |app| {
        let mut browser = owner(&app).await;
        let refused = browser.form("/tenants", &[("slug", "Not A Slug"), ("name", "x")]).await;
        assert_eq!(refused.status, 422);
        let answer = browser.form("/tenants", &[("slug", "apex"), ("name", "Apex")]).await;
        assert!(followed(&mut browser, &answer).await.contains("Apex"));
        let answer = browser.form("/tenants/apex/quotas", &[("workflows", "7")]).await;
        followed(&mut browser, &answer).await;
        let quotas = app.get("/v1/tenants/apex/quotas").await.expect(200);
        let quota = quotas["data"].as_array().expect("a list").iter();
        let own: Vec<_> = quota.filter(|it| it["own"] == json!(true)).collect();
        assert_eq!(own.len(), 1, "only what was changed: {quotas}");
        assert_eq!((&own[0]["name"], &own[0]["limit"]), (&json!("workflows"), &json!(7)));
        for (deed, word) in [("suspend", "suspended"), ("resume", "goes on")] {
            let answer = browser.form(&format!("/tenants/apex/{deed}"), &[]).await;
            assert!(followed(&mut browser, &answer).await.contains(word), "{deed}");
        }
        let answer = browser.form("/tenants/apex/export", &[("secrets", "none")]).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-disposition").is_some_and(|it| it.contains("apex-")));
        let answer = browser.form("/tenants/apex/remove", &[("confirm", "acme")]).await;
        assert_eq!(answer.status, 422);
        let answer = browser.form("/tenants/apex/remove", &[("confirm", "apex")]).await;
        followed(&mut browser, &answer).await;
        app.get("/v1/tenants/apex").await.refused(404, "tenant_not_found");
        let mut admin = joined(&app, "ada@example.com", &["admin"]).await;
        assert_eq!(admin.form("/tenants", &[("slug", "other")]).await.status, 403);
    });
}

#[test]
fn the_audit_is_verified_and_taken_along_line_by_line() {
    with_app(async |app| {
        app.team().await;
        let mut browser = owner(&app).await;
        let page = browser.get("/audit/verify").await.text;
        assert!(page.contains("The audit is whole"), "{page}");
        let export = browser.get("/v1/audit/export?action=team").await;
        assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<Value> = export
            .text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a record in each line"))
            .collect();
        assert_eq!(lines.len(), 1, "{}", export.text);
        assert_eq!(lines[0]["action"], "team.create");
    });
}

#[test]
fn sessions_are_seen_and_ended_and_people_limited_to_teams() {
    with_app(async |app| {
        let team = app.team().await;
        let mut vera = joined(&app, "vera@example.com", &["viewer"]).await;
        let mut browser = owner(&app).await;
        let page = browser.get("/people").await.text;
        assert!(page.contains("Signed-in browsers") && page.contains("Firefox/1 Linux"), "{page}");
        let people = app.get("/v1/people").await.expect(200);
        let people = people["data"].as_array().expect("a list");
        let vera_id = people.iter().find(|it| it["email"] == "vera@example.com");
        let vera_id = vera_id.expect("she is there")["id"].as_str().expect("an id");
        let sessions = app.get("/v1/sessions").await.expect(200);
        let mut session = sessions["data"].as_array().expect("a list").iter();
        let session = session.rfind(|it| it["person"] == vera_id);
        let id = session.expect("one")["id"].as_str().expect("an id");
        let answer = browser.form(&format!("/people/sessions/{id}/end"), &[]).await;
        assert!(followed(&mut browser, &answer).await.contains("The session has ended."));
        assert_eq!(vera.get("/tickets").await.status, 303);
        let form = [("role", "viewer"), ("teams", "shown"), ("team", team.as_str())];
        let answer = browser.form(&format!("/people/{vera_id}"), &form).await;
        followed(&mut browser, &answer).await;
        let person = app.get(&format!("/v1/people/{vera_id}")).await.expect(200);
        assert_eq!(person["teams"], json!([team]));
        let matrix = browser.get("/people/roles").await.text;
        assert!(matrix.contains("approvals") && matrix.contains("looks"), "{matrix}");
    });
}

#[test]
fn the_day_ahead_shows_what_fires_at_once() {
    with_app(async |app| {
        for name in ["a", "b"] {
            app.save(json!({
                "name": name, "trigger": {"schedule": {"every": "hour"}},
                "steps": [transform("note", json!("done"))],
            }))
            .await;
        }
        let agenda = app.get("/v1/agenda").await.expect(200);
        assert_eq!(agenda["schedules"], 2, "{agenda}");
        // In the first quarter of an hour the last of 24 hours lies beyond the day.
        let firings = agenda["firings"].as_u64().expect("a number");
        assert!(firings == 46 || firings == 48, "{agenda}");
        assert_eq!(agenda["piles"][0]["workflows"], json!(["a", "b"]));
        let mut browser = owner(&app).await;
        let page = browser.get("/schedules").await.text;
        assert!(page.contains("firings of 2 active schedules"), "{page}");
    });
}

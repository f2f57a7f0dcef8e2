//! Every route against every role, against another tenant and against nobody.

use ergane::app::principal::Scopes;
use ergane::domain::role::{RESOURCES, Role};
use ergane::web::GROUPS;
use ergane::web::route::{Access, Route, Verb};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, send, with_app};

fn routes() -> impl Iterator<Item = &'static Route> {
    GROUPS.iter().flat_map(|group| group.routes)
}

fn scope_of(route: &Route) -> Option<&'static str> {
    match route.access {
        Access::Scope(scope) | Access::Page(scope) => Some(scope),
        Access::Public | Access::Known | Access::OwnPage => None,
    }
}

#[test]
fn every_route_asks_for_a_scope_that_exists() {
    for route in routes() {
        let Some(scope) = scope_of(route) else { continue };
        let (resource, action) = scope.split_once(':').expect("two parts");
        let is_known = RESOURCES.contains(&resource);
        assert!(is_known && matches!(action, "read" | "write"), "{}: {scope}", route.id);
        let granted = Role::ALL.iter().filter(|role| Scopes::of_roles(&[**role]).allow(scope));
        assert!(granted.count() > 0, "{}: nobody has {scope}", route.id);
        let is_admins = Scopes::of_roles(&[Role::Admin]).allow(scope);
        assert!(is_admins || scope == "tenants:write", "{}", route.id);
    }
}

/// What changes the appliance as a whole, or never ends, is not called here.
fn is_called(route: &Route) -> bool {
    !route.id.ends_with("_stream") && route.id != "setup_link"
}

/// Puts an id that nothing has into every variable of the path.
fn path_of(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| match part.strip_prefix('{') {
        Some(_) if route.path.contains("runs/") => "run_00000000000000000000000000",
        Some(_) => "none",
        None => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn status(app: &TestApp, route: &Route, key: Option<&str>) -> (u16, Value) {
    let method = Method::from_bytes(route.verb.name().as_bytes()).expect("a method");
    let request = app.client.request(method, format!("{}{}", app.base, path_of(route)));
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let request = match route.verb {
        Verb::Get | Verb::Delete => request,
        // No route accepts it, so that an allowed request changes nothing.
        Verb::Post | Verb::Put | Verb::Patch => request.json(&json!({ "thereIsNoSuchField": 1 })),
    };
    let answer = send(request).await;
    (answer.status, answer.body)
}

async fn key_of(app: &TestApp, role: Role) -> String {
    let wanted = json!({ "name": role.name(), "scopes": role.scopes() });
    let made = app.post("/v1/keys", wanted).await.expect(201);
    made["key"].as_str().expect("a key").to_owned()
}

#[test]
fn every_route_lets_in_the_roles_that_have_its_scope_and_nobody_else() {
    with_app(async |app| {
        let (mut allowed, mut refused) = (0, 0);
        for role in Role::ALL {
            let (key, scopes) = (key_of(&app, role).await, Scopes::of_roles(&[role]));
            for route in routes().filter(|route| is_called(route)) {
                let Some(scope) = scope_of(route) else { continue };
                let (status, body) = status(&app, route, Some(&key)).await;
                let is_refused = status == 403;
                let what = format!("{} {} {status} {body}", role.name(), route.id);
                assert_eq!(is_refused, !scopes.allow(scope), "{what}");
                assert!(status != 401 && status < 500, "{what}");
                if is_refused { refused += 1 } else { allowed += 1 }
            }
        }
        assert!(allowed > 300 && refused > 200, "{allowed} allowed, {refused} refused");
    });
}

#[test]
fn every_route_but_the_public_ones_refuses_whoever_shows_no_key() {
    with_app(async |app| {
        for route in routes().filter(|route| route.access != Access::Public) {
            for key in [None, Some("no-such-key-0123456789")] {
                let (status, _) = status(&app, route, key).await;
                let page = matches!(route.access, Access::Page(_) | Access::OwnPage);
                // A person without a session is led to the door, which answers with 200.
                let expected = if page { [200, 401] } else { [401, 401] };
                assert!(expected.contains(&status), "{} {status}", route.id);
            }
        }
    });
}

/// Everything that the first tenant has, by the paths that show or change it.
async fn things(app: &TestApp) -> Vec<(Method, String)> {
    let team = app.team().await;
    let ticket = app.ticket(&team, json!({})).await;
    let ticket = ticket["id"].as_str().expect("an id").to_owned();
    let definition = json!({
        "name": "theirs", "trigger": { "event": "app:x" },
        "steps": [{ "id": "nap", "sleep": "4h" }],
    });
    app.save(definition).await;
    let run = app.publish("app:x", json!({ "canary": "canary" })).await.remove(0);
    let event = app.get(&format!("/v1/runs/{run}")).await.expect(200)["eventId"].clone();
    let event = event.as_str().expect("an id").to_owned();
    let invited = json!({ "email": "ada@example.com", "roles": ["viewer"] });
    let person = app.post("/v1/people", invited).await.expect(201);
    let person = person["id"].as_str().expect("an id").to_owned();
    let wanted = json!({ "name": "canary", "scopes": ["runs:read"] });
    let key = app.post("/v1/keys", wanted).await.expect(201);
    let key = key["id"].as_str().expect("an id").to_owned();
    [
        (Method::GET, format!("/v1/teams/{team}")),
        (Method::GET, format!("/v1/tickets/{ticket}")),
        (Method::PATCH, format!("/v1/tickets/{ticket}")),
        (Method::DELETE, format!("/v1/tickets/{ticket}")),
        (Method::GET, format!("/v1/tickets/{ticket}/comments")),
        (Method::GET, "/v1/workflows/theirs".to_owned()),
        (Method::DELETE, "/v1/workflows/theirs".to_owned()),
        (Method::POST, "/v1/workflows/theirs/disable".to_owned()),
        (Method::POST, "/v1/workflows/theirs/run".to_owned()),
        (Method::GET, format!("/v1/runs/{run}")),
        (Method::GET, format!("/v1/runs/{run}/journal")),
        (Method::POST, format!("/v1/runs/{run}/cancel")),
        (Method::POST, format!("/v1/runs/{run}/retry")),
        (Method::POST, format!("/v1/runs/{run}/restart")),
        (Method::GET, format!("/v1/events/{event}")),
        (Method::GET, format!("/v1/events/{event}/explain")),
        (Method::POST, format!("/v1/events/{event}/replay")),
        (Method::GET, format!("/v1/people/{person}")),
        (Method::GET, "/v1/people/ada@example.com".to_owned()),
        (Method::PATCH, format!("/v1/people/{person}")),
        (Method::DELETE, format!("/v1/people/{person}")),
        (Method::POST, format!("/v1/people/{person}/reset-password")),
        (Method::DELETE, format!("/v1/keys/{key}")),
    ]
    .into()
}

#[test]
fn another_tenants_things_do_not_exist_for_any_role() {
    with_app(async |app| {
        let things = things(&app).await;
        app.post("/v1/tenants", json!({ "slug": "other", "name": "Other" })).await.expect(201);
        let in_other = |request: reqwest::RequestBuilder| request.header("x-tenant", "other");
        for role in Role::ALL {
            let wanted = json!({ "name": role.name(), "scopes": role.scopes() });
            let made = send(in_other(app.request(Method::POST, "/v1/keys")).json(&wanted)).await;
            let made = made.expect(201);
            let theirs = app.with_key(made["key"].as_str().expect("a key"));
            for (method, path) in &things {
                let answer = send(theirs.request(method.clone(), path).json(&json!({}))).await;
                let what = format!("{} {method} {path}: {}", role.name(), answer.text);
                assert!(matches!(answer.status, 404 | 403), "{what}");
                let readable = *method == Method::GET && role == Role::Owner;
                assert!(!readable || answer.status == 404, "{what}");
            }
            for list in ["runs", "events", "tickets", "workflows", "people", "keys", "audit"] {
                let answer = theirs.get(&format!("/v1/{list}?limit=200")).await;
                for canary in ["canary", "theirs", "ada@example.com", "Printer on fire"] {
                    assert!(!answer.text.contains(canary), "{list}: {}", answer.text);
                }
            }
            let named = send(theirs.request(Method::GET, "/v1/me").header("x-tenant", "default"));
            named.await.refused(404, "tenant_not_found");
        }
        // Nothing of it was changed either.
        app.get("/v1/workflows/theirs").await.expect(200);
        app.get("/v1/people/ada@example.com").await.expect(200);
    });
}

#[test]
fn the_roles_tell_what_they_may_call() {
    with_app(async |app| {
        let roles = app.get("/v1/roles").await.expect(200);
        let roles = roles["data"].as_array().expect("a list");
        assert_eq!(roles.len(), Role::ALL.len());
        let may = |role: &str, operation: &str| {
            let role = roles.iter().find(|it| it["name"] == role).expect("the role");
            role["operations"].as_array().expect("a list").contains(&json!(operation))
        };
        assert!(may("owner", "tenants_create") && !may("admin", "tenants_create"));
        assert!(may("auditor", "audit_list") && !may("viewer", "audit_list"));
        assert!(may("operator", "runs_cancel") && !may("approver", "runs_cancel"));
    });
}

//! People who sign in, their roles, and everybody's sessions.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::origin;
use super::super::proof;
use super::super::query::Query;
use super::super::route::{Access, Group, PAGED, Route};
use super::super::state::Front;
use super::super::ui::door::session_cookie;
use super::super::ui::visit;
use crate::app::App;
use crate::app::people::{NewPerson, PersonPatch, Standing};
use crate::app::principal::Scopes;
use crate::app::sessions::Whose;
use crate::app::sign_in::Credentials;
use crate::domain::role::Role;

/// People.
pub static GROUP: Group = Group {
    tag: "people",
    about: "People who sign in with a password, each with roles; the desk's agents are `users`.",
    routes: &[
        Route::get("/v1/people", || web::to(list))
            .named("people_list", "Lists the people of the tenant.")
            .scope("people:read")
            .query(PAGED)
            .answers(200, "PersonPage"),
        Route::post("/v1/people", || web::to(invite))
            .named(
                "people_invite",
                "Invites somebody; the link that sets the password is shown once.",
            )
            .scope("people:write")
            .body("NewPerson")
            .answers(201, "Invitation"),
        Route::get("/v1/people/{id}", || web::to(show))
            .named("people_show", "Shows somebody, by id or mail address.")
            .scope("people:read")
            .answers(200, "Person"),
        Route::patch("/v1/people/{id}", || web::to(change))
            .named("people_change", "Changes somebody's name, roles or teams, or disables them.")
            .scope("people:write")
            .body("PersonPatch")
            .answers(200, "Person"),
        Route::delete("/v1/people/{id}", || web::to(remove))
            .named("people_remove", "Removes somebody with their sessions and keys.")
            .scope("people:write")
            .answers(204, ""),
        Route::post("/v1/people/{id}/reset-password", || web::to(reset))
            .named("people_reset_password", "Ends a password and makes a link that sets another.")
            .scope("people:write")
            .answers(200, "Invitation"),
        Route::get("/v1/roles", || web::to(roles))
            .named("roles_list", "Lists the roles with their scopes and what they may call.")
            .known()
            .answers(200, "RoleList"),
        Route::get("/v1/sessions", || web::to(sessions))
            .named("sessions_list", "Lists the browsers that are signed in to the tenant.")
            .scope("people:read")
            .query(PAGED)
            .answers(200, "SessionPage"),
        Route::post("/v1/sessions", || web::to(sign_in))
            .named("sessions_begin", "Signs in with a password; the answer sets the cookie.")
            .public()
            .body("Credentials")
            .answers(201, "BegunSession"),
        Route::delete("/v1/sessions/{id}", || web::to(end))
            .named("sessions_end", "Ends a session.")
            .scope("people:write")
            .answers(204, ""),
        Route::post("/v1/setup-link", || web::to(setup_link))
            .named("setup_link", "Makes a link whose holder becomes an owner; for owners alone.")
            .scope("tenants:write")
            .answers(201, "OneTimeLink"),
    ],
    schemas: SCHEMAS,
    made: &[],
};

const SCHEMAS: &[(&str, &str)] = &[
    (
        "NewPerson",
        r#"{"type":"object","required":["email","roles"],"properties":{
            "email":{"type":"string","format":"email"},"name":{"type":"string"},
            "roles":{"type":"array","items":{"type":"string"},"examples":[["editor"]]},
            "teams":{"type":"array","items":{"type":"string"}}}}"#,
    ),
    (
        "PersonPatch",
        r#"{"type":"object","properties":{"name":{"type":"string"},
            "roles":{"type":"array","items":{"type":"string"}},
            "teams":{"type":"array","items":{"type":"string"}},
            "disabled":{"type":"boolean"}}}"#,
    ),
    (
        "Person",
        r#"{"type":"object","properties":{"id":{"type":"string"},"email":{"type":"string"},
            "name":{"type":"string"},"roles":{"type":"array","items":{"type":"string"}},
            "teams":{"type":"array","items":{"type":"string"}},
            "status":{"enum":["active","invited","disabled"]},
            "secondFactor":{"type":"boolean"},"createdAt":{"type":"string"},
            "createdBy":{"type":"string"},"signedInAt":{"type":["string","null"]}}}"#,
    ),
    (
        "PersonPage",
        r##"{"type":"object","properties":{
            "data":{"type":"array","items":{"$ref":"#/components/schemas/Person"}},
            "nextCursor":{"type":["string","null"]}}}"##,
    ),
    (
        "OneTimeLink",
        r#"{"type":"object","properties":{"path":{"type":"string"},
            "expiresAt":{"type":"string","format":"date-time"}}}"#,
    ),
    (
        "Invitation",
        r##"{"allOf":[{"$ref":"#/components/schemas/Person"},
            {"type":"object","properties":{"link":{"$ref":"#/components/schemas/OneTimeLink"}}}]}"##,
    ),
    (
        "RoleList",
        r#"{"type":"object","properties":{"data":{"type":"array","items":{"type":"object",
            "properties":{"name":{"type":"string"},"about":{"type":"string"},
            "scopes":{"type":"array","items":{"type":"string"}},
            "operations":{"type":"array","items":{"type":"string"}}}}}}}"#,
    ),
    (
        "Session",
        r#"{"type":"object","properties":{"id":{"type":"string"},
            "person":{"type":["string","null"]},"name":{"type":"string"},
            "createdAt":{"type":"string"},"seenAt":{"type":"string"},
            "expiresAt":{"type":"string"},"address":{"type":["string","null"]},
            "agent":{"type":["string","null"]},"current":{"type":"boolean"}}}"#,
    ),
    (
        "SessionPage",
        r##"{"type":"object","properties":{
            "data":{"type":"array","items":{"$ref":"#/components/schemas/Session"}},
            "nextCursor":{"type":["string","null"]}}}"##,
    ),
    (
        "Credentials",
        r#"{"type":"object","required":["email","password"],"properties":{
            "email":{"type":"string"},"password":{"type":"string"},
            "code":{"type":"string"}}}"#,
    ),
    (
        "BegunSession",
        r#"{"type":"object","properties":{"id":{"type":"string"},
            "expiresAt":{"type":"string","format":"date-time"},
            "csrfToken":{"type":"string",
                "description":"Sent as `X-CSRF-Token` with each call that changes something."}}}"#,
    ),
];

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.people(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn invite(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let wanted = NewPerson {
        email: fields.required_text("email"),
        name: fields.text("name").unwrap_or_default(),
        roles: fields.texts("roles").unwrap_or_default(),
        teams: fields.texts("teams").unwrap_or_default(),
    };
    fields.end()?;
    Ok(HttpResponse::Created().json(app.invite(&who, wanted).await?))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.person(&who, &id)?))
}

async fn change(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let patch = PersonPatch {
        name: fields.text("name"),
        roles: fields.texts("roles"),
        teams: fields.texts("teams"),
        standing: fields.flag("disabled").map(|disabled| match disabled {
            true => Standing::Disabled,
            false => Standing::Enabled,
        }),
    };
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.change_person(&who, &id, patch).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.remove_person(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn reset(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.reset_password(&who, &id).await?))
}

/// The matrix of routes and roles, made from the table itself.
async fn roles() -> Answer {
    let data: Vec<Value> = Role::ALL
        .into_iter()
        .map(|role| {
            json!({
                "name": role.name(),
                "about": role.about(),
                "scopes": role.scopes(),
                "operations": operations(&Scopes::of_roles(&[role])),
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

fn operations(scopes: &Scopes) -> Vec<&'static str> {
    let routes = super::super::GROUPS.iter().flat_map(|group| group.routes);
    let may = |route: &&Route| match route.access {
        Access::Public | Access::Known | Access::OwnPage => true,
        Access::Scope(scope) | Access::Page(scope) => scopes.allow(scope),
    };
    routes.filter(may).map(|route| route.id).collect()
}

async fn sessions(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.sessions(&who, Whose::Everybody, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

/// Takes JSON alone, which no form of another site can send.
async fn sign_in(
    request: HttpRequest,
    app: web::Data<App>,
    front: web::Data<Front>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let shown = Credentials {
        email: fields.required_text("email"),
        password: fields.required_text("password"),
        code: fields.text("code").unwrap_or_default(),
    };
    fields.end()?;
    let entered = app.sign_in(shown, origin::of(&request)).await?;
    let cookie = session_cookie(&visit::shell(&request), entered.token.clone());
    let body = json!({
        "id": entered.id,
        "expiresAt": entered.expires_at,
        "csrfToken": proof::of(&entered.token, &front.clock),
    });
    Ok(HttpResponse::Created().cookie(cookie).json(body))
}

async fn end(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.end_session(&who, Whose::Everybody, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn setup_link(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Created().json(app.open_setup_link(&who).await?))
}

//! Teams: groups of users with their own tickets.

use actix_web::http::StatusCode;
use actix_web::web;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use super::records::{self, SEARCHED, shown, whole};
use crate::app::App;
use crate::app::members::Membership;
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Teams.
pub static GROUP: Group = Group {
    tag: "teams",
    about: "Groups of users with their own tickets.",
    routes: &[
        Route::get("/v1/teams", || records::list(RecordKind::Team))
            .named("teams_list", "Lists teams, newest first.")
            .scope("teams:read")
            .query(SEARCHED)
            .answers(200, "TeamPage"),
        Route::post("/v1/teams", || records::create(RecordKind::Team))
            .named("teams_create", "Makes a team.")
            .scope("teams:write")
            .body("NewTeam")
            .answers(201, "Team"),
        Route::get("/v1/teams/{id}", || records::show(RecordKind::Team))
            .named("teams_get", "Returns a team, by its id or identifier.")
            .scope("teams:read")
            .answers(200, "Team"),
        Route::patch("/v1/teams/{id}", || records::update(RecordKind::Team))
            .named("teams_update", "Changes the fields that are given; null clears one.")
            .scope("teams:write")
            .body("TeamPatch")
            .answers(200, "Team"),
        Route::delete("/v1/teams/{id}", || records::remove(RecordKind::Team))
            .named("teams_delete", "Removes a team.")
            .scope("teams:write")
            .answers(204, ""),
        Route::get("/v1/teams/{id}/members", || web::to(members))
            .named("team_members_list", "Lists the members of a team.")
            .scope("teams:read")
            .answers(200, "UserPage"),
        Route::post("/v1/teams/{id}/members", || web::to(join))
            .named("team_members_add", "Takes users into a team.")
            .scope("teams:write")
            .body("NewMembers")
            .answers(200, "Team"),
        Route::delete("/v1/teams/{id}/members/{user}", || web::to(leave))
            .named("team_members_remove", "Lets a user leave a team.")
            .scope("teams:write")
            .answers(200, "Team"),
    ],
    schemas: &[(
        "NewMembers",
        r#"{"type":"object","properties":{
            "userId":{"type":"string","description":"By id or mail address."},
            "userIds":{"type":"array","items":{"type":"string"}}}}"#,
    )],
    made: &[
        ("Team", || output_schema(RecordKind::Team)),
        ("NewTeam", || create_schema(RecordKind::Team)),
        ("TeamPatch", || update_schema(RecordKind::Team)),
        ("TeamPage", || records::page_schema("Team")),
    ],
};

async fn members(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(whole(app.members_of(&who, &id)?))
}

async fn join(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let one = fields.text("userId");
    let mut users = fields.texts("userIds").unwrap_or_default();
    users.extend(one);
    if users.is_empty() && !fields.has_problem("userId") && !fields.has_problem("userIds") {
        fields.missing("userId");
    }
    fields.end()?;
    let team = app.change_members(&who, &id, Membership::Join(users)).await?;
    Ok(shown(StatusCode::OK, &team))
}

async fn leave(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
) -> Answer {
    let (id, user) = path.into_inner();
    let team = app.change_members(&who, &id, Membership::Leave(user)).await?;
    Ok(shown(StatusCode::OK, &team))
}

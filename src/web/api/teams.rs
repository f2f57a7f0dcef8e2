//! Teams: groups of users with their own tickets.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
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
    ],
    schemas: &[],
    made: &[
        ("Team", || output_schema(RecordKind::Team)),
        ("NewTeam", || create_schema(RecordKind::Team)),
        ("TeamPatch", || update_schema(RecordKind::Team)),
        ("TeamPage", || records::page_schema("Team")),
    ],
};

//! Users: the people and bots who work here.

use super::super::route::{Group, Route};
use super::records::{self, SEARCHED};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Users.
pub static GROUP: Group = Group {
    tag: "users",
    about: "The people and bots who work here.",
    routes: &[
        Route::get("/v1/users", || records::list(RecordKind::User))
            .named("users_list", "Lists users, newest first.")
            .scope("users:read")
            .query(SEARCHED)
            .answers(200, "UserPage"),
        Route::post("/v1/users", || records::create(RecordKind::User))
            .named("users_create", "Makes a user.")
            .scope("users:write")
            .body("NewUser")
            .answers(201, "User"),
        Route::get("/v1/users/{id}", || records::show(RecordKind::User))
            .named("users_get", "Returns a user, by its id or mail address.")
            .scope("users:read")
            .answers(200, "User"),
        Route::patch("/v1/users/{id}", || records::update(RecordKind::User))
            .named("users_update", "Changes the fields that are given; null clears one.")
            .scope("users:write")
            .body("UserPatch")
            .answers(200, "User"),
        Route::delete("/v1/users/{id}", || records::remove(RecordKind::User))
            .named("users_delete", "Removes a user.")
            .scope("users:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("User", || output_schema(RecordKind::User)),
        ("NewUser", || create_schema(RecordKind::User)),
        ("UserPatch", || update_schema(RecordKind::User)),
        ("UserPage", || records::page_schema("User")),
    ],
};

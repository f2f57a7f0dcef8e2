//! Accounts: customer organisations with their notes, tasks and activities.

use actix_web::web;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::route::{Group, Route};
use super::records::{self, SEARCHED, created, object, whole};
use crate::app::App;
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};
use crate::domain::problem::Problem;

/// Accounts.
pub static GROUP: Group = Group {
    tag: "accounts",
    about: "Customer organisations; a domain names one. Notes, tasks and activities belong to them.",
    routes: &[
        Route::get("/v1/accounts", || records::list(RecordKind::Account))
            .named("accounts_list", "Lists accounts, newest first.")
            .scope("accounts:read")
            .query(SEARCHED)
            .answers(200, "AccountPage"),
        Route::post("/v1/accounts", || records::create(RecordKind::Account))
            .named("accounts_create", "Makes an account.")
            .scope("accounts:write")
            .body("NewAccount")
            .answers(201, "Account"),
        Route::get("/v1/accounts/{id}", || records::show(RecordKind::Account))
            .named("accounts_get", "Returns an account, by its id or primary domain.")
            .scope("accounts:read")
            .answers(200, "Account"),
        Route::patch("/v1/accounts/{id}", || records::update(RecordKind::Account))
            .named("accounts_update", "Changes the fields that are given; null clears one.")
            .scope("accounts:write")
            .body("AccountPatch")
            .answers(200, "Account"),
        Route::delete("/v1/accounts/{id}", || records::remove(RecordKind::Account))
            .named("accounts_delete", "Removes an account with its notes, tasks and activities.")
            .scope("accounts:write")
            .answers(204, ""),
        Route::get("/v1/accounts/{id}/notes", || entries(RecordKind::AccountNote))
            .named("account_notes_list", "Lists the notes of an account, newest first.")
            .scope("accounts:read")
            .answers(200, "AccountNotePage"),
        Route::post("/v1/accounts/{id}/notes", || add(RecordKind::AccountNote))
            .named("account_notes_create", "Adds a note to an account.")
            .scope("accounts:write")
            .body("NewAccountNote")
            .answers(201, "AccountNote"),
        Route::get("/v1/accounts/{id}/tasks", || entries(RecordKind::AccountTask))
            .named("account_tasks_list", "Lists the tasks of an account, newest first.")
            .scope("accounts:read")
            .answers(200, "AccountTaskPage"),
        Route::post("/v1/accounts/{id}/tasks", || add(RecordKind::AccountTask))
            .named("account_tasks_create", "Adds a task to an account.")
            .scope("accounts:write")
            .body("NewAccountTask")
            .answers(201, "AccountTask"),
        Route::get("/v1/accounts/{id}/activities", || entries(RecordKind::AccountActivity))
            .named("account_activities_list", "Lists the activities of an account, newest first.")
            .scope("accounts:read")
            .answers(200, "AccountActivityPage"),
        Route::post("/v1/accounts/{id}/activities", || add(RecordKind::AccountActivity))
            .named("account_activities_create", "Adds an activity to an account.")
            .scope("accounts:write")
            .body("NewAccountActivity")
            .answers(201, "AccountActivity"),
        Route::get("/v1/accounts/{id}/relationships", || entries(RecordKind::Relationship))
            .named("account_relationships_list", "Lists the relationships of an account.")
            .scope("accounts:read")
            .answers(200, "AccountRelationshipPage"),
        Route::post("/v1/accounts/{id}/relationships", || add(RecordKind::Relationship))
            .named("account_relationships_create", "Relates an account to another.")
            .scope("accounts:write")
            .body("NewAccountRelationship")
            .answers(201, "AccountRelationship"),
    ],
    schemas: &[],
    made: &[
        ("Account", || output_schema(RecordKind::Account)),
        ("NewAccount", || create_schema(RecordKind::Account)),
        ("AccountPatch", || update_schema(RecordKind::Account)),
        ("AccountPage", || records::page_schema("Account")),
        ("AccountNote", || output_schema(RecordKind::AccountNote)),
        ("NewAccountNote", || create_schema(RecordKind::AccountNote)),
        ("AccountNotePage", || records::page_schema("AccountNote")),
        ("AccountTask", || output_schema(RecordKind::AccountTask)),
        ("NewAccountTask", || create_schema(RecordKind::AccountTask)),
        ("AccountTaskPage", || records::page_schema("AccountTask")),
        ("AccountActivity", || output_schema(RecordKind::AccountActivity)),
        ("NewAccountActivity", || create_schema(RecordKind::AccountActivity)),
        ("AccountActivityPage", || records::page_schema("AccountActivity")),
        ("AccountRelationship", || output_schema(RecordKind::Relationship)),
        ("NewAccountRelationship", || create_schema(RecordKind::Relationship)),
        ("AccountRelationshipPage", || records::page_schema("AccountRelationship")),
    ],
};

fn entries(kind: RecordKind) -> actix_web::Route {
    web::to(move |app: web::Data<App>, Caller(who): Caller, id: web::Path<String>| async move {
        Answer::Ok(whole(app.entries_of(&who, &id, kind)?))
    })
}

fn add(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, Caller(who): Caller, id: web::Path<String>, body: Json| async move {
            let account = app.record(&who, RecordKind::Account, &id)?;
            let mut input = object(body)?;
            let own = account.get("id").cloned().unwrap_or_default();
            if input.insert("accountId".to_owned(), own.clone()).is_some_and(|given| given != own) {
                let detail = "contradicts the account that the path names";
                let problem = Problem::new("/accountId", "contradiction", detail);
                return Err(ApiError::invalid(vec![problem]));
            }
            let record = app.create_record(&who, kind, input).await?;
            Answer::Ok(created(&records::place_of(kind), &record))
        },
    )
}

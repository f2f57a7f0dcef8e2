//! Notes, tasks, activities and relationships of accounts, each by its own id.

use super::super::route::{CURSOR, Group, LIMIT, Route};
use super::comments::{self, THREADS};
use super::records;
use crate::domain::desk::{RecordKind, update_schema};

/// Notes, tasks, activities and relationships of accounts.
pub static GROUP: Group = Group {
    tag: "account-entries",
    about: "What is written down about accounts; it is made and listed at its account.",
    routes: &[
        Route::get("/v1/account-notes/{id}", || records::show(RecordKind::AccountNote))
            .named("account_notes_get", "Returns a note of an account.")
            .scope("accounts:read")
            .answers(200, "AccountNote"),
        Route::patch("/v1/account-notes/{id}", || records::update(RecordKind::AccountNote))
            .named("account_notes_update", "Changes the fields that are given; null clears one.")
            .scope("accounts:write")
            .body("AccountNotePatch")
            .answers(200, "AccountNote"),
        Route::delete("/v1/account-notes/{id}", || records::remove(RecordKind::AccountNote))
            .named("account_notes_delete", "Removes a note and its comments.")
            .scope("accounts:write")
            .answers(204, ""),
        Route::get("/v1/account-notes/{id}/comments", || comments::of(RecordKind::AccountNote))
            .named("account_notes_comments", "Lists the comments on a note, oldest first.")
            .scope("accounts:read")
            .query(&[THREADS, LIMIT, CURSOR])
            .answers(200, "CommentPage"),
        Route::post("/v1/account-notes/{id}/comments", || {
            comments::add_to(RecordKind::AccountNote)
        })
        .named("account_notes_comment", "Adds a comment to a note.")
        .scope("accounts:write")
        .body("NewComment")
        .answers(201, "Comment"),
        Route::get("/v1/account-tasks/{id}", || records::show(RecordKind::AccountTask))
            .named("account_tasks_get", "Returns a task of an account.")
            .scope("accounts:read")
            .answers(200, "AccountTask"),
        Route::patch("/v1/account-tasks/{id}", || records::update(RecordKind::AccountTask))
            .named("account_tasks_update", "Changes the fields that are given; null clears one.")
            .scope("accounts:write")
            .body("AccountTaskPatch")
            .answers(200, "AccountTask"),
        Route::delete("/v1/account-tasks/{id}", || records::remove(RecordKind::AccountTask))
            .named("account_tasks_delete", "Removes a task and its comments.")
            .scope("accounts:write")
            .answers(204, ""),
        Route::get("/v1/account-tasks/{id}/comments", || comments::of(RecordKind::AccountTask))
            .named("account_tasks_comments", "Lists the comments on a task, oldest first.")
            .scope("accounts:read")
            .query(&[THREADS, LIMIT, CURSOR])
            .answers(200, "CommentPage"),
        Route::post("/v1/account-tasks/{id}/comments", || {
            comments::add_to(RecordKind::AccountTask)
        })
        .named("account_tasks_comment", "Adds a comment to a task.")
        .scope("accounts:write")
        .body("NewComment")
        .answers(201, "Comment"),
        Route::get("/v1/account-activities/{id}", || records::show(RecordKind::AccountActivity))
            .named("account_activities_get", "Returns an activity of an account.")
            .scope("accounts:read")
            .answers(200, "AccountActivity"),
        Route::patch("/v1/account-activities/{id}", || {
            records::update(RecordKind::AccountActivity)
        })
        .named("account_activities_update", "Changes the fields that are given; null clears one.")
        .scope("accounts:write")
        .body("AccountActivityPatch")
        .answers(200, "AccountActivity"),
        Route::delete("/v1/account-activities/{id}", || {
            records::remove(RecordKind::AccountActivity)
        })
        .named("account_activities_delete", "Removes an activity and its comments.")
        .scope("accounts:write")
        .answers(204, ""),
        Route::get("/v1/account-activities/{id}/comments", || {
            comments::of(RecordKind::AccountActivity)
        })
        .named("account_activities_comments", "Lists the comments on an activity, oldest first.")
        .scope("accounts:read")
        .query(&[THREADS, LIMIT, CURSOR])
        .answers(200, "CommentPage"),
        Route::post("/v1/account-activities/{id}/comments", || {
            comments::add_to(RecordKind::AccountActivity)
        })
        .named("account_activities_comment", "Adds a comment to an activity.")
        .scope("accounts:write")
        .body("NewComment")
        .answers(201, "Comment"),
        Route::get("/v1/account-relationships/{id}", || records::show(RecordKind::Relationship))
            .named("account_relationships_get", "Returns a relationship between accounts.")
            .scope("accounts:read")
            .answers(200, "AccountRelationship"),
        Route::patch("/v1/account-relationships/{id}", || {
            records::update(RecordKind::Relationship)
        })
        .named("account_relationships_update", "Changes the fields that are given.")
        .scope("accounts:write")
        .body("AccountRelationshipPatch")
        .answers(200, "AccountRelationship"),
        Route::delete("/v1/account-relationships/{id}", || {
            records::remove(RecordKind::Relationship)
        })
        .named("account_relationships_delete", "Ends a relationship between accounts.")
        .scope("accounts:write")
        .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("AccountNotePatch", || update_schema(RecordKind::AccountNote)),
        ("AccountTaskPatch", || update_schema(RecordKind::AccountTask)),
        ("AccountActivityPatch", || update_schema(RecordKind::AccountActivity)),
        ("AccountRelationshipPatch", || update_schema(RecordKind::Relationship)),
    ],
};

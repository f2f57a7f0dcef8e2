//! Comments: messages on tickets and on the entries of accounts.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::records::{self, created, object, shown};
use crate::app::App;
use crate::app::desk::{CommentForm, Reaction};
use crate::domain::desk::{RecordKind, comment, create_schema, output_schema, update_schema};

/// Chooses conversations instead of a flat list.
pub const THREADS: Param =
    Param::flag("threads", "Answers conversations: comments with their `replies`.");

/// Comments.
pub static GROUP: Group = Group {
    tag: "comments",
    about: "Messages on tickets and on the entries of accounts, with replies and reactions.",
    routes: &[
        Route::get("/v1/comments", || web::to(list))
            .named("comments_list", "Lists the comments on a record, oldest first.")
            .scope("tickets:read")
            .query(&[
                Param::text("entityId", "The record; required."),
                Param::text("entityType", "Its kind; `ticket` without it."),
                THREADS,
                LIMIT,
                CURSOR,
            ])
            .answers(200, "CommentPage"),
        Route::post("/v1/comments", || records::create(RecordKind::Comment))
            .named("comments_create", "Adds a comment to the record that it names.")
            .scope("tickets:write")
            .body("NewComment")
            .answers(201, "Comment"),
        Route::get("/v1/comments/{id}", || records::show(RecordKind::Comment))
            .named("comments_get", "Returns one comment.")
            .scope("tickets:read")
            .answers(200, "Comment"),
        Route::patch("/v1/comments/{id}", || records::update(RecordKind::Comment))
            .named("comments_update", "Changes the fields that are given; null clears one.")
            .scope("tickets:write")
            .body("CommentPatch")
            .answers(200, "Comment"),
        Route::delete("/v1/comments/{id}", || records::remove(RecordKind::Comment))
            .named("comments_delete", "Removes a comment and its replies.")
            .scope("tickets:write")
            .answers(204, ""),
        Route::post("/v1/comments/{id}/reactions", || web::to(react))
            .named("comments_react", "Adds the caller's reaction to a comment.")
            .scope("tickets:write")
            .body("NewReaction")
            .answers(200, "Comment"),
        Route::delete("/v1/comments/{id}/reactions/{emoji}", || web::to(unreact))
            .named("comments_unreact", "Takes the caller's reaction away.")
            .scope("tickets:write")
            .answers(200, "Comment"),
    ],
    schemas: &[(
        "NewReaction",
        r#"{"type":"object","required":["emoji"],"properties":{"emoji":{"type":"string"}}}"#,
    )],
    made: &[
        ("Comment", || output_schema(RecordKind::Comment)),
        ("NewComment", || create_schema(RecordKind::Comment)),
        ("CommentPatch", || update_schema(RecordKind::Comment)),
        ("CommentPage", || records::page_schema("Comment")),
    ],
};

/// Makes the handler that lists the comments on a record of `kind`.
pub fn of(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, Caller(who): Caller, id: web::Path<String>, query: Query| async move {
            answer(&app, &who, (kind, &id), &query)
        },
    )
}

/// Makes the handler that adds a comment to a record of `kind`.
pub fn add_to(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, Caller(who): Caller, id: web::Path<String>, body: Json| async move {
            let comment = app.comment_on(&who, (kind, &id), object(body)?).await?;
            Answer::Ok(created("/v1/comments", &comment))
        },
    )
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let id = query.text("entityId");
    let id = id.ok_or_else(|| ApiError::bad_parameter("entityId", "is required"))?;
    let kind = comment::entity_kind(query.text("entityType").unwrap_or("ticket"));
    answer(&app, &who, (kind, id), &query)
}

fn answer(
    app: &App,
    who: &crate::app::principal::Principal,
    record: (RecordKind, &str),
    query: &Query,
) -> Answer {
    let form = match query.flag("threads")? {
        Some(true) => CommentForm::Threads,
        Some(false) | None => CommentForm::Flat,
    };
    let page = app.comments_on(who, record, form, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn react(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let emoji = fields.required_text("emoji");
    fields.end()?;
    let comment = app.react(&who, &id, Reaction::Add(emoji)).await?;
    Ok(shown(StatusCode::OK, &comment))
}

async fn unreact(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
) -> Answer {
    let (id, emoji) = path.into_inner();
    let comment = app.react(&who, &id, Reaction::Remove(emoji)).await?;
    Ok(shown(StatusCode::OK, &comment))
}

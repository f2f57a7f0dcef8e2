//! Hosted forms: made, changed, listed, removed.

use actix_web::{HttpResponse, web};
use serde_json::Value;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;
use crate::app::forms::{NewForm, Place};

/// Forms.
pub static GROUP: Group = Group {
    tag: "forms",
    about: "Pages that anybody may fill in; each submission is an event.",
    routes: &[
        Route::get("/v1/forms", || web::to(list))
            .named("forms_list", "Lists the forms by name.")
            .scope("forms:read")
            .query(PAGED)
            .answers(200, "FormPage"),
        Route::post("/v1/forms", || web::to(create))
            .named("forms_create", "Makes a form, whose page is at its `path`.")
            .scope("forms:write")
            .body("NewForm")
            .answers(201, "Form"),
        Route::get("/v1/forms/{name}", || web::to(show))
            .named("forms_show", "Shows a form.")
            .scope("forms:read")
            .answers(200, "Form"),
        Route::put("/v1/forms/{name}", || web::to(put))
            .named("forms_put", "Makes a form or replaces it.")
            .scope("forms:write")
            .body("NewForm")
            .answers(200, "Form"),
        Route::delete("/v1/forms/{name}", || web::to(remove))
            .named("forms_remove", "Removes a form with its page.")
            .scope("forms:write")
            .answers(204, ""),
    ],
    schemas: &[
        ("NewForm", include_str!("schemas/new_form.json")),
        (
            "Form",
            r##"{"allOf":[{"$ref":"#/components/schemas/NewForm"},
                {"type":"object","properties":{
                    "path":{"type":"string","description":"The path of its page."},
                    "version":{"type":"integer"},
                    "createdAt":{"type":"string","format":"date-time"},
                    "updatedAt":{"type":"string","format":"date-time"}}}]}"##,
        ),
        (
            "FormPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Form"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.forms(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let name = fields.required_text("name");
    let wanted = wanted(name, fields)?;
    Ok(HttpResponse::Created().json(app.put_form(&who, wanted, Place::Free).await?))
}

async fn show(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.form(&who, &name)?))
}

async fn put(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    if fields.text("name").is_some_and(|named| named != *name) {
        fields.problem("name", "other_name", "is not the name in the path");
    }
    let wanted = wanted(name.into_inner(), fields)?;
    Ok(HttpResponse::Ok().json(app.put_form(&who, wanted, Place::Any).await?))
}

fn wanted(name: String, mut fields: Fields) -> Result<NewForm, ApiError> {
    let schema = fields.object("schema");
    if schema.is_none() && !fields.has_problem("schema") {
        fields.missing("schema");
    }
    let form = NewForm {
        name,
        title: fields.text("title").unwrap_or_default(),
        description: fields.text("description").unwrap_or_default(),
        schema: Value::Object(schema.unwrap_or_default()),
        event_type: fields.text("eventType"),
        team_id: fields.text("teamId"),
        thanks: fields.text("thanks").unwrap_or_default(),
    };
    fields.end()?;
    Ok(form)
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_form(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

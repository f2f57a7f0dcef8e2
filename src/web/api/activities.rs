//! The operations that steps can call.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;

/// Activities.
pub static GROUP: Group = Group {
    tag: "activities",
    about: "The operations that steps can call, with the schemas of what goes in and out.",
    routes: &[
        Route::get("/v1/activities", || web::to(list))
            .named("activities_list", "Lists activities by identifier.")
            .scope("workflows:read")
            .query(&[
                Param::text("category", "Only this category."),
                Param::number("limit", "Taken for likeness with other lists; all are answered."),
            ])
            .answers(200, "ActivityPage"),
        Route::get("/v1/activities/{uniqueIdentifier}", || web::to(show))
            .named("activities_get", "Returns one activity.")
            .scope("workflows:read")
            .answers(200, "Activity"),
    ],
    schemas: &[
        (
            "Activity",
            r#"{"type":"object","required":["uniqueIdentifier","name","version","category"],
                "properties":{
                "uniqueIdentifier":{"type":"string"},"name":{"type":"string"},
                "version":{"type":"integer"},"category":{"type":"string"},
                "source":{"type":"string"},"description":{"type":"string"},
                "inputSchema":{},"outputSchema":{},
                "throttle":{"type":["object","null"]},"timeout":{"type":"string"},
                "retry":{"type":"object"},
                "compensation":{"enum":["none","auto","offered","manual"]},
                "inDoubt":{"enum":["repeat","lookup","ask",null],
                "description":"How a call is settled whose outcome is unknown."},
                "scopes":{"type":"array","items":{"type":"string"}}}}"#,
        ),
        (
            "ActivityPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Activity"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let data = app.activities(&who, query.text("category"));
    Ok(HttpResponse::Ok().json(json!({"data": data, "nextCursor": null})))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.activity(&who, &id)?))
}

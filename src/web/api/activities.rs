//! The operations that steps can call.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::worker_activities::{NewActivity, Registered};

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
        Route::post("/v1/activities", || web::to(register))
            .named("activities_register", "Registers an activity that workers carry out.")
            .scope("workflows:write")
            .body("NewActivity")
            .answers(201, "Activity"),
        Route::delete("/v1/activities/{uniqueIdentifier}", || web::to(retire))
            .named("activities_retire", "Takes back an activity that was registered for workers.")
            .scope("workflows:write")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "NewActivity",
            r#"{"type":"object","required":["uniqueIdentifier","kind"],"properties":{
                "uniqueIdentifier":{"type":"string","examples":["invoices:render"]},
                "kind":{"const":"worker"},"name":{"type":"string"},
                "description":{"type":"string"},"category":{"type":"string"},
                "inputSchema":{"type":"object"},"outputSchema":{"type":"object"},
                "timeout":{"type":["string","number"],"default":"1h",
                    "description":"How long an attempt may take from when it is handed out."},
                "retry":{"type":"object"},
                "throttle":{"type":"object","required":["limit","window"],"properties":{
                    "limit":{"type":"integer"},"window":{"type":["string","number"]},
                    "key":{"enum":["activity","tenant"]}}}}}"#,
        ),
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

async fn register(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let kind = fields.required_text("kind");
    if !kind.is_empty() && kind != "worker" {
        fields.problem("kind", "not_allowed", "must be worker");
    }
    let wanted = NewActivity {
        identifier: fields.required_text("uniqueIdentifier"),
        name: fields.text("name").unwrap_or_default(),
        description: fields.text("description").unwrap_or_default(),
        category: fields.text("category").unwrap_or_default(),
        input_schema: fields.value("inputSchema"),
        output_schema: fields.value("outputSchema"),
        timeout: fields.duration("timeout"),
        retry: fields.object("retry"),
        throttle: fields.object("throttle"),
    };
    fields.end()?;
    let (view, registered) = app.register_activity(&who, wanted).await?;
    Ok(match registered {
        Registered::New => HttpResponse::Created().json(view),
        Registered::Unchanged => HttpResponse::Ok().json(view),
    })
}

async fn retire(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.retire_activity(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

//! The operations that steps can call.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::activity_throttles::NewThrottle;
use crate::app::worker_activities::{NewActivity, Registered};
use crate::domain::activity::ThrottleKey;

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
                Param::text(
                    "q",
                    "Only those with this text in identifier, name, description or source.",
                ),
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
        Route::put("/v1/activities/{uniqueIdentifier}/throttle", || web::to(throttle))
            .named(
                "activities_throttle",
                "Sets how often an activity may be called; calls beyond it wait.",
            )
            .scope("destinations:write")
            .body("NewThrottle")
            .answers(200, "Throttle"),
        Route::delete("/v1/activities/{uniqueIdentifier}/throttle", || web::to(unthrottle))
            .named("activities_unthrottle", "Leaves it to the activity how often it is called.")
            .scope("destinations:write")
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
                "version":{"type":"integer"},
                "versions":{"type":"array","items":{"type":"integer"},
                    "description":"Those that steps may pin."},
                "category":{"type":"string"},
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
            "NewThrottle",
            r#"{"type":"object","required":["limit","window"],"properties":{
                "limit":{"type":"integer","minimum":1,"maximum":1000000},
                "window":{"type":["string","number"],"examples":["1s","1m"]},
                "key":{"enum":["activity","destination","tenant"],
                    "description":"What is counted together; activity when left out."},
                "enabled":{"type":"boolean"}}}"#,
        ),
        (
            "Throttle",
            r#"{"type":"object","properties":{"activity":{"type":"string"},
                "enabled":{"type":"boolean"},"limit":{"type":"integer"},
                "window":{"type":"string"},"key":{"type":"string"}}}"#,
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
    let mut data = app.activities(&who, query.text("category"));
    data.retain(|activity| query.text("q").is_none_or(|text| activity.has_text(text)));
    app.show_throttles(&who, &mut data)?;
    Ok(HttpResponse::Ok().json(json!({"data": data, "nextCursor": null})))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    let mut activity = app.activity(&who, &id)?;
    app.show_throttles(&who, std::slice::from_mut(&mut activity))?;
    Ok(HttpResponse::Ok().json(activity))
}

async fn throttle(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let limit = fields.number("limit", 1..=1_000_000);
    let window = fields.duration("window");
    let enabled = fields.flag("enabled").unwrap_or(true);
    let key = fields.text("key");
    let known = key.as_deref().map_or(Some(ThrottleKey::Activity), ThrottleKey::named);
    if known.is_none() {
        fields.problem("key", "unknown_key", "must be activity, destination or tenant");
    }
    for (name, is_there) in [("limit", limit.is_some()), ("window", window.is_some())] {
        if !is_there && !fields.has_problem(name) {
            fields.missing(name);
        }
    }
    fields.end()?;
    let wanted = NewThrottle {
        limit: limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or_default(),
        window: window.unwrap_or_default(),
        key: known.unwrap_or_default(),
        enabled,
    };
    Ok(HttpResponse::Ok().json(app.set_throttle(&who, &id, wanted).await?))
}

async fn unthrottle(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.remove_throttle(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
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

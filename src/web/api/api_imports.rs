//! Descriptions of APIs that become activities.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::api_imports::{Description, NewImport, listed};
use crate::app::error::Error;
use crate::domain::activity::custom::Answers;

/// Imported descriptions of APIs.
pub static GROUP: Group = Group {
    tag: "imports",
    about: "OpenAPI 3.0 and 3.1 documents become activities: one for each operation, called \
            `<name>.<operationId>`, with the schemas of what goes in and out. They are called over \
            a connection of the app `http` whose `settings.baseUrl` has the same origin. Another \
            import of the same name makes new versions of what changed.",
    routes: &[
        Route::post("/v1/activities/import", || web::to(import))
            .named("activities_import", "Makes activities of an OpenAPI document.")
            .scope("workflows:write")
            .query(&[Param::flag("dryRun", "Answers what would be done and does nothing.")])
            .body("NewImport")
            .answers(200, "Import"),
        Route::get("/v1/activities/imports", || web::to(list))
            .named("imports_list", "Lists the imported descriptions by name.")
            .scope("workflows:read")
            .query(&[Param::number("limit", "Taken for likeness; all are answered.")])
            .answers(200, "ImportPage"),
        Route::delete("/v1/activities/imports/{name}", || web::to(remove))
            .named("imports_delete", "Takes its activities back; what calls them goes on.")
            .scope("workflows:write")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "NewImport",
            r#"{"type":"object","required":["name"],"properties":{
                "name":{"type":"string","examples":["petshop"]},
                "document":{"type":"object","description":"The OpenAPI document as JSON."},
                "text":{"type":"string","description":"Or as a text of JSON or YAML."},
                "baseUrl":{"type":"string","format":"uri",
                    "description":"Where the API is; its first server unless told."},
                "connection":{"type":"string",
                    "description":"The connection whose credentials are sent."},
                "operations":{"type":"array","items":{"type":"string"},
                    "description":"Only these; all when absent."},
                "strict":{"type":"boolean","default":false,
                    "description":"Whether an answer that is not as described is a failure."}}}"#,
        ),
        (
            "Import",
            r#"{"type":"object","required":["name","added","changed","unchanged","removed",
                "leftOut","notes"],"properties":{"name":{"type":"string"},
                "title":{"type":"string"},"baseUrl":{"type":"string"},
                "connection":{"type":["string","null"]},
                "added":{"type":"array","items":{"type":"string"}},
                "changed":{"type":"array","items":{"type":"string"}},
                "unchanged":{"type":"array","items":{"type":"string"}},
                "removed":{"type":"array","items":{"type":"object","properties":{
                    "uniqueIdentifier":{"type":"string"},
                    "usedBy":{"type":"array","items":{"type":"string"}}}}},
                "leftOut":{"type":"array","items":{"type":"object"},
                    "description":"Why operations cannot be called, by their place."},
                "notes":{"type":"array","items":{"type":"object"},
                    "description":"What of the others is not supported, by its place."}}}"#,
        ),
        (
            "ImportPage",
            r#"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                "name":{"type":"string"},"title":{"type":"string"},"baseUrl":{"type":"string"},
                "connection":{"type":["string","null"]},"strict":{"type":"boolean"},
                "activities":{"type":"integer"},"importedAt":{"type":"string"},
                "importedBy":{"type":"string"}}}},"nextCursor":{"type":["string","null"]}}}"#,
        ),
    ],
    made: &[],
};

async fn import(app: web::Data<App>, Caller(who): Caller, query: Query, body: Json) -> Answer {
    let wanted = read(body.fields())?;
    let view = match query.flag("dryRun")? {
        Some(true) => app.preview_import(&who, wanted)?,
        Some(false) | None => app.import_api(&who, wanted).await?,
    };
    Ok(HttpResponse::Ok().json(view))
}

fn read(mut fields: Fields) -> Result<NewImport, Error> {
    let name = fields.required_text("name");
    let description = match (fields.value("document"), fields.text("text")) {
        (Some(document), None) => Some(Description::Document(document)),
        (None, Some(text)) => Some(Description::Text(text)),
        (Some(_), Some(_)) => {
            fields.problem("text", "ambiguous", "give `document` or `text`, not both");
            None
        }
        (None, None) => {
            fields.missing("document");
            None
        }
    };
    let base_url = fields.text("baseUrl");
    let connection = fields.text("connection");
    let operations = fields.texts("operations");
    let answers = match fields.flag("strict") {
        Some(true) => Answers::Strict,
        Some(false) | None => Answers::Lenient,
    };
    fields.end()?;
    let description = description.unwrap_or_else(|| Description::Text(String::new()));
    Ok(NewImport { name, description, base_url, connection, answers, operations })
}

async fn list(app: web::Data<App>, Caller(who): Caller, _query: Query) -> Answer {
    Ok(HttpResponse::Ok().json(listed(&app.imports(&who)?)))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_import(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

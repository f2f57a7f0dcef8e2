//! Destinations of calls: how they fare, and their reset.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;

/// Destinations.
pub static GROUP: Group = Group {
    tag: "destinations",
    about: "Where calls to the outside go: a connection, or a scheme, host and port. One at which \
            too many calls fail is left alone for a while; calls wait and are never lost.",
    routes: &[
        Route::get("/v1/destinations", || web::to(list))
            .named("destinations_list", "Lists the destinations called since the start, by name.")
            .scope("destinations:read")
            .query(PAGED)
            .answers(200, "DestinationPage"),
        Route::get("/v1/destinations/{name}", || web::to(show))
            .named("destinations_get", "Returns one destination; its name is percent-encoded.")
            .scope("destinations:read")
            .answers(200, "Destination"),
        Route::post("/v1/destinations/{name}/reset", || web::to(reset))
            .named(
                "destinations_reset",
                "Closes the circuit, drops the pause, and lets out the calls that wait.",
            )
            .scope("destinations:write")
            .answers(200, "Destination"),
    ],
    schemas: &[
        (
            "Destination",
            r#"{"type":"object","required":["name","state","since"],"properties":{
                "name":{"type":"string","examples":["https://api.example.com"]},
                "state":{"enum":["closed","open","halfOpen"]},
                "since":{"type":"string","format":"date-time"},
                "until":{"type":["string","null"],"format":"date-time"},
                "pausedUntil":{"type":["string","null"],"format":"date-time"},
                "inFlight":{"type":"integer"},"waiting":{"type":"integer"},
                "window":{"type":"object","properties":{
                    "calls":{"type":"integer"},"failures":{"type":"integer"}}},
                "lastFailure":{"type":["object","null"],"properties":{
                    "at":{"type":"string","format":"date-time"},
                    "code":{"type":"string"},"message":{"type":"string"}}},
                "retriesLeft":{"type":"integer"}}}"#,
        ),
        (
            "DestinationPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Destination"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.destinations(&who, &query.page()?).await?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn show(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.destination(&who, &name).await?))
}

async fn reset(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.reset_destination(&who, &name).await?;
    Ok(HttpResponse::Ok().json(app.destination(&who, &name).await?))
}

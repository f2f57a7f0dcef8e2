//! Apps: manifests, and where they are installed.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, PAGED, Param, Route};
use crate::app::App;
use crate::app::apps::{Applied, ChangedApp};
use crate::app::installations::{BotKey, MadeInstallation, WantedInstallation};

/// Apps.
pub static GROUP: Group = Group {
    tag: "apps",
    about: "Integrations that a manifest describes: their activities, events, scopes and settings.",
    routes: &[
        Route::get("/v1/apps", || web::to(list))
            .named("apps_list", "Lists the apps, oldest first.")
            .scope("apps:read")
            .query(PAGED)
            .answers(200, "AppPage"),
        Route::post("/v1/apps", || web::to(create))
            .named("apps_create", "Makes an app of a manifest.")
            .scope("apps:write")
            .query(&[Param::flag("dryRun", "Tells what it would be (`ManifestCheck`), with 200.")])
            .body("AppManifest")
            .answers(201, "MadeApp"),
        Route::get("/v1/apps/{app}", || web::to(show))
            .named("apps_get", "Returns one app, by its id or its slug.")
            .scope("apps:read")
            .answers(200, "App"),
        Route::put("/v1/apps/{app}", || web::to(change))
            .named("apps_change", "Gives an app another manifest and tells what differs.")
            .scope("apps:write")
            .query(&[Param::flag("dryRun", "Tells what would differ and changes nothing.")])
            .body("AppManifest")
            .answers(200, "ChangedApp"),
        Route::delete("/v1/apps/{app}", || web::to(remove))
            .named("apps_remove", "Removes an app that is not installed.")
            .scope("apps:write")
            .answers(204, ""),
        Route::post("/v1/apps/{app}/install", || web::to(install))
            .named("apps_install", "Installs an app on teams; the bot's key is shown this once.")
            .scope("apps:write")
            .body("AppInstallation")
            .answers(201, "InstalledApp"),
        Route::post("/v1/apps/{app}/reinstall", || web::to(reinstall))
            .named("apps_reinstall", "Changes teams, settings or scopes; what is not given stays.")
            .scope("apps:write")
            .body("AppInstallation")
            .answers(200, "InstalledApp"),
        Route::post("/v1/apps/{app}/uninstall", || web::to(uninstall))
            .named("apps_uninstall", "Takes an app away, and names the workflows that use it.")
            .scope("apps:write")
            .answers(200, "UninstalledApp"),
    ],
    schemas: &[
        ("AppManifest", include_str!("schemas/app_manifest.json")),
        ("App", include_str!("schemas/app.json")),
        (
            "AppPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/App"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "MadeApp",
            r##"{"allOf":[{"$ref":"#/components/schemas/App"},{"type":"object","properties":{
                "webhookSecret":{"type":["string","null"],
                    "description":"Shown this once."}}}]}"##,
        ),
        (
            "ManifestCheck",
            r#"{"type":"object","required":["name","slug","exists"],"properties":{
                "name":{"type":"string"},"slug":{"type":"string"},"version":{"type":"string"},
                "description":{"type":"string"},
                "exists":{"type":"boolean","description":"Whether the slug is taken."},
                "activities":{"type":"array","items":{"type":"string"}},
                "publishes":{"type":"array","items":{"type":"string"}},
                "subscribes":{"type":"array","items":{"type":"string"}},
                "scopesRequired":{"type":"array","items":{"type":"string"}},
                "scopesOptional":{"type":"array","items":{"type":"string"}},
                "settings":{"type":"array","items":{"type":"string"}}}}"#,
        ),
        (
            "ChangedApp",
            r##"{"type":"object","required":["app","changes","workflows"],"properties":{
                "app":{"$ref":"#/components/schemas/App"},
                "changes":{"type":"array","items":{"type":"object","properties":{
                    "kind":{"enum":["app","activity","event","subscription","scope","setting"]},
                    "name":{"type":"string"},"change":{"enum":["added","removed","changed"]},
                    "breaking":{"type":"boolean"},"detail":{"type":"string"}}}},
                "workflows":{"type":"array","items":{"type":"string"}},
                "webhookSecret":{"type":["string","null"]}}}"##,
        ),
        (
            "AppInstallation",
            r#"{"type":"object","properties":{
                "teamIds":{"type":"array","items":{"type":"string"}},
                "settings":{"type":"object","description":"By the names of the manifest."},
                "optionalScopes":{"type":"array","items":{"type":"string"}},
                "rotateKey":{"type":"boolean","description":"Only when it is reinstalled."}}}"#,
        ),
        (
            "InstalledApp",
            r##"{"type":"object","required":["app"],"properties":{
                "app":{"$ref":"#/components/schemas/App"},
                "botKey":{"type":["string","null"],"description":"Shown this once."}}}"##,
        ),
        (
            "UninstalledApp",
            r##"{"type":"object","required":["app","workflows"],"properties":{
                "app":{"$ref":"#/components/schemas/App"},
                "workflows":{"type":"array","items":{"type":"string"},
                    "description":"Active workflows whose steps fail from now on."}}}"##,
        ),
    ],
    made: &[],
};

/// A manifest may stand alone or under `manifest`.
pub fn manifest_in(Json(mut body): Json) -> Value {
    match body.get_mut("manifest") {
        Some(manifest) if manifest.is_object() => manifest.take(),
        _ => body, // It is the manifest itself, or wrong as a whole.
    }
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.apps(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(app: web::Data<App>, Caller(who): Caller, query: Query, body: Json) -> Answer {
    if query.flag("dryRun")? == Some(true) {
        let check = app.check_manifest(&who, &manifest_in(body))?;
        return Ok(HttpResponse::Ok().json(check));
    }
    let made = app.create_app(&who, manifest_in(body)).await?;
    let mut answer = json!(made.view);
    answer["webhookSecret"] = json!(made.webhook_secret);
    Ok(HttpResponse::Created().json(answer))
}

async fn show(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.app(&who, &name)?))
}

async fn change(
    app: web::Data<App>,
    Caller(who): Caller,
    (name, query): (web::Path<String>, Query),
    body: Json,
) -> Answer {
    let applied = match query.flag("dryRun")? {
        Some(true) => Applied::OnTrial,
        Some(false) | None => Applied::Really,
    };
    let changed = app.change_app(&who, &name, manifest_in(body), applied).await?;
    let ChangedApp { view, changes, workflows, webhook_secret } = changed;
    Ok(HttpResponse::Ok().json(json!({
        "app": view,
        "changes": changes,
        "workflows": workflows,
        "webhookSecret": webhook_secret,
    })))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_app(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn install(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let (wanted, _) = wanted(body)?;
    let made = app.install_app(&who, &name, wanted).await?;
    Ok(HttpResponse::Created().json(installed(made)))
}

async fn reinstall(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let (wanted, bot_key) = wanted(body)?;
    let made = app.reinstall_app(&who, &name, wanted, bot_key).await?;
    Ok(HttpResponse::Ok().json(installed(made)))
}

fn installed(made: MadeInstallation) -> Value {
    json!({ "app": made.view, "botKey": made.bot_key })
}

fn wanted(body: Json) -> Result<(WantedInstallation, BotKey), ApiError> {
    let mut fields = body.fields();
    let wanted = WantedInstallation {
        teams: fields.texts("teamIds"),
        settings: fields.object("settings").unwrap_or_default(),
        optional_scopes: fields.texts("optionalScopes"),
    };
    let bot_key = match fields.flag("rotateKey") {
        Some(true) => BotKey::Exchanged,
        Some(false) | None => BotKey::Kept,
    };
    fields.end()?;
    Ok((wanted, bot_key))
}

async fn uninstall(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    let gone = app.uninstall_app(&who, &name).await?;
    Ok(HttpResponse::Ok().json(json!({ "app": gone.view, "workflows": gone.workflows })))
}

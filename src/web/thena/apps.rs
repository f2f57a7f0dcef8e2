//! Apps under Thena's paths and in Thena's shapes.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::api::apps::manifest_in;
use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::fields::Fields;
use crate::app::App;
use crate::app::apps::{AppView, Applied};
use crate::app::installations::{BotKey, MadeInstallation, WantedInstallation};
use crate::app::principal::Principal;

pub(super) async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let made = app.create_app(&who, manifest_in(body)).await?;
    let view = made.view;
    Ok(HttpResponse::Created().json(json!({
        "uid": view.id,
        "appId": view.id,
        "clientId": view.id,
        "clientSecret": made.webhook_secret,
        "name": view.name,
        "slug": view.slug,
        "description": view.description,
        "visibility": view.visibility,
        "manifest": view.manifest,
        "createdAt": view.created_at,
        "updatedAt": view.updated_at,
    })))
}

/// Changes the parts of a manifest that are given.
pub(super) async fn update(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let before = app.app(&who, &id)?.manifest;
    let mut manifest = before.clone();
    match (manifest.as_object_mut(), manifest_in(body)) {
        (Some(parts), Value::Object(given)) => {
            parts.extend(given);
            // The slug is how the app is known, whatever it is called now.
            let slug = app.app(&who, &id)?.slug;
            if let Some(about) = parts.get_mut("app").and_then(Value::as_object_mut) {
                about.entry("slug").or_insert(json!(slug));
            }
        }
        (_, other) => manifest = other,
    }
    let mut changes = Vec::new();
    differences(&before, &manifest, "", &mut changes);
    if changes.is_empty() {
        let message = "Nothing differs from the manifest before";
        let answer = json!({ "status": "unchanged", "message": message, "changes": [] });
        return Ok(HttpResponse::Ok().json(answer));
    }
    let changed = app.change_app(&who, &id, manifest, Applied::Really).await?;
    let breaking = changed.changes.iter().any(|change| change.breaking);
    let message = match breaking {
        true => "Changes saved successfully; some break what was built on the app",
        false => "Minor changes saved successfully",
    };
    Ok(HttpResponse::Ok().json(json!({
        "status": "success",
        "message": message,
        "changes": changes,
        "extension": { "changes": changed.changes, "workflows": changed.workflows },
    })))
}

fn differences(old: &Value, new: &Value, path: &str, found: &mut Vec<Value>) {
    if old == new {
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return found.push(json!({ "path": path, "oldValue": old, "newValue": new }));
    };
    let added = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(added) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let of = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or(Value::Null);
        differences(&of(before), &of(after), &path, found);
    }
}

pub(super) async fn install(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let (id, wanted) = wanted(body)?;
    let made = app.install_app(&who, &id, wanted).await?;
    Ok(HttpResponse::Created().json(installed(&who, made)))
}

pub(super) async fn reinstall(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let (id, wanted) = wanted(body)?;
    let made = app.reinstall_app(&who, &id, wanted, BotKey::Exchanged).await?;
    Ok(HttpResponse::Created().json(installed(&who, made)))
}

pub(super) async fn uninstall(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let id = fields.required_text("appId");
    fields.texts("teamIds");
    fields.end()?;
    let gone = app.uninstall_app(&who, &id).await?;
    Ok(HttpResponse::Ok().json(json!({
        "status": true,
        "message": "App uninstalled successfully",
        "data": { "appId": gone.view.id, "workflows": gone.workflows },
    })))
}

pub(super) async fn publish(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let name = fields.required_text("event_name");
    let payload = fields.value("payload").unwrap_or_else(|| json!({}));
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.publish_app_event(&who, &name, payload).await?))
}

fn wanted(body: Json) -> Result<(String, WantedInstallation), ApiError> {
    let mut fields = body.fields();
    let id = fields.required_text("appId");
    let teams = fields.texts("teamIds");
    let configuration = fields.object("appConfiguration").unwrap_or_default();
    let mut settings = Map::new();
    for (list, given) in configuration {
        take_settings(&mut fields, &list, given, &mut settings);
    }
    fields.end()?;
    Ok((id, WantedInstallation { teams, settings, optional_scopes: None }))
}

/// Takes an object of values, or a list of `{key, value}` or of `{name: value}`.
fn take_settings(fields: &mut Fields, list: &str, given: Value, settings: &mut Map<String, Value>) {
    let known = ["required_settings", "optional_settings"];
    let items = match given {
        Value::Array(items) if known.contains(&list) => items,
        object @ Value::Object(_) if known.contains(&list) => vec![object],
        Value::Null => return,
        _ => {
            let detail = "must be `required_settings` or `optional_settings`, a list or an object";
            return fields.problem("appConfiguration", "wrong_type", detail);
        }
    };
    for item in items {
        let Value::Object(item) = item else { continue };
        let named = ["key", "name", "id"].iter().find_map(|name| item.get(*name)?.as_str());
        match (named, item.get("value")) {
            (Some(name), Some(value)) => {
                settings.insert(name.to_owned(), value.clone());
            }
            _ => settings.extend(item),
        }
    }
}

fn installed(who: &Principal, made: MadeInstallation) -> Value {
    let AppView { id, slug, name, version, description, author, installation, .. } = made.view;
    let installation = json!(installation);
    json!({
        "appName": name,
        "appId": id,
        "botSub": installation["botId"],
        "botTokenKey": installation["keyPrefix"],
        "botToken": made.bot_key,
        "installedBySub": who.id,
        "installedByEmail": who.email,
        "appInstalledForTeams": installation["teamIds"],
        "appIdentifier": slug,
        "installedByOrgId": who.tenant.to_string(),
        "metadata": {
            "app_identifier": slug,
            "app_name": name,
            "app_description": description,
            "app_version": version,
            "app_author": author,
        },
    })
}

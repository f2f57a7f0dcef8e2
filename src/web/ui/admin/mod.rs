//! The pages that set the appliance up: connections, secrets, keys, webhooks, apps, activities.

mod activities;
mod api_import;
mod app;
mod connection;
mod connections;
mod entry;
mod keys;
mod outcome;
mod schema;
mod secrets;
mod sent;
mod slack;
mod users;
mod webhook;
mod webhooks;

use actix_web::web;

pub use self::outcome::{Outcome, back_with};

use crate::web::route::{CURSOR, Group, Param, Route};

const Q: Param = Param::text("q", "A text to look for.");
const DONE: Param = Param::text("done", "What a form did that led here.");
const STATE: Param = Param::text("state", "A state, such as `trouble` or `unused`.");

/// The pages and forms of this area.
pub static GROUP: Group = Group {
    tag: "pages-admin",
    about: "What people see and press.",
    routes: &[
        Route::get("/connections", || web::to(connections::list))
            .named("page_connections", "Lists connections.")
            .page("connections:read")
            .query(&[STATE, Param::text("app", "Only those of an app."), Q, DONE]),
        Route::post("/connections", || web::to(connection::create))
            .named("page_connection_create", "Makes a connection.")
            .page("connections:write"),
        Route::get("/connections/new", || web::to(connection::begin))
            .named("page_connection_new", "Asks for a new connection.")
            .page("connections:write")
            .query(&[Param::text("app", "What it leads to.")]),
        Route::get("/connections/{name}", || web::to(connection::show))
            .named("page_connection", "Shows a connection.")
            .page("connections:read")
            .query(&[DONE]),
        Route::post("/connections/{name}", || web::to(connection::change))
            .named("page_connection_change", "Changes settings and secrets.")
            .page("connections:write"),
        Route::post("/connections/{name}/test", || web::to(connection::test))
            .named("page_connection_test", "Tests a connection.")
            .page("connections:write"),
        Route::post("/connections/{name}/delete", || web::to(connection::remove))
            .named("page_connection_remove", "Removes a connection.")
            .page("connections:write"),
        Route::post("/connections/{name}/deliveries/{id}/replay", || web::to(connection::replay))
            .named("page_connection_replay", "Takes a delivery again.")
            .page("connections:write"),
        Route::get("/secrets", || web::to(secrets::list))
            .named("page_secrets", "Lists secrets without their values.")
            .page("secrets:read")
            .query(&[STATE, Q, DONE]),
        Route::post("/secrets", || web::to(secrets::put))
            .named("page_secret_put", "Puts a new secret in place.")
            .page("secrets:write"),
        Route::post("/secrets/reseal", || web::to(secrets::reseal))
            .named("page_secrets_reseal", "Exchanges the key that seals secrets.")
            .page("tenants:write"),
        Route::get("/secrets/{name}", || web::to(secrets::show))
            .named("page_secret", "Shows a secret without its value.")
            .page("secrets:read")
            .query(&[DONE]),
        Route::post("/secrets/{name}", || web::to(secrets::exchange))
            .named("page_secret_exchange", "Exchanges a secret's value.")
            .page("secrets:write"),
        Route::post("/secrets/{name}/delete", || web::to(secrets::remove))
            .named("page_secret_remove", "Removes a secret.")
            .page("secrets:write"),
        Route::get("/keys", || web::to(keys::list))
            .named("page_keys", "Lists API keys.")
            .page("keys:read")
            .query(&[STATE, Q, DONE]),
        Route::post("/keys", || web::to(keys::create))
            .named("page_key_create", "Makes a key and shows it once.")
            .page("keys:write"),
        Route::post("/keys/{id}/revoke", || web::to(keys::revoke))
            .named("page_key_revoke", "Revokes a key.")
            .page("keys:write"),
        Route::get("/webhooks", || web::to(webhooks::list))
            .named("page_webhooks", "Lists subscriptions, or the hooks that others send to.")
            .page("webhooks:read")
            .query(&[Param::text("direction", "`in` for incoming hooks."), STATE, Q, DONE]),
        Route::post("/webhooks", || web::to(webhooks::create))
            .named("page_webhook_create", "Makes a subscription.")
            .page("webhooks:write"),
        Route::get("/webhooks/new", || web::to(webhooks::begin))
            .named("page_webhook_new", "Asks for a new subscription.")
            .page("webhooks:write"),
        Route::get("/webhooks/{id}", || web::to(webhook::show))
            .named("page_webhook", "Shows a subscription with its deliveries.")
            .page("webhooks:read")
            .query(&[Param::text("status", "A status of deliveries."), CURSOR, DONE]),
        Route::post("/webhooks/{id}", || web::to(webhook::change))
            .named("page_webhook_change", "Changes a subscription.")
            .page("webhooks:write"),
        Route::post("/webhooks/{id}/{deed}", || web::to(webhook::act))
            .named("page_webhook_act", "Pauses, resumes, tries, recovers or removes it.")
            .page("webhooks:write"),
        Route::get("/webhooks/{id}/deliveries/{delivery}", || web::to(webhook::delivery))
            .named("page_delivery", "Shows one delivery.")
            .page("webhooks:read")
            .query(&[DONE]),
        Route::post("/webhooks/{id}/deliveries/{delivery}/again", || web::to(webhook::again))
            .named("page_delivery_again", "Makes a delivery once more.")
            .page("webhooks:write"),
        Route::get("/activities", || web::to(activities::list))
            .named("page_activities", "Lists what steps can do.")
            .page("workflows:read")
            .query(&[
                Param::text("category", "Only this group."),
                Param::text("used", "`yes` or `no`."),
                Q,
                DONE,
            ]),
        Route::get("/activities/import", || web::to(api_import::show))
            .named("page_api_import", "Asks for an OpenAPI document.")
            .page("workflows:read")
            .query(&[DONE]),
        Route::post("/activities/import", || web::to(api_import::import))
            .named("page_api_import_do", "Shows what a document becomes, or imports it.")
            .page("workflows:write"),
        Route::post("/activities/imports/{name}/delete", || web::to(api_import::remove))
            .named("page_api_import_remove", "Takes the activities of an import back.")
            .page("workflows:write"),
        Route::get("/activities/{id}", || web::to(activities::show))
            .named("page_activity", "Shows an activity.")
            .page("workflows:read"),
        Route::post("/activities/{id}/try", || web::to(activities::trial))
            .named("page_activity_try", "Tries an activity.")
            .page("runs:write"),
        Route::post("/apps", || web::to(app::create))
            .named("page_app_create", "Checks a manifest, or makes an app of it.")
            .page("apps:write"),
        Route::get("/apps/new", || web::to(app::begin))
            .named("page_app_new", "Asks for a manifest.")
            .page("apps:write"),
        Route::get("/apps/{app}", || web::to(app::show))
            .named("page_app", "Shows an app.")
            .page("apps:read")
            .query(&[DONE]),
        Route::post("/apps/{app}/manifest", || web::to(app::change))
            .named("page_app_change", "Tells what another manifest changes, or takes it.")
            .page("apps:write"),
        Route::post("/apps/{app}/install", || web::to(app::install))
            .named("page_app_install", "Installs an app or changes its installation.")
            .page("apps:write"),
        Route::post("/apps/{app}/{deed}", || web::to(app::end))
            .named("page_app_end", "Uninstalls or removes an app.")
            .page("apps:write"),
    ],
    schemas: &[],
    made: &[],
};

//! HTTP: the server, its one table of routes, and what stands around every request.

pub mod api;
pub mod auth;
pub mod beside;
pub mod body;
mod calm;
pub mod cloudevents;
pub mod docs;
pub mod envelope;
pub mod error;
pub mod etag;
pub mod fields;
pub mod gate;
pub mod hooks;
pub mod idempotency;
pub mod json;
pub mod metrics;
pub mod openapi;
pub mod origin;
pub mod query;
pub mod route;
pub mod settings;
pub mod state;
pub mod stream;
pub mod thena;
pub mod ui;

use std::any::Any;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, Server, ServiceRequest};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::net::UnixStream;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App as Actix, HttpServer, web};

use self::auth::Local;
use self::route::{Group, Route, by_path};
use self::settings::Listeners;
use self::state::Front;
use crate::app::App;

/// Everything that the server answers.
pub static GROUPS: &[&Group] = &[
    &api::events::GROUP,
    &api::rejected::GROUP,
    &api::workflows::GROUP,
    &api::runs::GROUP,
    &api::bulk::GROUP,
    &api::approvals::GROUP,
    &api::incidents::GROUP,
    &api::schedules::GROUP,
    &api::activities::GROUP,
    &api::apps::GROUP,
    &api::event_types::GROUP,
    &api::filters::GROUP,
    &api::tickets::GROUP,
    &api::ticket_statuses::GROUP,
    &api::sla_policies::GROUP,
    &api::comments::GROUP,
    &api::accounts::GROUP,
    &api::account_entries::GROUP,
    &api::contacts::GROUP,
    &api::teams::GROUP,
    &api::users::GROUP,
    &api::tags::GROUP,
    &api::tasks::GROUP,
    &api::api_imports::GROUP,
    &api::custom_fields::GROUP,
    &api::custom_objects::GROUP,
    &api::organization::GROUP,
    &api::webhooks::GROUP,
    &api::keys::GROUP,
    &api::people::GROUP,
    &api::profile::GROUP,
    &api::audit::GROUP,
    &api::tenants::GROUP,
    &api::secrets::GROUP,
    &api::destinations::GROUP,
    &api::connections::GROUP,
    &api::forms::GROUP,
    &hooks::GROUP,
    &api::system::GROUP,
    &api::backups::GROUP,
    &thena::GROUP,
    &thena::mcp::GROUP,
    &ui::PAGES,
];

/// Builds the server; it serves until its handle stops it, and leaves signals to the caller.
///
/// # Errors
/// Fails when a listener cannot be used or the control socket cannot be made.
pub fn server(app: Data<App>, front: Data<Front>, listeners: Listeners) -> io::Result<Server> {
    let settings = front.settings.clone();
    let builder = HttpServer::new(move || {
        Actix::new()
            .app_data(app.clone())
            .app_data(front.clone())
            .wrap(from_fn(envelope::wrap))
            .configure(configure(&front.settings.base()))
            .configure(configure_demo(&front))
            .default_service(web::to(envelope::unknown))
    })
    .workers(settings.workers.max(1))
    .max_connections(settings.connections_max)
    .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
    .keep_alive(Duration::from_millis(settings.keep_alive_ms))
    .shutdown_timeout(settings.shutdown_ms.div_ceil(1_000))
    .disable_signals()
    .on_connect(mark_local);
    let builder = match listeners.tcp {
        Some(listener) => builder.listen(listener)?,
        None => builder,
    };
    let builder = match listeners.control {
        Some(path) => builder.listen_uds(control_socket(&path)?)?,
        None => builder,
    };
    Ok(builder.run())
}

/// Registers every route of the table under `base`.
pub fn configure(base: &str) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let base = base.to_owned();
    move |config| register(config, &base, GROUPS)
}

/// Registers what a demo serves beside that; nothing where there is no demo.
pub fn configure_demo(front: &Front) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let (base, demo) = (front.settings.base(), front.demo.clone());
    move |config| {
        if let Some(demo) = demo {
            config.app_data(Data::new(demo));
            register(config, &base, api::demo::GROUPS);
        }
    }
}

fn register(config: &mut ServiceConfig, base: &str, groups: &[&'static Group]) {
    for (path, routes) in by_path(groups) {
        config.service(resource(&format!("{base}{path}"), routes));
    }
}

fn resource(
    path: &str,
    routes: Vec<&'static Route>,
) -> impl actix_web::dev::HttpServiceFactory + use<> {
    let table: Rc<[&'static Route]> = routes.into();
    let resource = table.iter().fold(web::resource(path), |resource, route| {
        resource.route((route.handler)().guard(route.verb.guard()))
    });
    resource.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        let spare = request.request().clone();
        calm::serve(spare, gate::pass(Rc::clone(&table), request, next))
    }))
}

/// Only who may enter the data directory reaches the control socket.
fn mark_local(connection: &dyn Any, data: &mut Extensions) {
    if connection.is::<UnixStream>() {
        data.insert(Local);
    }
}

/// Makes the control socket anew: the data directory is locked, so one that exists is a leftover.
fn control_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // Removed, or never there.
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

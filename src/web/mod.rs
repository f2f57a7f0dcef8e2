//! HTTP: the server, its one table of routes, and what stands around every request.

pub mod api;
pub mod auth;
pub mod beside;
pub mod body;
mod calm;
pub mod cloudevents;
pub mod connection;
pub mod crowd;
pub mod docs;
pub mod envelope;
pub mod error;
pub mod etag;
pub mod fields;
pub mod gate;
pub mod hooks;
pub mod idempotency;
pub mod json;
mod listen;
pub mod metrics;
pub mod multipart;
pub mod openapi;
pub mod origin;
mod pack;
pub mod proof;
pub mod query;
pub mod route;
pub mod settings;
pub mod state;
pub mod stream;
pub mod thena;
pub mod ui;

use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};

pub use self::listen::server;
use self::route::{Group, Route, by_path};
use self::state::Front;

/// Everything that the server answers.
pub static GROUPS: &[&Group] = &[
    &api::events::GROUP,
    &api::rejected::GROUP,
    &api::workflows::GROUP,
    &api::authoring::GROUP,
    &api::runs::GROUP,
    &api::run_lists::GROUP,
    &api::run_insight::GROUP,
    &api::bulk::GROUP,
    &api::dashboard::GROUP,
    &api::approvals::GROUP,
    &api::incidents::GROUP,
    &api::schedules::GROUP,
    &api::activities::GROUP,
    &api::uses::GROUP,
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
    &api::sheets::GROUP,
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
    &api::retention::GROUP,
    &api::storage::GROUP,
    &api::tenants::GROUP,
    &api::moving::GROUP,
    &api::secrets::GROUP,
    &api::destinations::GROUP,
    &api::connections::GROUP,
    &api::forms::GROUP,
    &hooks::GROUP,
    &api::system::GROUP,
    &api::watch::GROUP,
    &api::backups::GROUP,
    &thena::GROUP,
    &thena::mcp::GROUP,
    &ui::PAGES,
    &ui::run_list::PAGES,
    &ui::run_pages::PAGES,
    &ui::rejected::PAGES,
    &ui::authoring::PAGES,
    &ui::admin::GROUP,
    &ui::desk::PAGES,
    &ui::look::GROUP,
];

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

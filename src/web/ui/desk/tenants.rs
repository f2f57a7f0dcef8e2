//! The tenants of the appliance with how much each has, and a form that makes another.

use actix_web::web;
use askama::Template;

use super::filled::Filled;
use super::said::said;
use crate::app::App;
use crate::app::error::Error;
use crate::app::moving::RemovalView;
use crate::app::tenants::TenantDetails;
use crate::domain::doctor::bytes;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::door::refusal;
use crate::web::ui::pages::back;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

/// A tenant as the page shows it.
struct Row {
    href: String,
    view: TenantDetails,
    stored: String,
    created: Moment,
}

/// A tenant that goes.
struct Going {
    view: RemovalView,
    since: Moment,
}

/// The page.
#[derive(Template)]
#[template(path = "tenants.html")]
pub struct TenantsPage {
    shell: Shell,
    said: Option<&'static str>,
    problem: Option<String>,
    rows: Vec<Row>,
    going: Vec<Going>,
    is_owner: bool,
    slug: String,
    name: String,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

/// Makes the page; `going` is told to whoever owns the appliance.
pub fn page(
    shell: Shell,
    list: Vec<TenantDetails>,
    going: Option<Vec<RemovalView>>,
) -> TenantsPage {
    let row = |view: TenantDetails| Row {
        href: shell.url(&format!("/tenants/{}", encoded(&view.view.slug))),
        stored: bytes(view.stored_bytes),
        created: shell.ago(&view.view.created_at),
        view,
    };
    let rows = list.into_iter().map(row).collect();
    let leaves = |view: RemovalView| Going { since: shell.ago(&view.since), view };
    TenantsPage {
        said: None,
        problem: None,
        is_owner: going.is_some(),
        going: going.unwrap_or_default().into_iter().map(leaves).collect(),
        rows,
        slug: String::new(),
        name: String::new(),
        next: None,
        first: None,
        curl: shell.curl("/v1/tenants"),
        shell,
    }
}

fn shown(
    app: &App,
    visit: Visit,
    query: &Query,
) -> Result<TenantsPage, crate::web::error::ApiError> {
    let list = app.tenants(&visit.who, &query.page()?)?;
    let next = query.seal(crate::app::views::Page::<()> {
        data: Vec::new(),
        next_cursor: list.next_cursor.clone(),
    });
    let mut rows = Vec::new();
    for tenant in &list.data {
        match app.tenant_details(&visit.who, &tenant.slug) {
            Ok(details) => rows.push(details),
            Err(Error::NotFound { .. }) => {} // It was removed meanwhile.
            Err(error) => return Err(error.into()),
        }
    }
    let going = match app.owns_appliance(&visit.who)? {
        true => Some(app.removals(&visit.who)?),
        false => None,
    };
    let mut page = page(visit.shell, rows, going);
    let here = page.shell.url("/tenants");
    page.next = next.next_cursor.map(|cursor| format!("{here}?cursor={}", encoded(&cursor)));
    page.first = query.text("cursor").map(|_| here);
    page.said = said(query);
    Ok(page)
}

/// Shows them.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    html(&shown(&app, visit, &query)?)
}

/// Makes one and shows it.
pub async fn create(app: web::Data<App>, visit: Visit, query: Query, form: web::Bytes) -> Answer {
    let form = Filled::read(&form);
    let (slug, name) = (form.text("slug").to_owned(), form.text("name").to_owned());
    let called = if name.is_empty() { &slug } else { &name };
    match app.create_tenant(&visit.who, &slug, called).await {
        Ok(made) => Ok(back(&visit.shell, &format!("/tenants/{}?said=made", encoded(&made.slug)))),
        Err(error) => {
            let Some((status, problem)) = refusal(&error) else { return Err(error.into()) };
            let mut page = shown(&app, visit, &query)?;
            (page.problem, page.slug, page.name) = (Some(problem), slug, name);
            Ok(with_status(status, &page))
        }
    }
}

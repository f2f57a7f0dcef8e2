//! One tenant: what it uses against its quotas, and everything that its owner may do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web;
use askama::Template;

use super::filled::Filled;
use super::said::said;
use crate::app::App;
use crate::app::error::Error;
use crate::app::moving::{Farewell, KeptSecrets};
use crate::app::quotas::{QuotaView, UsageView};
use crate::app::tenants::{Rest, TenantDetails};
use crate::domain::doctor::bytes;
use crate::domain::problem::Problem;
use crate::domain::time::parse_duration;
use crate::web::api::moving::sent;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::pages::back;
use crate::web::ui::parts::mark::capital;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// A quota as the page shows it.
struct Line {
    view: QuotaView,
    label: String,
    limit: String,
    used: String,
    tone: &'static str,
}

/// The page.
#[derive(Template)]
#[template(path = "tenant.html")]
pub struct TenantPage {
    shell: Shell,
    said: Option<&'static str>,
    href: String,
    view: TenantDetails,
    stored: String,
    created: Moment,
    suspended: Option<Moment>,
    lines: Vec<Line>,
    is_owner: bool,
    curl: String,
}

/// Whose tenant it is that a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Of somebody who may look at it alone.
    Guest,
    /// Of whoever owns the appliance.
    Owner,
}

/// Makes the page.
pub fn page(shell: Shell, view: TenantDetails, usage: UsageView, standing: Standing) -> TenantPage {
    let slug = encoded(&view.view.slug);
    TenantPage {
        said: None,
        href: shell.url(&format!("/tenants/{slug}")),
        stored: bytes(view.stored_bytes),
        created: shell.ago(&view.view.created_at),
        suspended: view.view.suspended_at.map(|at| shell.ago(&at)),
        lines: usage.data.into_iter().map(line).collect(),
        is_owner: standing != Standing::Guest,
        curl: shell.curl(&format!("/v1/tenants/{slug}/quotas")),
        view,
        shell,
    }
}

fn line(view: QuotaView) -> Line {
    let amount = |value: u64| if view.unit == "bytes" { bytes(value) } else { value.to_string() };
    let percent = view.percent.unwrap_or(0);
    Line {
        label: capital(&words_of(view.name)),
        limit: view.limit.map_or_else(|| "0".to_owned(), |limit| limit.to_string()),
        used: view.used.map(amount).unwrap_or_default(),
        tone: match percent {
            0..80 => "ok",
            80..100 => "retry",
            _ => "bad", // All of it is used.
        },
        view,
    }
}

/// Writes `eventsPerSecond` as people do: `events per second`.
pub(super) fn words_of(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// Shows it.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    slug: web::Path<String>,
    query: Query,
) -> Answer {
    let view = app.tenant_details(&visit.who, &slug)?;
    let usage = app.tenant_quotas(&visit.who, &slug)?;
    let standing = match app.owns_appliance(&visit.who)? {
        false => Standing::Guest,
        true => Standing::Owner,
    };
    let mut page = page(visit.shell, view, usage, standing);
    page.said = said(&query);
    html(&page)
}

/// Changes it: its name, its quotas, whether it works.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, String)>,
    form: web::Bytes,
) -> Answer {
    let (slug, deed) = path.into_inner();
    let form = Filled::read(&form);
    let word = match deed.as_str() {
        "name" => {
            app.name_tenant(&visit.who, &slug, form.text("name")).await?;
            "named"
        }
        "quotas" => {
            set_quotas(&app, &visit, &slug, &form).await?;
            "quotas"
        }
        "suspend" => {
            app.rest_tenant(&visit.who, &slug, Rest::Suspend).await?;
            "suspended"
        }
        "resume" => {
            app.rest_tenant(&visit.who, &slug, Rest::Resume).await?;
            "resumed"
        }
        "export" => {
            let (text, wish) = (form.optional("passphrase"), form.optional("secrets"));
            let secrets = KeptSecrets::asked_for(text.as_deref(), wish.as_deref())?;
            return Ok(sent(app.export_tenant(&visit.who, &slug, secrets).await?));
        }
        "remove" => {
            let farewell = match form.optional("undo") {
                Some(text) => Farewell::Undo(span(&text)?),
                None => Farewell::Stop,
            };
            app.remove_tenant(&visit.who, &slug, Some(form.text("confirm")), farewell).await?;
            return Ok(back(&visit.shell, "/tenants?said=removing"));
        }
        _ => return Err(Error::NotFound { what: "page", id: deed }.into()),
    };
    Ok(back(&visit.shell, &format!("/tenants/{}?said={word}", encoded(&slug))))
}

fn span(text: &str) -> Result<Duration, Error> {
    parse_duration(text).map_err(|error| {
        Error::Invalid(vec![Problem::new("/undo", "invalid_duration", error.to_string())])
    })
}

/// What is left empty goes back to the settings; what stays as it is shown is not touched.
async fn set_quotas(app: &App, visit: &Visit, slug: &str, form: &Filled) -> Result<(), Error> {
    let present = app.tenant_quotas(&visit.who, slug)?;
    let (mut wanted, mut problems) = (BTreeMap::new(), Vec::new());
    for quota in present.data {
        let Some(typed) = form.given(quota.name) else { continue };
        if typed.is_empty() {
            if quota.own {
                wanted.insert(quota.name.to_owned(), None);
            }
            continue;
        }
        match typed.parse::<u64>() {
            Ok(limit) if limit == quota.limit.unwrap_or(0) => {}
            Ok(limit) => drop(wanted.insert(quota.name.to_owned(), Some(limit))),
            Err(_) => {
                let detail = format!("`{typed}` is no whole number");
                let pointer = format!("/{}", quota.name);
                problems.push(Problem::new(pointer, "invalid_type", detail));
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    app.set_quotas(&visit.who, slug, wanted).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_become_words() {
        assert_eq!(words_of("eventsPerSecond"), "events per second");
        assert_eq!(words_of("keys"), "keys");
    }
}

//! The subscriptions of an app: to the events that it wants, and to the news of its own life.

use serde_json::json;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::webhook_draft::{Checks, WebhookDraft};
use crate::domain::event_type::Pattern;
use crate::domain::manifest::Manifest;
use crate::domain::problem::Problem;
use crate::domain::secret::Secret;
use crate::domain::webhook::Format;
use crate::store::apps::AppRow;
use crate::store::tenant::TenantTx;
use crate::store::webhooks::{Disabled, WebhookRow, place};

/// What an app is told of its own life.
const LIFECYCLE: [&str; 4] = ["app:installed", "app:reinstalled", "app:uninstalled", "app:updated"];

/// What the subscriptions of an app are to be, checked.
pub(super) struct WebhookPlan {
    checks: Checks,
    events_url: Option<String>,
    lifecycle_url: Option<String>,
    types: Vec<String>,
    /// Signs from now on, if nothing does yet.
    secret: Secret,
    by: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Events,
    Lifecycle,
}

impl WebhookPlan {
    /// Checks addresses and types against what there is.
    pub(super) fn of(
        app: &App,
        who: &Principal,
        manifest: &Manifest,
    ) -> Result<WebhookPlan, Error> {
        let checks = app.checks(who)?;
        let own = manifest.publishes.iter().map(|event| event.kind.as_str());
        let known: Vec<&str> = checks.known.iter().map(String::as_str).chain(own).collect();
        let mut problems = Vec::new();
        for (index, text) in manifest.subscribes.iter().enumerate() {
            let at = format!("/events/subscribe/{index}/event");
            problems.extend(Pattern::parse(text, &at, &known).err());
        }
        for (at, url) in
            [("events", &manifest.events_url), ("installations", &manifest.lifecycle_url)]
        {
            let Some(url) = url else { continue };
            let fault = checks.url_problem(url);
            let at = format!("/integration/webhooks/{at}");
            problems.extend(fault.map(|problem| Problem { pointer: at, ..problem }));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        Ok(WebhookPlan {
            events_url: manifest.events_url.clone().filter(|_| !manifest.subscribes.is_empty()),
            lifecycle_url: manifest.lifecycle_url.clone(),
            types: manifest.subscribes.clone(),
            secret: app.new_secret(),
            by: who.id.clone(),
            checks,
        })
    }

    /// Writes the subscriptions, and returns the secret when it is a new one.
    pub(super) fn carry_out(
        &self,
        tx: &mut TenantTx<'_, '_>,
        app: &mut AppRow,
    ) -> Result<Option<String>, Error> {
        let known = self.known_secret(tx, app)?;
        let (secret, is_new) = match known {
            Some(secret) => (secret, false),
            None => (self.secret.clone(), true),
        };
        let lifecycle = self.put(tx, app, Which::Lifecycle, &secret)?;
        let events = self.put(tx, app, Which::Events, &secret)?;
        let has_any = lifecycle.is_some() || events.is_some();
        (app.lifecycle_webhook, app.events_webhook) = (lifecycle, events);
        Ok((is_new && has_any).then(|| secret.expose().to_owned()))
    }

    fn put(
        &self,
        tx: &mut TenantTx<'_, '_>,
        app: &AppRow,
        which: Which,
        secret: &Secret,
    ) -> Result<Option<String>, Error> {
        let (id, url) = match which {
            Which::Events => (&app.events_webhook, &self.events_url),
            Which::Lifecycle => (&app.lifecycle_webhook, &self.lifecycle_url),
        };
        let found = id.as_ref().map(|id| tx.view().webhook(id)).transpose()?.flatten();
        let mut row = match (found, url) {
            (None, None) => return Ok(None),
            (Some(row), _) => row,
            (None, Some(_)) => self.blank(tx, app, which, secret)?,
        };
        row.url = url.clone().unwrap_or_default();
        if which == Which::Events {
            row.types.clone_from(&self.types);
        }
        row.updated_at = tx.now();
        let stops = match url {
            None => Some("the manifest names no address"),
            Some(_) if which == Which::Events && app.installation.is_none() => {
                Some("the app is not installed")
            }
            Some(_) => None,
        };
        switch(tx, &mut row, app, stops);
        Ok(Some(row.id))
    }

    fn blank(
        &self,
        tx: &TenantTx<'_, '_>,
        app: &AppRow,
        which: Which,
        secret: &Secret,
    ) -> Result<WebhookRow, Error> {
        let ms = tx.now().millis().max(0);
        let id = format!("wh_{ms:012x}{:08x}", tx.random() >> 32);
        let mut row = WebhookRow::blank(id, &self.by, tx.now());
        let (types, filter, format, what) = match which {
            Which::Events => (self.types.clone(), None, Format::Thena, "events"),
            Which::Lifecycle => {
                let filter = json!({ "app.id": { "~eq": app.uid } });
                let types = LIFECYCLE.map(str::to_owned).to_vec();
                (types, Some(filter), Format::Installation, "its own life")
            }
        };
        let draft = WebhookDraft {
            description: Some(format!("{}: {what}", app.name)),
            ..WebhookDraft::default()
        };
        self.checks.complete(&mut row, draft, Vec::new())?;
        (row.types, row.filter, row.format) = (types, filter, format);
        row.app = Some(app.uid.clone());
        row.version += 1;
        row.secrets = vec![self.checks.seal_secret(&row, secret)];
        Ok(row)
    }

    /// Returns the secret that an app's webhooks are signed with already.
    fn known_secret(&self, tx: &TenantTx<'_, '_>, app: &AppRow) -> Result<Option<Secret>, Error> {
        for id in app.lifecycle_webhook.iter().chain(&app.events_webhook) {
            let Some(row) = tx.view().webhook(id)? else { continue };
            let Some(newest) = row.secrets.first() else { continue };
            let at = place(tx.tenant(), &row.id, newest.part.version);
            let opened = self.checks.sealer.open(at, &newest.part.sealed);
            return opened.map(Some).map_err(|error| Error::Internal(error.to_string()));
        }
        Ok(None)
    }
}

/// Lets the events subscription of an app follow its installation.
pub(super) fn follow(tx: &mut TenantTx<'_, '_>, app: &AppRow) -> Result<(), Error> {
    let Some(id) = &app.events_webhook else { return Ok(()) };
    let Some(mut row) = tx.view().webhook(id)? else { return Ok(()) };
    let stops = match app.installation {
        None => Some("the app is not installed"),
        Some(_) if row.url.is_empty() => Some("the manifest names no address"),
        Some(_) => None,
    };
    switch(tx, &mut row, app, stops);
    Ok(())
}

fn switch(tx: &mut TenantTx<'_, '_>, row: &mut WebhookRow, app: &AppRow, stops: Option<&str>) {
    if row.format != Format::Installation {
        let teams = app.installation.as_ref().map(|installation| installation.teams.clone());
        row.teams = teams.unwrap_or_default();
    }
    row.enabled = stops.is_none();
    row.disabled = stops.map(|reason| Disabled { at: tx.now(), reason: reason.to_owned() });
    tx.put_webhook(row);
}

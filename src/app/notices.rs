//! Notices of alerts: from memory to mail, Slack or a webhook, also while nothing can be written.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::{debug, info, warn};

use super::App;
use super::alerts::told;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::watch_settings::{NoticeKind, NoticeSettings, SmtpSettings};
use crate::activities::outside::connection::Connection;
use crate::activities::outside::courier::{Parcel, PlainHttp};
use crate::activities::{Activity, OutsideCall};
use crate::domain::alert::{Alert, AlertKind, Turn};
use crate::domain::problem::Problem;
use crate::domain::secret::{Mask, Secret};
use crate::domain::signature::standard_webhooks::sign;
use crate::domain::time::Timestamp;
use crate::engine::USER_AGENT;
use crate::store::access::APPLIANCE;

const MAIL: &str = "communications:send-email-platform";
const SLACK: &str = "slack.postMessage";
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// A notice on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    to: NoticeSettings,
    turn: Turn,
    alert: Alert,
    attempts: u32,
    due: Timestamp,
}

/// Where alerts are told, and how that fares.
#[derive(Clone, Debug, Serialize)]
pub struct NoticeView {
    /// What it is called.
    pub name: String,
    /// How it goes out.
    pub kind: NoticeKind,
    /// Where to.
    pub to: String,
    /// The alerts that it tells; all of them when empty.
    pub alerts: Vec<AlertKind>,
}

/// What came of a test.
#[derive(Clone, Debug, Serialize)]
pub struct NoticeTest {
    /// The destination.
    pub name: String,
    /// Whether the other side took it.
    pub ok: bool,
    /// What it said.
    pub detail: String,
}

impl App {
    /// Returns where alerts are told.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance.
    pub fn notices(&self, who: &Principal) -> Result<Vec<NoticeView>, Error> {
        self.check_owner(who)?;
        Ok(self.all_notices().iter().map(shown).collect())
    }

    /// Sends a notice to each destination, or to the one that is named, at once.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `NotFound` where there is none of that
    /// name.
    pub async fn test_notices(
        &self,
        who: &Principal,
        name: Option<&str>,
    ) -> Result<Vec<NoticeTest>, Error> {
        self.check_owner(who)?;
        let chosen = |it: &NoticeSettings| name.is_none_or(|name| it.name == name);
        let all: Vec<_> = self.all_notices().into_iter().filter(chosen).collect();
        if let (Some(name), true) = (name, all.is_empty()) {
            return Err(Error::NotFound { what: "notice", id: name.to_owned() });
        }
        self.record_change(who, Change::of("notice.test", name.unwrap_or("all"))).await?;
        self.open_ways().await;
        let now = self.now();
        let alert = Alert {
            id: format!("alert_test_{}", now.millis()),
            kind: AlertKind::Test,
            tenant: None,
            subject: String::new(),
            detail: "somebody tries whether notices arrive; nothing is the matter".to_owned(),
            cure: None,
            raised_at: now,
            resolved_at: None,
            told: true,
            told_at: now,
        };
        let mut results = Vec::new();
        for to in all {
            let name = to.name.clone();
            let letter =
                Letter { to, turn: Turn::Raised, alert: alert.clone(), attempts: 0, due: now };
            let outcome = self.deliver_notice(&letter).await;
            let ok = outcome.is_ok();
            let detail = outcome.err().unwrap_or_else(|| "it was taken".to_owned());
            results.push(NoticeTest { name, ok, detail });
        }
        Ok(results)
    }

    pub(super) fn check_owner(&self, who: &Principal) -> Result<(), Error> {
        match self.owns_appliance(who)? {
            true => Ok(()),
            false => Err(Error::Forbidden { scope: "*".to_owned() }),
        }
    }

    fn all_notices(&self) -> Vec<NoticeSettings> {
        let made = self.lookout().made.lock();
        self.lookout().notices.iter().chain(&*made).cloned().collect()
    }

    /// Reads where alerts are told beside what the configuration says; from memory from then on.
    pub(super) fn read_notices(&self) {
        match self.read_of(APPLIANCE, |view| Ok(view.notices_made()?)) {
            Ok(rows) => {
                let made = rows.into_iter().filter_map(|row| serde_json::from_value(row).ok());
                *self.lookout().made.lock() = made.collect();
            }
            Err(error) => warn!("Cannot read where alerts are told: {error}"),
        }
    }

    /// Tells alerts in another place as well, or changes one that was made so. Its secrets are those
    /// of a connection; what the configuration names is not changed here.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `Invalid` for what leads nowhere,
    /// `Conflict` for a name of the configuration.
    pub async fn put_notice(
        &self,
        who: &Principal,
        notice: NoticeSettings,
    ) -> Result<NoticeView, Error> {
        self.check_owner(who)?;
        if self.lookout().notices.iter().any(|it| it.name == notice.name) {
            let detail = format!("`{}` stands in the configuration; change it there", notice.name);
            return Err(Error::Conflict { code: "notice_configured", detail });
        }
        if let Some(fault) = notice.fault() {
            return Err(Error::Invalid(vec![Problem::new("", "incomplete", fault)]));
        }
        if notice.kind == NoticeKind::Webhook {
            let courier = self.engine().activities().courier();
            let plain = match self.engine().settings().webhook_plain_http {
                true => PlainHttp::Everywhere,
                false => PlainHttp::Inner,
            };
            courier.address(&notice.url, plain).map_err(|failure| {
                Error::Invalid(vec![Problem::new("/url", &failure.code, failure.message)])
            })?;
        }
        let row = serde_json::to_value(&notice).unwrap_or_default();
        let (name, view) = (notice.name.clone(), shown(&notice));
        let after = view.clone();
        self.write_access(who, Change::of("notice.put", &notice.name), move |tx, change| {
            tx.put_notice(&name, &row);
            change.after(&after);
            Ok(())
        })
        .await?;
        self.read_notices();
        Ok(view)
    }

    /// Tells alerts in a place no more that was made so.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `NotFound` for another name.
    pub async fn remove_notice(&self, who: &Principal, name: &str) -> Result<(), Error> {
        self.check_owner(who)?;
        if !self.lookout().made.lock().iter().any(|it| it.name == name) {
            return Err(Error::NotFound { what: "notice", id: name.to_owned() });
        }
        let gone = name.to_owned();
        self.write_access(who, Change::of("notice.remove", name), move |tx, _| {
            tx.remove_notice(&gone);
            Ok(())
        })
        .await?;
        self.read_notices();
        Ok(())
    }

    /// Puts a notice for each destination into the outbox; a full one loses the oldest.
    pub(super) fn post_notices(&self, turn: Turn, alert: &Alert) {
        let mut outbox = self.lookout().outbox.lock();
        for to in self.all_notices().into_iter().filter(|to| to.tells_of(alert.kind)) {
            if outbox.len() >= self.lookout().alerts.notices_waiting_max {
                outbox.pop_front();
                self.engine().metrics().notice("given_up");
            }
            let (alert, due) = (alert.clone(), self.now());
            outbox.push_back(Letter { to, turn, alert, attempts: 0, due });
        }
    }

    /// Sends the notices that are due; one that fails is tried again later, so often at most.
    pub async fn send_notices(&self) {
        let settings = &self.lookout().alerts;
        for mut letter in self.due_notices() {
            letter.attempts += 1;
            let (name, kind) = (letter.to.name.clone(), letter.alert.kind.word());
            let Err(fault) = self.deliver_notice(&letter).await else {
                self.engine().metrics().notice("sent");
                info!(notice = name, alert = kind, "Told of an alert");
                continue;
            };
            if letter.attempts >= settings.notice_attempts_max {
                self.engine().metrics().notice("given_up");
                warn!(notice = name, alert = kind, "Gave up telling of an alert: {fault}");
                continue;
            }
            self.engine().metrics().notice("failed");
            debug!(notice = name, alert = kind, "Could not tell of an alert: {fault}");
            let pause = Duration::from_millis(settings.notice_pause_ms);
            let pause = pause.saturating_mul(1 << (letter.attempts - 1).min(16)).min(PAUSE_MAX);
            letter.due = self.now() + pause;
            self.lookout().outbox.lock().push_back(letter);
        }
    }

    fn due_notices(&self) -> Vec<Letter> {
        let now = self.now();
        let mut outbox = self.lookout().outbox.lock();
        let (due, later): (Vec<_>, Vec<_>) = outbox.drain(..).partition(|it| it.due <= now);
        outbox.extend(later);
        due
    }

    /// Opens the connections that notices go over, so that they are at hand when the store is not.
    pub(super) async fn open_ways(&self) {
        for notice in self.all_notices() {
            if notice.connection.is_empty() {
                continue;
            }
            let Ok(tenant) = self.tenant_of_notice(&notice) else { continue };
            let opened = self.engine().connection(tenant, notice.connection.clone()).await;
            if let Ok(Ok(connection)) = opened {
                self.lookout().opened.lock().insert((tenant, notice.connection), connection);
            }
        }
    }

    fn tenant_of_notice(&self, to: &NoticeSettings) -> Result<crate::domain::id::TenantId, Error> {
        if to.tenant.is_empty() {
            return Ok(self.first_tenant()?.id);
        }
        let found = self.open_tenants().into_iter().find(|row| row.slug == to.tenant);
        found.map(|row| row.id).ok_or(Error::NotFound { what: "tenant", id: to.tenant.clone() })
    }

    fn way_of(&self, to: &NoticeSettings) -> Result<Connection, String> {
        if to.connection.is_empty() {
            return mail_server(&to.smtp);
        }
        let tenant = self.tenant_of_notice(to).map_err(|error| error.to_string())?;
        let opened = self.lookout().opened.lock();
        let found = opened.get(&(tenant, to.connection.clone())).cloned();
        found.ok_or_else(|| format!("the connection `{}` cannot be opened", to.connection))
    }

    async fn deliver_notice(&self, letter: &Letter) -> Result<(), String> {
        let timeout = Duration::from_millis(self.lookout().alerts.notice_timeout_ms);
        let (subject, text) = written(letter);
        let (activity, input) = match letter.to.kind {
            NoticeKind::Webhook => return self.deliver_parcel(letter, timeout).await,
            NoticeKind::Mail => {
                let to: Vec<&str> = letter.to.to.split(',').map(str::trim).collect();
                (MAIL, json!({ "to": to, "subject": subject, "text": text }))
            }
            NoticeKind::Slack => {
                let text = format!("*{subject}*\n{text}");
                (SLACK, json!({ "channel": letter.to.channel, "text": text }))
            }
        };
        let connection = self.way_of(&letter.to)?;
        let mask = Mask::new(connection.secrets.values());
        let Some(Activity::Outside(found)) = self.engine().activities().find(activity) else {
            return Err(format!("there is no activity {activity}"));
        };
        let call = OutsideCall {
            input,
            idempotency_key: key_of(letter),
            timeout,
            secrets: Default::default(),
            connection: Some(connection),
            traceparent: None,
        };
        match tokio::time::timeout(timeout, found.call(call)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => Err(mask.text(&failure.message)),
            Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
        }
    }

    async fn deliver_parcel(&self, letter: &Letter, timeout: Duration) -> Result<(), String> {
        let body = json!({
            "type": match letter.turn {
                Turn::Raised => "system:alert-raised",
                Turn::Resolved => "system:alert-resolved",
            },
            "timestamp": self.now(),
            "data": told(&letter.alert),
        });
        let (body, id) = (body.to_string(), key_of(letter));
        let timestamp = (self.now().millis() / 1_000).to_string();
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
            ("webhook-id".to_owned(), id.clone()),
            ("webhook-timestamp".to_owned(), timestamp.clone()),
        ];
        if !letter.to.secret.is_empty() {
            let secret = Secret::new(&letter.to.secret);
            let signature = sign(&secret, &id, &timestamp, body.as_bytes());
            headers.push(("webhook-signature".to_owned(), signature));
        }
        let parcel = Parcel { url: letter.to.url.clone(), headers, body, timeout };
        let answered = self.engine().activities().courier().send(parcel).await;
        let answered = answered.map_err(|failure| failure.message)?;
        match answered.status {
            200..=299 => Ok(()),
            status => Err(format!("the other side answered {status}")),
        }
    }
}

/// The same through every attempt.
fn key_of(letter: &Letter) -> String {
    format!("{}/{}/{}", letter.alert.id, letter.turn.word(), letter.to.name)
}

/// Returns the subject and the text for a person.
fn written(letter: &Letter) -> (String, String) {
    let alert = &letter.alert;
    let place = alert.tenant.as_ref().map_or(String::new(), |slug| format!(" in {slug}"));
    let subject = match letter.turn {
        Turn::Raised => format!("Ergane: {}{place}", alert.kind.word()),
        Turn::Resolved => format!("Ergane: {} is over{place}", alert.kind.word()),
    };
    let mut text = format!("{}\nSince {}.", alert.detail, alert.raised_at);
    if let Some(at) = alert.resolved_at {
        text.push_str(&format!("\nOver at {at}."));
    } else if let Some(cure) = &alert.cure {
        text.push_str(&format!("\nWhat to do: {cure}"));
    }
    (subject, text)
}

fn shown(notice: &NoticeSettings) -> NoticeView {
    let to = match notice.kind {
        NoticeKind::Mail => notice.to.clone(),
        NoticeKind::Slack => notice.channel.clone(),
        // The path is where some keep a token.
        NoticeKind::Webhook => {
            let end = notice.url.match_indices('/').nth(2).map_or(notice.url.len(), |(at, _)| at);
            notice.url[..end].to_owned()
        }
    };
    NoticeView { name: notice.name.clone(), kind: notice.kind, to, alerts: notice.alerts.clone() }
}

/// Returns the mail server of the settings as a connection.
fn mail_server(smtp: &SmtpSettings) -> Result<Connection, String> {
    let mut settings = Map::new();
    let mut put = |name: &str, value: Value| settings.insert(name.to_owned(), value);
    put("host", json!(smtp.host));
    put("from", json!(smtp.from));
    if smtp.port != 0 {
        put("port", json!(smtp.port));
    }
    if !smtp.tls.is_empty() {
        put("tls", json!(smtp.tls));
    }
    let mut secrets = std::collections::BTreeMap::new();
    if !smtp.username.is_empty() {
        let password = match smtp.password_file.is_empty() {
            true => smtp.password.clone(),
            false => read_password(Path::new(&smtp.password_file))?,
        };
        secrets.insert("username".to_owned(), Secret::new(&smtp.username));
        secrets.insert("password".to_owned(), Secret::new(&password));
    }
    Ok(Connection { name: "notices".to_owned(), settings, secrets })
}

fn read_password(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

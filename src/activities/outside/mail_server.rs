//! Hands a mail to a mail server, by the same rules as every call: an inner address is refused
//! unless the settings allow it.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::egress::Egress;
use crate::domain::run::Failure;

/// The port of a mail server that takes mail from programs (RFC 6409).
pub const SMTP_PORT: u16 = 587;
/// The port where encryption begins at once (RFC 8314).
const SMTPS_PORT: u16 = 465;

/// How the way to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// From the first byte.
    AtOnce,
    /// After a greeting; never without.
    StartTls,
    /// Not at all.
    Never,
}

/// A mail server and who asks it.
pub(super) struct MailServer {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
}

impl MailServer {
    /// Reads a connection of the app `smtp`.
    pub(super) fn read(connection: &Connection) -> Result<MailServer, Failure> {
        let wrong = |what: &str| {
            let message = format!("the connection `{}`: {what}", connection.name);
            Failure::terminal("connection_incomplete", message)
        };
        let host = connection.needed_setting("host")?.to_owned();
        let encryption = match connection.setting("tls").unwrap_or("starttls") {
            "starttls" => Encryption::StartTls,
            "tls" => Encryption::AtOnce,
            "none" => Encryption::Never,
            _ => return Err(wrong("`settings.tls` must be `starttls`, `tls` or `none`")),
        };
        let port = match connection.settings.get("port").filter(|port| !port.is_null()) {
            Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()),
            None if encryption == Encryption::AtOnce => Some(SMTPS_PORT),
            None => Some(SMTP_PORT),
        };
        let port = port.ok_or_else(|| wrong("`settings.port` must be a port"))?;
        let credentials = match connection.secrets.get("username") {
            Some(username) => {
                let password = connection.needed_secret("password")?.expose().to_owned();
                Some(Credentials::new(username.expose().to_owned(), password))
            }
            None => None,
        };
        Ok(MailServer { host, port, encryption, credentials })
    }

    fn tls(&self) -> Result<TlsParameters, Failure> {
        TlsParameters::new(self.host.clone())
            .map_err(|error| Failure::terminal("tls_unavailable", sentence(&error)))
    }

    async fn open(&self, egress: &Egress, patience: Duration) -> Result<Open, Failure> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found =
            found.map_err(|error| Failure::retryable("connect_failed", error.to_string()))?;
        let addresses: Vec<SocketAddr> = found.collect();
        for address in &addresses {
            egress.check(&self.host, address.ip())?;
        }
        let hello = ClientId::Domain("ergane".to_owned());
        let at_once = match self.encryption {
            Encryption::AtOnce => Some(self.tls()?),
            Encryption::StartTls | Encryption::Never => None,
        };
        let mut open = AsyncSmtpConnection::connect_tokio1(
            addresses.as_slice(),
            Some(patience),
            &hello,
            at_once,
            None,
        )
        .await
        .map_err(|error| before(&error))?;
        if self.encryption == Encryption::StartTls {
            open.starttls(self.tls()?, &hello).await.map_err(|error| before(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            let asked = open.auth(DEFAULT_MECHANISMS, credentials).await;
            asked.map_err(|error| unauthorized(&error))?;
        }
        Ok(open)
    }
}

type Open = AsyncSmtpConnection;

/// Hands a mail over, and returns what the server said to it.
pub(super) async fn deliver(
    egress: &Egress,
    server: &MailServer,
    message: &Message,
    patience: Duration,
) -> Result<String, Failure> {
    let deadline = Instant::now() + patience;
    let late = |_| Failure::retryable("timeout", "the mail server did not answer in time");
    let opened = timeout_at(deadline, server.open(egress, patience)).await;
    let mut open = opened.map_err(late)??;
    let formatted = message.formatted();
    let sent = timeout_at(deadline, open.send(message.envelope(), &formatted)).await;
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(during(&error)),
        Err(_) => {
            let message = "the mail server did not say in time whether it took the mail";
            return Err(Failure::in_doubt("timeout", message));
        }
    };
    let lines: Vec<&str> = response.message().collect();
    let said = format!("{} {}", response.code(), lines.join(" "));
    // The mail is taken; whether the farewell is answered changes nothing.
    let _ = timeout_at(deadline, open.quit()).await;
    Ok(said.trim().to_owned())
}

/// Returns the failure of what happened before there was anything to take.
fn before(error: &Error) -> Failure {
    if let Some(refused) = refusal(error) {
        return refused;
    }
    if error.is_client() {
        return Failure::terminal("mail_refused", sentence(error));
    }
    Failure::retryable("connect_failed", sentence(error))
}

fn unauthorized(error: &Error) -> Failure {
    match refusal(error) {
        Some(refused) => {
            let mut details = *refused.details.clone();
            details["code"] = json!("unauthorized");
            refused.with_details(details)
        }
        None => before(error),
    }
}

/// Returns the failure of what happened once the mail was on its way.
fn during(error: &Error) -> Failure {
    if let Some(refused) = refusal(error) {
        return refused;
    }
    if error.is_client() {
        return Failure::terminal("mail_refused", sentence(error));
    }
    Failure::in_doubt("connection_lost", sentence(error))
}

/// Returns what the server said itself: a code of 4xx may pass, one of 5xx does not (RFC 5321,
/// section 4.2.1).
fn refusal(error: &Error) -> Option<Failure> {
    let status: Option<String> = error.status().map(|code| code.to_string());
    let details = json!({ "status": status.map_or(Value::Null, Value::String) });
    let failure = match (error.is_permanent(), error.is_transient()) {
        (true, _) => Failure::terminal("mail_refused", sentence(error)),
        (false, true) => Failure::retryable("mail_deferred", sentence(error)),
        (false, false) => return None,
    };
    Some(failure.with_details(details))
}

/// Returns an error with what lies beneath it.
fn sentence(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(beneath) => format!("{error}: {beneath}"),
        None => error.to_string(),
    }
}

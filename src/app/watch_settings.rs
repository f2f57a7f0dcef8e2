//! What an operator may set about alerts, their notices and traces.

use serde::{Deserialize, Serialize};

use crate::domain::alert::AlertKind;
use crate::domain::doctor::Limits;
use crate::domain::secret::{Mask, Secret};

/// The `[alerts]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// How often it is looked whether something is the matter, in milliseconds.
    pub look_every_ms: u64,
    /// How long nobody is told again of what came, went and comes again, in milliseconds.
    pub quiet_ms: u64,
    /// Over how long a time failures and errors are counted, in milliseconds.
    pub window_ms: u64,
    /// How many runs must have ended in that time before their failures count.
    pub failed_runs_min: u64,
    /// Which share of them must have failed, in percent.
    pub failed_percent: u64,
    /// How many errors in the log in that time are a burst.
    pub errors_max: u64,
    /// How many destinations of one tenant may be left alone.
    pub open_circuits_max: usize,
    /// The least free share of the disk, in percent.
    pub disk_free_percent_min: u32,
    /// The least time until the disk is full, in days.
    pub disk_days_min: u32,
    /// The least time until a certificate ends, in days.
    pub certificate_days_min: u32,
    /// The greatest age of the newest backup, in hours.
    pub backup_hours_max: u32,
    /// How many alerts that went are remembered.
    pub kept_max: usize,
    /// How many notices may wait to be sent.
    pub notices_waiting_max: usize,
    /// How often a notice is tried.
    pub notice_attempts_max: u32,
    /// The pause after the first attempt, in milliseconds; it doubles.
    pub notice_pause_ms: u64,
    /// How long an attempt may take, in milliseconds.
    pub notice_timeout_ms: u64,
}

impl Default for AlertSettings {
    fn default() -> AlertSettings {
        AlertSettings {
            look_every_ms: 15_000,
            quiet_ms: 3_600_000,
            window_ms: 900_000,
            failed_runs_min: 20,
            failed_percent: 50,
            errors_max: 20,
            open_circuits_max: 3,
            disk_free_percent_min: 10,
            disk_days_min: 7,
            certificate_days_min: 14,
            backup_hours_max: 36,
            kept_max: 500,
            notices_waiting_max: 1_000,
            notice_attempts_max: 6,
            notice_pause_ms: 5_000,
            notice_timeout_ms: 15_000,
        }
    }
}

impl AlertSettings {
    /// Returns from when on figures are worth a word.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            disk_free_percent_min: self.disk_free_percent_min,
            disk_days_min: self.disk_days_min,
            certificate_days_min: self.certificate_days_min,
            backup_hours_max: self.backup_hours_max,
        }
    }
}

/// How a notice goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// As a mail.
    Mail,
    /// As a message in Slack.
    Slack,
    /// As a signed HTTP request.
    #[default]
    Webhook,
}

/// One entry of `[[notices]]`: where alerts are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticeSettings {
    /// What it is called.
    pub name: String,
    /// How it goes out.
    pub kind: NoticeKind,
    /// The mail addresses, with commas.
    pub to: String,
    /// The channel in Slack.
    pub channel: String,
    /// The address of a webhook.
    pub url: String,
    /// What a webhook is signed with, by Standard Webhooks; empty for no signature.
    pub secret: String,
    /// The tenant of the connection.
    pub tenant: String,
    /// The connection that mail or Slack goes over.
    pub connection: String,
    /// The mail server, where no connection is named.
    pub smtp: SmtpSettings,
    /// The words of the alerts that it tells; all of them when empty.
    pub alerts: Vec<AlertKind>,
}

/// A mail server for notices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its host; empty for none.
    pub host: String,
    /// Its port; 0 for the usual one.
    pub port: u16,
    /// `starttls`, `tls` or `none`; `starttls` when empty.
    pub tls: String,
    /// Who the mail comes from.
    pub from: String,
    /// Who asks; empty for nobody.
    pub username: String,
    /// The password.
    pub password: String,
    /// The file that holds the password.
    pub password_file: String,
}

impl NoticeSettings {
    /// Returns why it cannot be used, or `None` when it can.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.name.is_empty() {
            return Some("has no `name`");
        }
        let has_connection = !self.connection.is_empty();
        match self.kind {
            NoticeKind::Webhook if self.url.is_empty() => Some("has no `url`"),
            NoticeKind::Mail if self.to.is_empty() => Some("has no `to`"),
            NoticeKind::Mail if !has_connection && self.smtp.host.is_empty() => {
                Some("has neither a `connection` nor a host under `smtp`")
            }
            NoticeKind::Mail if !has_connection && self.smtp.from.is_empty() => {
                Some("has no `from` under `smtp`")
            }
            NoticeKind::Slack if self.channel.is_empty() => Some("has no `channel`"),
            NoticeKind::Slack if !has_connection => Some("has no `connection`"),
            NoticeKind::Mail | NoticeKind::Slack | NoticeKind::Webhook => None,
        }
    }

    /// Returns whether it tells of this kind of alert.
    #[must_use]
    pub fn tells_of(&self, kind: AlertKind) -> bool {
        self.alerts.is_empty() || kind == AlertKind::Test || self.alerts.contains(&kind)
    }

    /// Returns what must be seen nowhere.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let all = [&self.secret, &self.smtp.password];
        all.into_iter().filter(|text| !text.is_empty()).map(Secret::new).collect()
    }
}

/// The `[telemetry]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Where spans go, such as `http://127.0.0.1:4318/v1/traces`; empty for nowhere.
    pub otlp_endpoint: String,
    /// Headers of every request, such as `authorization=Bearer x`, with commas between them.
    pub headers: String,
    /// Which share of the runs that nobody outside has traced is, in percent.
    pub sample_percent: u32,
    /// What the appliance calls itself.
    pub service_name: String,
    /// How many spans go in one request.
    pub batch_spans_max: usize,
    /// How long spans are gathered for one request, in milliseconds.
    pub batch_ms: u64,
    /// How many runs may wait to be told of before further ones are dropped.
    pub queue_runs_max: usize,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: u64,
    /// Of how long before a start runs are told of again, in milliseconds: a crash may have kept
    /// the process from it. Their spans are the same ones.
    pub resend_ms: u64,
}

impl Default for TelemetrySettings {
    fn default() -> TelemetrySettings {
        TelemetrySettings {
            otlp_endpoint: String::new(),
            headers: String::new(),
            sample_percent: 100,
            service_name: "ergane".to_owned(),
            batch_spans_max: 512,
            batch_ms: 1_000,
            queue_runs_max: 10_000,
            timeout_ms: 10_000,
            resend_ms: 60_000,
        }
    }
}

impl TelemetrySettings {
    /// Returns the headers by name.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.split(',').filter_map(|pair| pair.split_once('='));
        all.map(|(name, value)| (name.trim(), value.trim()))
    }

    /// Returns what takes the headers' values out of a text.
    #[must_use]
    pub fn mask(&self) -> Mask {
        let secrets: Vec<Secret> =
            self.header_pairs().map(|(_, value)| Secret::new(value)).collect();
        Mask::new(&secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_that_leads_nowhere_is_refused_with_what_is_missing() {
        for (text, fault) in [
            ("kind = 'webhook'\nurl = 'https://x'", "`name`"),
            ("name = 'a'\nkind = 'webhook'", "`url`"),
            ("name = 'a'\nkind = 'mail'", "`to`"),
            ("name = 'a'\nkind = 'mail'\nto = 'a@b.c'", "`connection`"),
            ("name = 'a'\nkind = 'mail'\nto = 'a@b.c'\nsmtp.host = 'mx'", "`from`"),
            ("name = 'a'\nkind = 'slack'\nconnection = 'c'", "`channel`"),
            ("name = 'a'\nkind = 'slack'\nchannel = 'c'", "`connection`"),
        ] {
            let notice: NoticeSettings = toml::from_str(text).expect("known keys");
            let told = notice.fault().expect(text);
            assert!(told.contains(fault), "{text}: {told}");
        }
        let fine = "name = 'a'\nurl = 'https://x'\nalerts = ['disk-low']";
        let notice: NoticeSettings = toml::from_str(fine).expect("known keys");
        assert_eq!(notice.fault(), None);
        assert!(notice.tells_of(AlertKind::DiskLow) && !notice.tells_of(AlertKind::ErrorsBurst));
        assert!(notice.tells_of(AlertKind::Test), "a test is told everywhere");
    }

    #[test]
    fn headers_are_read_from_one_text_and_masked() {
        let headers = "authorization=Bearer abc-def-123-456, x-team=ops".to_owned();
        let settings = TelemetrySettings { headers, ..TelemetrySettings::default() };
        let pairs: Vec<_> = settings.header_pairs().collect();
        assert_eq!(pairs, [("authorization", "Bearer abc-def-123-456"), ("x-team", "ops")]);
        assert!(!settings.mask().text("said Bearer abc-def-123-456").contains("abc-def"));
    }
}

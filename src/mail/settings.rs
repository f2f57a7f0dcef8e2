//! What an operator may set about mail that comes in, each limit with its unit in its name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tls::{TlsError, TlsFiles};

/// The `[mail]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailSettings {
    /// The address and port for SMTP; empty for no mail.
    pub listen: String,
    /// Our domain: mail to `<anything>@<tenant>.<domain>` and `<tenant>+<anything>@<domain>` is
    /// taken.
    pub domain: String,
    /// The tenant that takes all other mail to our domain, or all mail without one.
    pub tenant: String,
    /// The certificate and its chain, as PEM; empty for that of the address.
    pub tls_certificate_file: String,
    /// The private key of the certificate, as PEM.
    pub tls_key_file: String,
    /// Whether mail is taken over TLS alone.
    pub require_tls: bool,
    /// The largest message, in bytes.
    pub message_bytes_max: usize,
    /// How many bytes of a message's text, and of its HTML, its event keeps.
    pub text_bytes_max: usize,
    /// The most recipients of one message.
    pub recipients_max: usize,
    /// The most conversations at once.
    pub connections_max: usize,
    /// The most commands of one conversation that are not understood or refused.
    pub errors_max: usize,
    /// How long a sender may take for one command, in milliseconds.
    pub command_timeout_ms: u64,
    /// How long a sender may take for a message, in milliseconds.
    pub data_timeout_ms: u64,
    /// How long the door rests after a connection could not be accepted, in milliseconds.
    pub accept_pause_ms: u64,
}

impl Default for MailSettings {
    fn default() -> MailSettings {
        MailSettings {
            listen: String::new(),
            domain: String::new(),
            tenant: String::new(),
            tls_certificate_file: String::new(),
            tls_key_file: String::new(),
            require_tls: false,
            message_bytes_max: 10 << 20,
            text_bytes_max: 64 << 10,
            recipients_max: 50,
            connections_max: 100,
            errors_max: 10,
            command_timeout_ms: 60_000,
            data_timeout_ms: 180_000,
            accept_pause_ms: 100,
        }
    }
}

impl MailSettings {
    /// Returns whether mail is taken at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty()
    }

    /// Returns the files of the certificate; none for that of the address.
    ///
    /// # Errors
    /// Names the setting that is missing beside the other.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, TlsError> {
        let names = ["mail.tls_certificate_file", "mail.tls_key_file"];
        TlsFiles::of(names, &self.tls_certificate_file, &self.tls_key_file)
    }

    /// Returns why mail could reach nobody, if so.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let reaches_nobody = self.domain.is_empty() && self.tenant.is_empty();
        (self.is_on() && reaches_nobody)
            .then_some("`mail.listen` is set; set `mail.domain` or `mail.tenant` too")
    }

    pub(super) fn command_timeout(&self) -> Duration {
        Duration::from_millis(self.command_timeout_ms)
    }

    pub(super) fn data_timeout(&self) -> Duration {
        Duration::from_millis(self.data_timeout_ms)
    }

    pub(super) fn accept_pause(&self) -> Duration {
        Duration::from_millis(self.accept_pause_ms)
    }
}

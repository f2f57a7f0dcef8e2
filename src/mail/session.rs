//! One conversation with a sender, from the greeting to the farewell.

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::app::App;
use crate::app::error::Error;
use crate::app::mail::Recipient;
use crate::domain::mail::{Addressing, Mail};

use super::Manner;
use super::carrier::Carrier;
use super::command::Command;
use super::lines::{self, Body, Line};
use super::settings::MailSettings;

/// One conversation.
pub(super) struct Session {
    app: App,
    settings: Rc<MailSettings>,
    tls: Option<TlsAcceptor>,
    stream: BufReader<Carrier>,
    state: State,
    errors: usize,
}

/// How far the present mail has come.
enum State {
    Greeting,
    Ready,
    /// A sender was named; recipients are gathered.
    Mail(Vec<Recipient>),
}

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    Over,
}

impl Session {
    pub(super) fn new(app: App, manner: Manner, stream: TcpStream) -> Session {
        let Manner { settings, tls } = manner;
        let stream = BufReader::new(Carrier::Plain(stream));
        Session { app, settings, tls, stream, state: State::Greeting, errors: 0 }
    }

    /// Says that there is no room now.
    pub(super) async fn turn_away(mut self) {
        // Whether the sender still hears it changes nothing.
        let _ = self.say("421 too many connections, try again later").await;
    }

    /// Converses until the sender leaves, is too slow or makes too many mistakes.
    pub(super) async fn converse(mut self) {
        if let Err(error) = self.talk().await {
            debug!("A conversation over mail broke off: {error}");
        }
    }

    async fn talk(&mut self) -> io::Result<()> {
        self.say(&format!("220 {} ESMTP Ergane", self.name())).await?;
        loop {
            let limit = self.settings.command_timeout();
            let next = match timeout(limit, lines::command(&mut self.stream)).await {
                Err(_) => {
                    self.say("421 too slow, closing").await?;
                    Next::Over
                }
                Ok(line) => match line? {
                    Line::Closed => Next::Over,
                    Line::TooLong(_) => self.mistake("500 the line is too long").await?,
                    Line::Whole(line) => self.answer(Command::read(&line)).await?,
                },
            };
            if next == Next::Over {
                return Ok(());
            }
        }
    }

    async fn answer(&mut self, command: Command) -> io::Result<Next> {
        match command {
            Command::Ehlo => {
                self.state = State::Ready;
                let size = self.settings.message_bytes_max;
                let able = format!("250-{}\r\n250-8BITMIME\r\n250-SIZE {size}", self.name());
                let able = if self.offers_tls() { format!("{able}\r\n250-STARTTLS") } else { able };
                self.say(&format!("{able}\r\n250 PIPELINING")).await
            }
            Command::Helo => {
                self.state = State::Ready;
                self.say(&format!("250 {}", self.name())).await
            }
            Command::StartTls => self.start_tls().await,
            Command::Mail { size } => self.begin(size).await,
            Command::Rcpt(address) => self.recipient(address).await,
            Command::Data => self.data().await,
            Command::Rset => {
                if !matches!(self.state, State::Greeting) {
                    self.state = State::Ready;
                }
                self.say("250 forgotten").await
            }
            Command::Noop => self.say("250 here").await,
            Command::Vrfy => self.say("252 send it, and see").await,
            Command::Quit => {
                self.say("221 goodbye").await?;
                Ok(Next::Over)
            }
            Command::Malformed(form) => self.mistake(&format!("501 say {form}")).await,
            Command::Unknown => self.mistake("500 not understood").await,
        }
    }

    fn offers_tls(&self) -> bool {
        self.tls.is_some() && !self.stream.get_ref().is_encrypted()
    }

    /// Goes on over TLS as if the conversation had just begun (RFC 3207, section 4.2).
    async fn start_tls(&mut self) -> io::Result<Next> {
        let Some(acceptor) = self.tls.clone().filter(|_| self.offers_tls()) else {
            return self.mistake("502 TLS is not offered here").await;
        };
        // What somebody between the two put behind the command in the clear would otherwise be
        // taken for what the sender says under encryption.
        if !self.stream.buffer().is_empty() {
            self.say("554 nothing may follow STARTTLS, closing").await?;
            return Ok(Next::Over);
        }
        self.say("220 go on, under TLS").await?;
        let shaken = self.stream.get_mut().encrypt(&acceptor);
        timeout(self.settings.command_timeout(), shaken).await??;
        self.state = State::Greeting;
        Ok(Next::On)
    }

    async fn begin(&mut self, size: u64) -> io::Result<Next> {
        match &self.state {
            State::Greeting => return self.mistake("503 say EHLO first").await,
            State::Mail(_) => return self.mistake("503 a mail was begun already").await,
            State::Ready => {}
        }
        if self.settings.require_tls && !self.stream.get_ref().is_encrypted() {
            return self.mistake("530 say STARTTLS first").await;
        }
        if size > self.settings.message_bytes_max as u64 {
            return self.mistake("552 it is too large").await;
        }
        self.state = State::Mail(Vec::new());
        self.say("250 from you, fine").await
    }

    async fn recipient(&mut self, address: String) -> io::Result<Next> {
        let State::Mail(recipients) = &self.state else {
            return self.mistake("503 say MAIL first").await;
        };
        let known: usize = recipients.iter().map(|recipient| recipient.addresses.len()).sum();
        if known >= self.settings.recipients_max {
            return self.mistake("452 too many recipients").await;
        }
        let addressing =
            Addressing { domain: &self.settings.domain, tenant: &self.settings.tenant };
        let tenant = match addressing.tenant_of(&address) {
            Some(slug) => self.app.tenant_by_slug(&slug),
            None => Ok(None),
        };
        let tenant = match tenant {
            Ok(Some(tenant)) => tenant,
            // The same words for a domain that is not ours and for a tenant that is none.
            Ok(None) => return self.mistake("550 nobody takes mail at this address").await,
            Err(error) => {
                warn!("Could not look a recipient up: {error}");
                return self.say("451 not now, try again later").await;
            }
        };
        if let State::Mail(recipients) = &mut self.state {
            match recipients.iter_mut().find(|recipient| recipient.tenant == tenant) {
                Some(recipient) => recipient.addresses.push(address),
                None => recipients.push(Recipient { tenant, addresses: vec![address] }),
            }
        }
        self.say("250 to them, fine").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        let recipients = match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(recipients) if !recipients.is_empty() => recipients,
            before => {
                self.state = before;
                return self.mistake("503 say MAIL and RCPT first").await;
            }
        };
        self.say("354 go on, end with a dot alone").await?;
        let bytes_max = self.settings.message_bytes_max;
        let limit = self.settings.data_timeout();
        let body = match timeout(limit, lines::body(&mut self.stream, bytes_max)).await {
            Ok(body) => body?,
            Err(_) => {
                self.say("421 too slow, closing").await?;
                return Ok(Next::Over);
            }
        };
        match body {
            Body::Closed => Ok(Next::Over),
            Body::TooLarge => self.mistake("552 it is too large").await,
            Body::Whole(raw) => {
                let reply = self.take(&raw, &recipients).await;
                self.say(reply).await
            }
        }
    }

    /// Accepts a mail; only what is durable is answered for.
    async fn take(&self, raw: &[u8], recipients: &[Recipient]) -> &'static str {
        let mail = Mail::read(raw, self.settings.text_bytes_max);
        match self.app.accept_mail(&mail, recipients).await {
            Ok(()) => "250 taken",
            Err(Error::Invalid(problems)) => {
                warn!("Refused a mail that breaks the schema of its event: {problems:?}");
                "554 it does not fit here"
            }
            Err(error) => {
                warn!("Could not take a mail, which will be sent again: {error}");
                "451 not now, try again later"
            }
        }
    }

    async fn mistake(&mut self, reply: &str) -> io::Result<Next> {
        self.errors += 1;
        if self.errors > self.settings.errors_max {
            self.say("421 too many mistakes, closing").await?;
            return Ok(Next::Over);
        }
        self.say(reply).await
    }

    async fn say(&mut self, reply: &str) -> io::Result<Next> {
        let stream = self.stream.get_mut();
        let line = format!("{reply}\r\n");
        let spoken = async {
            stream.write_all(line.as_bytes()).await?;
            stream.flush().await
        };
        match timeout(self.settings.command_timeout(), spoken).await {
            Ok(written) => written.map(|()| Next::On),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn name(&self) -> &str {
        if self.settings.domain.is_empty() { "ergane" } else { &self.settings.domain }
    }
}

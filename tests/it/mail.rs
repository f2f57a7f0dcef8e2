//! Mail that comes in over SMTP: taken for its tenant, once, and only when it is durable.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use ergane::config::Config;

use crate::certificates::Authority;
use crate::support::{TestApp, config_in, send};

struct Sender(BufReader<TcpStream>);

impl Sender {
    async fn connect(address: std::net::SocketAddr) -> Sender {
        let mut sender = Sender(BufReader::new(TcpStream::connect(address).await.expect("a door")));
        assert!(sender.hear().await.starts_with("220 "));
        sender
    }

    /// Returns the last line of a reply.
    async fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("a reply");
            if line.is_empty() || line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.expect("it is sent");
        self.hear().await
    }

    async fn insist(&mut self, line: &str, code: &str) {
        let reply = self.say(line).await;
        assert!(reply.starts_with(code), "{line} was answered {reply}");
    }

    async fn mail(&mut self, recipients: &[&str], text: &str) -> String {
        self.insist("MAIL FROM:<kim@wedding.example>", "250").await;
        for recipient in recipients {
            self.insist(&format!("RCPT TO:<{recipient}>"), "250").await;
        }
        self.insist("DATA", "354").await;
        self.say(&format!("{text}\r\n.")).await
    }
}

fn with_mail(change: impl FnOnce(&mut Config), test: impl AsyncFnOnce(TestApp, Sender)) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config_in(directory.path());
    config.mail.listen = "127.0.0.1:0".to_owned();
    config.mail.domain = "mail.test".to_owned();
    change(&mut config);
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        let address = serving.mail_address.expect("it takes mail");
        let mut sender = Sender::connect(address).await;
        sender.insist("EHLO mx.wedding.example", "250").await;
        test(app, sender).await;
        serving.stop().await;
    });
}

fn text(id: &str) -> String {
    format!(
        "From: Kim <kim@wedding.example>\r\nTo: help@default.mail.test\r\nSubject: Help\r\n\
         Message-ID: <{id}@wedding.example>\r\n\r\nNobody can log in.\r\n..and a dot"
    )
}

async fn received(app: &TestApp) -> Vec<Value> {
    let list = app.get("/v1/events?type=email:received").await.expect(200);
    list["data"].as_array().expect("a list").clone()
}

#[test]
fn a_mail_is_an_event_of_its_tenant_once() {
    with_mail(
        |_| (),
        async |app, mut sender| {
            app.post("/v1/tenants", json!({"slug": "acme"})).await.expect(201);
            let both = ["help@default.mail.test", "default+sales@mail.test", "x@acme.mail.test"];
            assert_eq!(sender.mail(&both, &text("1")).await, "250 taken");
            assert_eq!(sender.mail(&both, &text("1")).await, "250 taken");
            let mails = received(&app).await;
            assert_eq!(mails.len(), 1);
            assert_eq!(mails[0]["id"], "1@wedding.example");
            let payload = &mails[0]["payload"];
            assert_eq!(payload["from"], "kim@wedding.example");
            assert_eq!(payload["subject"], "Help");
            assert_eq!(payload["recipients"], json!(both[..2]));
            assert_eq!(
                payload["text"].as_str().map(str::trim),
                Some("Nobody can log in.\r\n.and a dot")
            );
            let request = app.request(reqwest::Method::GET, "/v1/events?type=email:received");
            let theirs = send(request.header("x-tenant", "acme")).await.expect(200);
            assert_eq!(theirs["data"][0]["payload"]["recipients"], json!(["x@acme.mail.test"]));
            sender.insist("QUIT", "221").await;
        },
    );
}

#[test]
fn nothing_is_relayed_and_nobody_is_told_who_is_there() {
    with_mail(
        |_| (),
        async |app, mut sender| {
            sender.insist("RCPT TO:<help@default.mail.test>", "503").await;
            sender.insist("DATA", "503").await;
            sender.insist("MAIL FROM:<kim@wedding.example>", "250").await;
            let stranger = sender.say("RCPT TO:<kim@other.test>").await;
            let nobody = sender.say("RCPT TO:<help@none.mail.test>").await;
            assert!(stranger.starts_with("550") && stranger == nobody, "{stranger} {nobody}");
            sender.insist("DATA", "503").await;
            sender.insist("RSET", "250").await;
            sender.insist("VRFY root", "252").await;
            sender.insist("STARTTLS", "502").await;
            assert!(received(&app).await.is_empty());
        },
    );
}

#[test]
fn limits_are_kept_and_the_conversation_goes_on() {
    let limits = |config: &mut Config| {
        config.mail.message_bytes_max = 2_000;
        config.mail.recipients_max = 1;
        config.mail.errors_max = 5;
        config.mail.connections_max = 1;
    };
    with_mail(limits, async |app, mut sender| {
        sender.insist("MAIL FROM:<kim@wedding.example> SIZE=2001", "552").await;
        let help = ["help@default.mail.test"];
        let large = format!("Subject: x\r\n\r\n{}\r\n", "y".repeat(10_000));
        assert!(sender.mail(&help, &large).await.starts_with("552"));
        sender.insist("MAIL FROM:<>", "250").await;
        sender.insist("RCPT TO:<help@default.mail.test>", "250").await;
        sender.insist("RCPT TO:<more@default.mail.test>", "452").await;
        sender.insist("RSET", "250").await;
        assert_eq!(sender.mail(&help, &text("2")).await, "250 taken");
        assert_eq!(received(&app).await.len(), 1);
        sender.insist(&"x".repeat(5_000), "500").await;
        sender.insist("FOO", "500").await;
        sender.insist("FOO", "421").await;
    });
}

#[test]
fn several_commands_may_come_at_once() {
    with_mail(
        |_| (),
        async |app, mut sender| {
            let mail = "MAIL FROM:<k@wedding.example>\r\nRCPT TO:<a@default.mail.test>\r\nDATA\r\n";
            sender.0.get_mut().write_all(mail.as_bytes()).await.expect("it is sent");
            for code in ["250", "250", "354"] {
                assert!(sender.hear().await.starts_with(code));
            }
            // A lone line feed ends nothing: what follows it belongs to the same mail.
            let body = "Subject: one\r\n\r\na\n.\nMAIL FROM:<evil@x.test>\r\n.\r\nNOOP";
            assert_eq!(sender.say(body).await, "250 taken");
            assert!(sender.hear().await.starts_with("250"));
            assert_eq!(received(&app).await.len(), 1);
        },
    );
}

#[test]
fn mail_without_an_address_to_reach_is_refused_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config_in(directory.path());
    config.mail.listen = "127.0.0.1:0".to_owned();
    actix::System::new().block_on(async {
        use ergane::boot::doors::{Doors, Serving};
        let refusal = match Serving::open(&config, Doors::All).await {
            Ok(_) => panic!("it started"),
            Err(error) => format!("{error:#}"),
        };
        assert!(refusal.contains("set `mail.domain` or `mail.tenant`"), "{refusal}");
    });
}

fn encrypted(authority: &Authority) -> tokio_rustls::TlsConnector {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let pem = std::fs::read(authority.file()).expect("it was made");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a root");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(client))
}

fn with_certificate(authority: &Authority) -> impl FnOnce(&mut Config) + use<> {
    let pair = authority.pair("mx", 36_500);
    move |config| {
        config.mail.tls_certificate_file = pair.certificate.to_str().expect("plain").to_owned();
        config.mail.tls_key_file = pair.key.to_str().expect("plain").to_owned();
        config.mail.require_tls = true;
    }
}

#[test]
fn mail_is_taken_over_tls_and_where_that_is_asked_for_not_without() {
    let authority = Authority::new();
    with_mail(with_certificate(&authority), async |app, mut sender| {
        sender.insist("MAIL FROM:<kim@wedding.example>", "530").await;
        sender.insist("STARTTLS", "220").await;
        let name = "localhost".try_into().expect("a name");
        let stream = encrypted(&authority).connect(name, sender.0.into_inner()).await;
        let mut stream = BufReader::new(stream.expect("they shake hands"));
        let mut said = String::new();
        let sent = "MAIL FROM:<kim@wedding.example>\r\nEHLO mx.wedding.example\r\nSTARTTLS\r\n\
                    MAIL FROM:<kim@wedding.example>\r\nRCPT TO:<help@default.mail.test>\r\n\
                    DATA\r\n";
        stream.get_mut().write_all(sent.as_bytes()).await.expect("it is sent");
        let body = format!("{}\r\n.\r\nQUIT\r\n", text("1"));
        stream.get_mut().write_all(body.as_bytes()).await.expect("it is sent");
        while !said.contains("221 ") {
            assert_ne!(stream.read_line(&mut said).await.expect("a reply"), 0, "{said}");
        }
        let codes: Vec<_> = said.lines().map(|line| line.get(..3).unwrap_or_default()).collect();
        // What was known before is forgotten, and TLS is not offered within TLS.
        let expected =
            ["503", "250", "250", "250", "250", "502", "250", "250", "354", "250", "221"];
        assert_eq!(codes, expected, "{said}");
        assert!(!said.contains("STARTTLS"), "{said}");
        assert_eq!(received(&app).await.len(), 1);
    });
}

#[test]
fn what_was_sent_before_the_handshake_is_never_done_after_it() {
    let authority = Authority::new();
    with_mail(with_certificate(&authority), async |app, mut sender| {
        let injected = "STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@x.test>\r\n\
                        RCPT TO:<help@default.mail.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n";
        sender.0.get_mut().write_all(injected.as_bytes()).await.expect("it is sent");
        let mut said = String::new();
        // A reset ends it as well as a farewell does.
        while sender.0.read_line(&mut said).await.is_ok_and(|read| read > 0) {}
        assert!(said.starts_with("554 ") && said.lines().count() == 1, "{said}");
        assert!(received(&app).await.is_empty());
    });
}

//! TLS at the address: spoken by itself, exchanged while requests run, refused when it cannot work.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ergane::boot::doors::{Doors, Serving};
use ergane::config::Config;
use reqwest::{Client, Version};
use serde_json::Value;

use crate::certificates::{Authority, Pair, replace};
use crate::process::{Process, run, serve, signal};
use crate::support::{KEY, config_in};

fn with_tls(change: impl FnOnce(&mut Config), test: impl AsyncFnOnce(&Authority, Client, String)) {
    let authority = Authority::new();
    let pair = authority.pair("server", 36_500);
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config_in(directory.path());
    use_pair(&mut config, &pair);
    change(&mut config);
    actix::System::new().block_on(async {
        let serving = Serving::open(&config, Doors::All).await.expect("it opens");
        assert_eq!(serving.scheme, "https");
        let base = format!("https://{}", serving.address.expect("an address"));
        test(&authority, authority.client(), base).await;
        serving.stop().await;
    });
}

fn use_pair(config: &mut Config, pair: &Pair) {
    config.http.tls_certificate_file = pair.certificate.to_str().expect("a plain path").to_owned();
    config.http.tls_key_file = pair.key.to_str().expect("a plain path").to_owned();
}

#[test]
fn everything_is_spoken_over_tls_and_browsers_are_told_to_stay_there() {
    with_tls(
        |_| (),
        async |_, client, base| {
            let answer = client.get(format!("{base}/healthz")).send().await.expect("an answer");
            assert_eq!(answer.version(), Version::HTTP_11);
            let header = |name: &str| answer.headers().get(name)?.to_str().ok();
            assert_eq!(header("strict-transport-security"), Some("max-age=31536000"));
            let form = client
                .post(format!("{base}/sign-in"))
                .header("origin", &base)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("key={KEY}"));
            let entered = form.send().await.expect("an answer");
            assert_eq!(entered.status(), 303);
            let cookie = entered.headers()["set-cookie"].to_str().expect("text").to_owned();
            assert!(cookie.starts_with("__Host-ergane_session="), "{cookie}");
            assert!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
            let page = client.get(&base).header("cookie", cookie.split(';').next().expect("one"));
            let page = page.send().await.expect("an answer").text().await.expect("a page");
            assert!(page.contains("Dashboard") && !page.contains("http://127"), "{page}");
            let plain = client.get(base.replace("https", "http")).send().await;
            assert!(plain.is_err(), "nothing is answered in the clear");
            let metrics = client.get(format!("{base}/metrics")).send().await.expect("an answer");
            let metrics = metrics.text().await.expect("text");
            let ends = certificate_ends(&metrics);
            // A hundred years from 2026 on are over after the 4th of November 2126.
            assert!(ends > 4_949_000_000, "{ends}");
        },
    );
}

fn certificate_ends(metrics: &str) -> u64 {
    let line = "ergane_tls_certificate_expires_seconds{door=\"http\"} ";
    let value = metrics.lines().find_map(|text| text.strip_prefix(line));
    value.expect("a series").parse().expect("a number")
}

#[test]
fn old_versions_and_other_protocols_are_refused() {
    with_tls(
        |_| (),
        async |authority, _, base| {
            let address = base.trim_start_matches("https://").to_owned();
            for (arguments, works) in [
                (&["-tls1_3", "-alpn", "http/1.1"][..], true),
                (&["-tls1_2", "-alpn", "http/1.1"], true),
                (&["-tls1_2"], true),
                (&["-alpn", "h2"], false),
                (&["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], false),
            ] {
                let mut command = Command::new("openssl");
                command.args(["s_client", "-verify_return_error", "-connect", &address]);
                command.arg("-CAfile").arg(authority.file()).args(arguments);
                command.stdin(std::process::Stdio::null());
                let shaken = actix_web::web::block(move || command.output()).await;
                let shaken = shaken.expect("it ends").expect("openssl runs");
                assert_eq!(shaken.status.success(), works, "{arguments:?}: {shaken:?}");
            }
        },
    );
}

fn serve_with(directory: &Path, pair: &Pair) -> Command {
    let mut command = serve(directory);
    command.env("ERGANE_HTTP__TLS_CERTIFICATE_FILE", &pair.certificate);
    command.env("ERGANE_HTTP__TLS_KEY_FILE", &pair.key);
    command
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story")]
fn a_certificate_is_exchanged_while_requests_run_and_none_of_them_fails() {
    let authority = Authority::new();
    let (pair, later) = (authority.pair("server", 1_000), authority.pair("later", 30_000));
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::of(serve_with(&directory.path().join("data"), &pair)).expect("serves");
    let base = process.app.base.clone();
    assert!(base.starts_with("https://"), "{base}");
    actix::System::new().block_on(async {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let askers: Vec<_> = (0..4)
            .map(|number| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let (kept, base) = (authority.client(), base.clone());
                let fresh = authority.client();
                actix::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let mut request = if number % 2 == 0 { &kept } else { &fresh }
                            .get(format!("{base}/v1/workflows"))
                            .bearer_auth(KEY);
                        if number % 2 == 1 {
                            request = request.header("connection", "close");
                        }
                        let answer = request.send().await.expect("no request fails");
                        assert_eq!(answer.status(), 200);
                        answer.bytes().await.expect("no answer breaks off");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let client = authority.client();
        until(&answered, 50).await;
        let before = seen(&client, &base).await;
        assert_eq!(before.1["status"], "ok");
        replace(&pair, (&later.certificate, &later.key));
        signal(process.id(), "HUP");
        let fresh = async || {
            loop {
                let now = seen(&authority.client(), &base).await;
                if now.0 != before.0 {
                    break now;
                }
            }
        };
        let after = tokio::time::timeout(Duration::from_secs(20), fresh()).await;
        let after = after.expect("the new certificate is shown");
        // A key that belongs to another certificate: what was read before stays in use.
        let other = authority.pair("other", 10);
        replace(&pair, (&later.certificate, &other.key));
        signal(process.id(), "HUP");
        loop {
            let now = seen(&authority.client(), &base).await;
            assert_eq!(now.0, after.0);
            if now.1["degraded"] == serde_json::json!(["http certificate"]) {
                break;
            }
        }
        let metrics = client.get(format!("{base}/metrics")).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        assert!(metrics.contains("ergane_tls_certificate_stale{door=\"http\"} 1"), "{metrics}");
        replace(&pair, (&other.certificate, &other.key));
        signal(process.id(), "HUP");
        while seen(&authority.client(), &base).await.1["degraded"] != Value::Null {}
        until(&answered, 200).await;
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.await.expect("none of its requests failed");
        }
    });
    assert!(process.stop().0.success());
}

async fn until(answered: &AtomicUsize, count: usize) {
    while answered.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns the certificate that a new connection shows, and whether the server is ready.
async fn seen(client: &Client, base: &str) -> (Vec<u8>, Value) {
    let request = client.get(format!("{base}/readyz")).header("connection", "close");
    let answer = request.send().await.expect("an answer");
    let shown = answer.extensions().get::<reqwest::tls::TlsInfo>().expect("it is told");
    let certificate = shown.peer_certificate().expect("one is shown").to_vec();
    (certificate, answer.json().await.expect("JSON"))
}

#[test]
fn what_cannot_be_spoken_with_is_refused_at_the_start_with_its_file_and_cause() {
    let authority = Authority::new();
    let (pair, other) = (authority.pair("server", 10), authority.pair("other", 10));
    let directory = tempfile::tempdir().expect("a directory");
    let written = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path
    };
    let (empty, garbage) = (
        written("empty.pem", ""),
        written(
            "garbage.pem",
            "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        ),
    );
    let bad_key =
        written("bad.key", "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n");
    let absent = directory.path().join("absent.pem");
    for (certificate, key, said) in [
        (&absent, &pair.key, "cannot read the certificate"),
        (&pair.certificate, &absent, "cannot read the key"),
        (&empty, &pair.key, "holds no PEM block `BEGIN CERTIFICATE`"),
        (&garbage, &pair.key, "holds no X.509 certificate"),
        (&pair.certificate, &empty, "no PEM block of a private key"),
        (&pair.certificate, &bad_key, "cannot use the key"),
        (&pair.certificate, &other.key, "does not belong to the certificate"),
    ] {
        let files = Pair { certificate: certificate.clone(), key: key.clone() };
        let ended = run(serve_with(&directory.path().join("data"), &files));
        assert!(!ended.status.success() && ended.said.contains(said), "{said}: {ended:?}");
        let named = [certificate, key]
            .into_iter()
            .any(|path| ended.said.contains(path.to_str().expect("a plain path")));
        assert!(named, "{said}: {ended:?}");
    }
    let mut half = serve(&directory.path().join("data"));
    half.env("ERGANE_HTTP__TLS_KEY_FILE", &pair.key);
    let ended = run(half);
    assert!(ended.said.contains("set `http.tls_certificate_file` too"), "{ended:?}");
}

#[test]
fn commands_reach_a_server_whose_authority_they_are_told() {
    with_tls(
        |_| (),
        async |authority, _, base| {
            for (trusts, works) in [(true, true), (false, false)] {
                let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
                command.args(["--url", &base, "workflow", "list"]).env("ERGANE_KEY", KEY);
                if trusts {
                    command.env("ERGANE_CA_FILE", authority.file());
                }
                let ended = actix_web::web::block(move || run(command)).await.expect("it ends");
                assert_eq!(ended.status.success(), works, "{ended:?}");
            }
        },
    );
}

//! Secrets: sealed in the file, never given back, and useless with another key.

use serde_json::json;

use crate::support::{TestApp, config_in, with_app};

const CANARY: &str = "canary-7f3a-do-not-show";

#[test]
fn a_secret_is_listed_by_name_and_never_by_value() {
    with_app(|app| async move {
        let body = json!({ "value": CANARY, "hosts": ["api.example.com"] });
        let made = app.put("/v1/secrets/token", body.clone()).await.expect(200);
        assert_eq!((&made["name"], &made["version"]), (&json!("token"), &json!(1)));
        let again = app.put("/v1/secrets/token", body).await.expect(200);
        assert_eq!(again["version"], 2);
        let list = app.get("/v1/secrets").await;
        assert!(!list.text.contains(CANARY), "{}", list.text);
        assert_eq!(list.expect(200)["data"][0]["hosts"], json!(["api.example.com"]));
        app.delete("/v1/secrets/token").await.expect(204);
        app.delete("/v1/secrets/token").await.refused(404, "not_found");
        // A version is never used again.
        let back = app.put("/v1/secrets/token", json!({ "value": CANARY })).await.expect(200);
        assert_eq!(back["version"], 3);
    });
}

#[test]
fn a_secret_that_is_none_is_refused_with_its_place() {
    with_app(|app| async move {
        let body = json!({ "value": "", "hosts": ["https://api.example.com"] });
        let problem = app.put("/v1/secrets/token", body).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/value");
        let body = json!({ "value": CANARY, "hosts": ["https://api.example.com"] });
        let refused = app.put("/v1/secrets/not-a-name", body).await;
        assert!(!refused.text.contains(CANARY), "{}", refused.text);
        let problem = refused.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/name");
        assert_eq!(problem["errors"][1]["pointer"], "/hosts/0");
    });
}

#[test]
fn the_file_holds_no_secret_and_opens_with_its_own_key_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config_in(directory.path());
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        app.put("/v1/secrets/token", json!({ "value": CANARY })).await.expect(200);
        serving.stop().await;

        let key = directory.path().join("secret.key");
        let own = std::fs::read_to_string(&key).expect("the key was made");
        for entry in std::fs::read_dir(directory.path()).expect("the directory") {
            let bytes = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
            let shown = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!shown, "the secret lies open in the data directory");
        }

        let mut foreign = config.clone();
        foreign.secret_key = "11".repeat(32);
        let refusal = refused(&foreign).await;
        assert!(refusal.contains("sealed with another key"), "{refusal}");
        std::fs::remove_file(&key).expect("the key is there");
        let refusal = refused(&config).await;
        assert!(refusal.contains("is missing; put it back"), "{refusal}");
        assert!(!key.exists(), "a refused start leaves no key behind");

        std::fs::write(&key, own).expect("the key is put back");
        let (serving, app) = TestApp::open(&config).await;
        assert_eq!(app.get("/v1/secrets").await.expect(200)["data"][0]["name"], "token");
        serving.stop().await;
    });
}

async fn refused(config: &ergane::config::Config) -> String {
    use ergane::boot::doors::{Doors, Serving};
    match Serving::open(config, Doors::All).await {
        Ok(_) => panic!("a foreign key was taken"),
        Err(error) => format!("{error:#}"),
    }
}

//! Whole workflows as people write them, run to their end against a local server.

use serde_json::{Value, json};

use crate::support::TestApp;

use super::with_outside;

#[test]
fn probe() {
    with_outside(|app| async move {
        for (name, text) in [
            ("escalate", include_str!("examples/escalate-urgent.yaml")),
            ("weekly", include_str!("examples/weekly-cleanup.yaml")),
            ("intake", include_str!("examples/slack-intake.yaml")),
            ("thena", include_str!("examples/thena.json")),
        ] {
            let request = app
                .request(reqwest::Method::POST, "/v1/workflows/validate")
                .header("content-type", "application/yaml")
                .body(text);
            let told = crate::support::send(request).await;
            println!("{name}: {:#}", told.body);
        }
    });
}

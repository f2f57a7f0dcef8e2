//! Files of older versions: each is opened, brought to the present format, and goes on.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::acceptance::begun;
use crate::support::{TestApp, config_in};

/// The key that the fixtures were sealed with, made up for them.
const SECRET_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn fixtures() -> Vec<std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = fs::read_dir(directory).expect("the fixtures").flatten();
    let packed = entries.map(|entry| entry.path());
    packed.filter(|path| path.extension().is_some_and(|it| it == "lz4")).collect()
}

#[test]
fn every_file_of_an_older_version_opens_and_its_runs_go_on_to_their_end() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 1, "{fixtures:?}");
    for fixture in fixtures {
        let directory = tempfile::tempdir().expect("a directory");
        let packed = fs::read(&fixture).expect("readable");
        let file = lz4_flex::block::decompress_size_prepended(&packed).expect("unpacked");
        fs::write(directory.path().join("ergane.redb"), file).expect("written");
        let mut config = config_in(directory.path());
        config.secret_key = SECRET_KEY.to_owned();
        actix::System::new().block_on(async {
            let (serving, app) = TestApp::open(&config).await;
            let told = fixture.display();
            let runs = app.get("/v1/runs?limit=50").await.expect(200);
            let runs = runs["data"].as_array().expect("a list").clone();
            assert_eq!(runs.len(), 5, "{told}");
            for run in runs {
                let id = run["id"].as_str().expect("an id");
                assert_eq!(app.end_of(id).await["status"], "succeeded", "{told}: {run:#}");
            }
            let events = app.get("/v1/events?type=order:placed").await.expect(200);
            assert_eq!(events["data"].as_array().map(Vec::len), Some(5), "{told}");
            let tickets = app.get("/v1/tickets").await.expect(200);
            assert_eq!(tickets["data"].as_array().map(Vec::len), Some(3), "{told}");
            assert_eq!(app.get("/v1/audit/verify").await.expect(200)["valid"], true, "{told}");
            app.get("/v1/secrets").await.expect(200);
            let run = begun(&app, "sleeper", json!({"n": 7})).await;
            app.until(&run, "waiting").await;
            serving.stop().await;
        });
        assert!(directory.path().join("ergane.redb.before-2").exists(), "a copy is kept");
    }
}

//! `ergane prove`: the proof that users take on their own disks.

use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[test]
fn three_kills_are_survived_and_certified() {
    let directory = TempDir::new().expect("a directory");
    let proof = Command::new(env!("CARGO_BIN_EXE_ergane"))
        .args(["prove", "crash", "--kills", "3", "--seed", "7", "--json", "--directory"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&proof.stderr);
    assert!(proof.status.success(), "{said}");
    let certificate: Value = serde_json::from_slice(&proof.stdout).expect("a certificate");
    assert_eq!(certificate["verdict"], "kept", "{certificate:#}");
    for broken in ["lost", "doubled", "undoIncomplete", "wokeEarly", "wrong"] {
        assert_eq!(certificate[broken], 0, "{certificate:#}");
    }
    assert!(certificate["kills"].as_u64() >= Some(3));
    assert_eq!(certificate["eventsSent"], certificate["eventsAcknowledged"]);
    assert!(certificate["eventsSent"].as_u64() >= Some(1), "{certificate:#}");
    assert_eq!(certificate["binarySha256"].as_str().map(str::len), Some(64));
    let left = std::fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 0, "what it wrote is removed");
}

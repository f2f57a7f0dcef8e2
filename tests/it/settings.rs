//! Forty ways to set it up wrongly: each is refused with its place and its cure, before anything is
//! made.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{run, serve};

/// What is wrong: the file, the environment, and the exit code that it ends with.
type Case = (&'static str, &'static [(&'static str, &'static str)], i32);

const WRONG: [Case; 38] = [
    // Names that do not exist.
    ("colour = 1", &[], 2),
    ("[http]\nlisen = \"127.0.0.1:0\"", &[], 2),
    ("[htp]\nlisten = \"127.0.0.1:0\"", &[], 2),
    ("[store]\ncache_byte = 1", &[], 2),
    ("[engine.deep]\nx = 1", &[], 2),
    ("", &[("ERGANE_HTTP__LISTNE", "127.0.0.1:0")], 2),
    ("", &[("ERGANE_STORE__NOTHING", "1")], 2),
    ("", &[("ERGANE_LOG__LEVEL__DEEP", "1")], 2),
    // No TOML.
    ("[http", &[], 2),
    ("demo = ", &[], 2),
    ("demo = true\ndemo = false", &[], 2),
    ("[http]\nlisten = 'half", &[], 2),
    // Values of another type.
    ("demo = \"perhaps\"", &[], 2),
    ("[http]\nworkers = \"many\"", &[], 2),
    ("[http]\nworkers = -1", &[], 2),
    ("[http]\nworkers = 1.5", &[], 2),
    ("[http]\nlisten = 7171", &[], 2),
    ("[http]\ntrusted_proxies = [\"everybody\"]", &[], 2),
    ("[egress]\nallow = [\"10.0.0.0/99\"]", &[], 2),
    ("[log]\nformat = \"xml\"", &[], 2),
    ("[store]\nparts = 70000", &[], 2),
    ("[engine]\ndelivery_pauses_ms = \"soon\"", &[], 2),
    ("", &[("ERGANE_DEMO", "perhaps")], 2),
    ("", &[("ERGANE_HTTP__WORKERS", "two")], 2),
    ("", &[("ERGANE_STORE__CACHE_BYTES", "32MB")], 2),
    // Values that leave nothing to work with.
    ("[http]\nworkers = 0", &[], 2),
    ("[http]\nconnections_max = 0", &[], 2),
    ("[store]\nparts = 0", &[], 2),
    ("[engine]\nmailbox_messages_max = 0", &[], 2),
    // Values that contradict each other.
    ("[http]\nevent_bytes_max = 2000000", &[], 2),
    ("[store]\nbatch_bytes_max = 1000", &[], 2),
    ("[engine]\ntask_lease_ms = 7200000", &[], 2),
    ("[engine]\ndestination_open_ms = 400000", &[], 2),
    ("[access]\nsession_idle_minutes = 6000", &[], 2),
    // Secrets that are none, and files that are not there.
    ("bootstrap_key = \"short\"", &[("ERGANE_BOOTSTRAP_KEY", "short")], 2),
    ("", &[("ERGANE_BOOTSTRAP_KEY_FILE", "/no/such/file")], 2),
    ("[log]\nlevel = \"ergane=lood\"", &[], 2),
    ("[mail]\nlisten = \"127.0.0.1:0\"", &[], 1),
];

/// Starts a server with wrong settings, and returns its exit code and what it said, without what
/// differs from machine to machine.
fn attempt(base: &Path, file: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let data = base.join("data");
    let config = base.join("config.toml");
    fs::write(&config, file).expect("room");
    let mut command = serve(&data);
    command.arg("--config").arg(&config).env_remove("ERGANE_BOOTSTRAP_KEY");
    command.envs(variables.iter().copied());
    let ended = run(command);
    assert!(!data.exists(), "{file}: it made something");
    let base = base.to_str().expect("plain");
    (ended.status.code(), ended.said.replace(base, "…").trim_end().to_owned())
}

#[test]
fn wrong_settings_are_refused_with_their_place_and_nothing_is_made() {
    let directory = TempDir::new().expect("a directory");
    let mut told = String::new();
    for (file, variables, code) in WRONG {
        let (ended, said) = attempt(directory.path(), file, variables);
        assert_eq!(ended, Some(code), "{file} {variables:?}: {said}");
        assert!(said.contains("ergane: ") && !said.contains("panicked"), "{file}: {said}");
        let name = variables.first().map_or("config.toml:", |(name, _)| *name);
        let is_of_mail = file.contains("[mail]") || file.contains("[log]\nlevel");
        assert!(said.contains(name) || said.contains("/no/such/file") || is_of_mail, "{said}");
        let given = variables.iter().map(|(name, value)| format!("{name}={value}"));
        let given: Vec<String> = given.chain([file.replace('\n', " ")]).collect();
        let _ = writeln!(told, "{}\n  {ended:?} {said}\n", given.join(" ").trim());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_port_in_use_and_a_key_that_is_none_end_the_start() {
    let directory = TempDir::new().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ergane"));
    command.args(["serve", "--listen", &address, "--data-dir"]).arg(directory.path().join("data"));
    let ended = run(command);
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.said.contains(&address) || ended.said.contains("--listen"), "{ended:?}");
    assert!(!directory.path().join("data").join("ergane.redb").exists());
    let mut command = serve(&directory.path().join("data"));
    command.env("ERGANE_SECRET_KEY", "too weak");
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.said.contains("secret_key"), "{ended:?}");
    let missing = directory.path().join("nowhere.toml");
    let mut command = serve(&directory.path().join("data"));
    command.arg("--config").arg(missing);
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.said.contains("nowhere.toml"), "{ended:?}");
}

//! Order, origins and refusals of the configuration, and the truth of the example file.

use std::path::Path;

use serde_json::Value;

use super::layers::{flatten, load};
use super::{Config, ConfigError, Flag, Loaded, Source};

const EXAMPLE: &str = include_str!("../../config.toml");

fn loaded(text: &str, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Loaded, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    load(Some((Path::new("config.toml"), text)), variables, flags)
}

fn level(loaded: &Loaded) -> (String, Source) {
    let setting = loaded.settings.iter().find(|setting| setting.key == "log.level");
    let setting = setting.expect("the level is a setting");
    (loaded.config.log.level.clone(), setting.source.clone())
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let flag = Flag { key: "log.level", name: "--log", value: "error".to_owned() };
    let file = "demo = true\n[log]\nlevel = \"warn\"\n";
    let variable = [("ERGANE_LOG__LEVEL", "debug")];
    let from_file = Source::File { path: "config.toml".into(), line: 3 };
    let from_variable = Source::Environment("ERGANE_LOG__LEVEL".to_owned());
    let cases = [
        (loaded("", &[], &[]), "warn,ergane=info", Source::Default),
        (loaded(file, &[], &[]), "warn", from_file),
        (loaded(file, &variable, &[]), "debug", from_variable),
        (loaded(file, &variable, &[flag]), "error", Source::Flag("--log")),
    ];
    for (result, value, source) in cases {
        let result = result.expect("these settings are valid");
        assert_eq!(level(&result), (value.to_owned(), source));
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_the_nearest_name() {
    for (text, variables, message) in [
        (
            "\n[log]\nlevle = \"warn\"\n",
            vec![],
            "config.toml:3: there is no setting `log.levle`; did you mean `log.level`?",
        ),
        ("colour = 1", vec![], "config.toml:1: there is no setting `colour`"),
        ("log = 1", vec![], "config.toml:1: there is no setting `log`"),
        (
            "demo = \"perhaps\"",
            vec![],
            "config.toml:1: `demo` cannot take this value: invalid type: string \"perhaps\"",
        ),
        (
            "",
            vec![("ERGANE_LOG__FORMAT", "xml")],
            "ERGANE_LOG__FORMAT: `log.format` cannot take this value: unknown variant `xml`",
        ),
        (
            "",
            vec![("ERGANE_LOG__LEVLE", "warn")],
            "environment variable ERGANE_LOG__LEVLE: there is no setting `log.levle`; did you \
             mean `log.level`?",
        ),
        (
            "",
            vec![("ERGANE_BOOTSTRAP_KEY", "short")],
            "ERGANE_BOOTSTRAP_KEY: `bootstrap_key` cannot take this value: it has 5 characters",
        ),
        ("demo = ", vec![], "config.toml: TOML parse error at line 1"),
    ] {
        let refusal = loaded(text, &variables, &[]).expect_err(message).to_string();
        assert!(refusal.starts_with(message), "{refusal}");
    }
}

#[test]
fn variables_that_belong_to_others_are_left_alone() {
    let foreign = [("ERGANE_PORT", "tcp://10.0.0.1:80"), ("ERGANE_KEY", "k"), ("HOME", "/")];
    assert!(loaded("", &foreign, &[]).is_ok());
}

#[test]
fn a_secret_is_read_from_a_file_and_shown_to_nobody() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("key");
    std::fs::write(&path, "sixteen-and-more-letters\n").expect("the directory is ours");
    let variable = ("ERGANE_BOOTSTRAP_KEY_FILE", path.to_str().expect("a plain path"));
    let result = loaded("", &[variable], &[]).expect("the file can be read");
    assert_eq!(result.config.bootstrap_key, "sixteen-and-more-letters");
    let shown = serde_json::to_string(&result.settings).expect("settings are plain data");
    assert!(!shown.contains("sixteen") && shown.contains("********"), "{shown}");
}

#[test]
fn the_example_file_loads_unchanged_and_changes_nothing() {
    let result = loaded(EXAMPLE, &[], &[]).expect("the example is valid");
    assert!(result.settings.iter().all(|setting| setting.source == Source::Default));
}

#[test]
fn the_example_file_lists_every_setting_with_its_default() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let listed: Value = toml::from_str(&uncommented).expect("the example is TOML");
    let defaults = serde_json::to_value(Config::default()).expect("settings are plain data");
    let (listed, defaults) = (flatten(&listed), flatten(&defaults));
    for (key, value) in &defaults {
        let shown = listed.get(key).cloned().unwrap_or(Value::Null);
        assert_eq!(&shown, value, "config.toml should show the default of `{key}`");
    }
    assert_eq!(listed.len(), defaults.len(), "config.toml lists a setting that does not exist");
}

//! Every setting of the appliance: where its value comes from, and what it is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::activities::settings::{EgressSettings, EventSettings};
use crate::app::backup_settings::BackupSettings;
use crate::app::settings::{AccessSettings, IntakeSettings, RetentionSettings};
use crate::app::watch_settings::{AlertSettings, NoticeSettings, TelemetrySettings};
use crate::domain::quota::Limits;
use crate::engine::settings::EngineSettings;
use crate::mail::settings::MailSettings;
use crate::store::redb_store::StoreSettings;
use crate::telemetry::LogSettings;
use crate::web::settings::WebSettings;

mod layers;
mod sense;
#[cfg(test)]
mod tests;

pub use layers::{ConfigError, Setting, Source};

/// Settings whose values are shown to nobody; each is also read from a file named by `…_FILE`.
const SECRETS: [&str; 4] =
    ["bootstrap_key", "secret_key", "telemetry.headers", "http.metrics_token"];

/// Where the file is looked for when no flag names one, first match first.
const SEARCHED: [&str; 2] = ["config.toml", "/etc/ergane/config.toml"];

/// Variables that steer the command line and are no settings.
const FOREIGN_VARIABLES: [&str; 5] =
    ["ERGANE_CA_FILE", "ERGANE_CONFIG", "ERGANE_KEY", "ERGANE_KEY_FILE", "ERGANE_URL"];

/// The settings of every layer; each layer owns its part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory that holds everything.
    pub data_dir: PathBuf,
    /// Whether a new data directory is filled with a playable tenant.
    pub demo: bool,
    /// Becomes the owner key of the tenant `default` while there is no key; empty for none.
    pub bootstrap_key: String,
    /// Seals secrets: 32 bytes in base64 or hexadecimal; empty for `secret.key` in the data
    /// directory, which is made at the first start.
    pub secret_key: String,
    /// The HTTP side.
    pub http: WebSettings,
    /// What events carry, and what is kept of refused ones.
    pub events: EventSettings,
    /// What comes in from outside: hooks and forms.
    pub intake: IntakeSettings,
    /// Mail that comes in.
    pub mail: MailSettings,
    /// Calls that leave the appliance.
    pub egress: EgressSettings,
    /// The embedded store.
    pub store: StoreSettings,
    /// The limits of the engine.
    pub engine: EngineSettings,
    /// What each tenant may use that has nothing of its own.
    pub quotas: Limits,
    /// What is kept for how long.
    pub retention: RetentionSettings,
    /// Signing in.
    pub access: AccessSettings,
    /// Backups, and the log that carries them on.
    pub backup: BackupSettings,
    /// What is logged.
    pub log: LogSettings,
    /// Where traces go.
    pub telemetry: TelemetrySettings,
    /// When somebody is told that something is the matter.
    pub alerts: AlertSettings,
    /// Where that is told.
    pub notices: Vec<NoticeSettings>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("./ergane-data"),
            demo: false,
            bootstrap_key: String::new(),
            secret_key: String::new(),
            http: WebSettings::default(),
            events: EventSettings::default(),
            intake: IntakeSettings::default(),
            mail: MailSettings::default(),
            egress: EgressSettings::default(),
            store: StoreSettings::default(),
            engine: EngineSettings::default(),
            quotas: Limits::default(),
            retention: RetentionSettings::default(),
            access: AccessSettings::default(),
            backup: BackupSettings::default(),
            log: LogSettings::default(),
            telemetry: TelemetrySettings::default(),
            alerts: AlertSettings::default(),
            notices: Vec::new(),
        }
    }
}

impl Config {
    /// Returns the store's settings with the directory that it lies in.
    #[must_use]
    pub fn store_settings(&self) -> StoreSettings {
        StoreSettings {
            data_dir: self.data_dir.clone(),
            log: self.backup.log_in(&self.data_dir),
            ..self.store.clone()
        }
    }

    /// Returns the engine's settings with what the quotas say of runs at work.
    #[must_use]
    pub fn engine_settings(&self) -> EngineSettings {
        let most = usize::try_from(self.quotas.active_runs).unwrap_or(usize::MAX);
        let own = self.engine.runs_active_max;
        let runs_active_max = if most == 0 { own } else { own.min(most) };
        EngineSettings { runs_active_max, ..self.engine.clone() }
    }

    /// Returns the socket by which commands reach the server that has the data directory.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir.join("control.sock")
    }
}

/// A configuration with the origin of each of its values.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values in effect.
    pub config: Config,
    /// Each setting in order of its key.
    pub settings: Vec<Setting>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// A value given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The setting: `http.listen`.
    pub key: &'static str,
    /// The flag: `--listen`.
    pub name: &'static str,
    /// What was given, as in an environment variable.
    pub value: String,
}

/// Reads the file that `named` names, or else the first of the usual places, then the environment
/// of the process, then `flags`.
///
/// # Errors
/// Fails when the file cannot be read, a key is unknown or a value does not fit.
pub fn load(named: Option<&Path>, flags: &[Flag]) -> Result<Loaded, ConfigError> {
    let path = named
        .map(Path::to_path_buf)
        .or_else(|| SEARCHED.iter().map(PathBuf::from).find(|path| path.is_file()));
    let text = match &path {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            ConfigError::Unreadable { path: path.clone(), reason: error.to_string() }
        })?),
        None => None,
    };
    let file = path.as_deref().zip(text.as_deref());
    layers::load(file, std::env::vars(), flags)
}

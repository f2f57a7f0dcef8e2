//! Keeps watch beside the work: looks whether something is the matter, sends what has to be told.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::app::App;
use crate::app::lookout::{Lookout, Place, SettingView};
use crate::config::{Config, Loaded};
use crate::domain::secret::{Mask, Secret};
use crate::logs;

/// How often notices that are due are looked for.
const NOTICES_EVERY: Duration = Duration::from_millis(500);

/// Where the settings come from.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: Option<String>,
    settings: Vec<SettingView>,
}

impl Origins {
    /// Remembers them.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Origins {
        let settings = loaded.settings.iter().map(|setting| SettingView {
            key: setting.key.clone(),
            value: setting.value.clone(),
            source: setting.source.to_string(),
        });
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        Origins { file, settings: settings.collect() }
    }
}

/// Returns what is watched under these settings.
pub(super) fn lookout(config: &Config, origins: Origins) -> Lookout {
    let place = Place {
        data_dir: Some(config.data_dir.clone()),
        listen: config.http.listen.clone(),
        base_path: config.http.base(),
        trusted_proxies: config.http.trusted_proxies.len(),
        config_file: origins.file,
        settings: origins.settings,
    };
    let keys = [&config.bootstrap_key, &config.secret_key].map(Secret::new);
    logs::book().learn("settings/keys", Mask::of_long(&keys));
    let (alerts, notices) = (config.alerts.clone(), config.notices.clone());
    Lookout::new(place, alerts, notices, config.telemetry.clone())
}

/// What keeps watch.
pub struct Watching(Vec<JoinHandle<()>>);

impl Watching {
    /// Begins.
    pub fn start(app: &App) -> Watching {
        app.resume_alerts();
        app.measure_store();
        app.begin_traces();
        let every = Duration::from_millis(app.lookout().look_every_ms().max(1));
        let (looking, sending, tracing) = (app.clone(), app.clone(), app.clone());
        Watching(vec![
            tokio::task::spawn_local(async move {
                loop {
                    looking.look_around().await;
                    tokio::time::sleep(every).await;
                }
            }),
            tokio::task::spawn_local(async move {
                loop {
                    sending.send_notices().await;
                    tokio::time::sleep(NOTICES_EVERY).await;
                }
            }),
            tokio::task::spawn_local(async move { tracing.tell_traces().await }),
        ])
    }

    /// Ends, and lets go of the application.
    pub fn stop(self) {
        for task in self.0 {
            task.abort();
        }
    }
}

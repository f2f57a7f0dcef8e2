//! Puts the layers together, and takes them apart in the right order.

pub mod beside;
pub mod doors;
mod housekeeping;
pub mod service_manager;
mod threads;
mod tls;
mod watching;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tracing::{info, warn};

use crate::activities::Activities;
use crate::app::App;
use crate::app::backup_settings::BackupSettings;
use crate::app::lookout::Lookout;
use crate::app::settings::{AccessSettings, IntakeSettings, RetentionSettings};
use crate::clock::Clock;
use crate::domain::quota::Limits;
use crate::domain::time::Timestamp;
use crate::engine::settings::EngineSettings;
use crate::engine::{Engine, Parts};
use crate::metrics::Metrics;
use crate::store::redb_store::{RedbStore, StoreSettings};
use crate::store::seal::KeyCheck;
use crate::store::seal_keys::SealKeys;
use crate::store::seam::Store;
use crate::store::volume;

/// How long opening may take before it is given up: a large file is walked after a crash.
const OPEN_MAX: Duration = Duration::from_secs(600);
/// How long a stop waits for the users of the store to let go of it.
const LET_GO_MAX: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The beginning of 2026 in milliseconds since 1970; no clock that is right says less.
const MADE_AFTER_MS: i64 = 1_767_225_600_000;

/// A running appliance without its doors.
pub struct Appliance {
    app: App,
    store: Arc<dyn Store>,
}

impl Appliance {
    /// Opens the store, starts the engine, and returns when every part takes work.
    ///
    /// # Errors
    /// Returns why the data directory cannot be used, with what to do about it.
    pub async fn start(
        store: &StoreSettings,
        engine: EngineSettings,
        activities: Activities,
        metrics: Arc<Metrics>,
        secret_key: &str,
    ) -> anyhow::Result<Appliance> {
        let key = SealKeys::find(secret_key, &store.data_dir)?;
        let opened = RedbStore::open(store).with_context(|| {
            format!("cannot use the data directory {}", store.data_dir.display())
        })?;
        opened.watch()?;
        if let Some(warning) = volume::warning(&store.data_dir) {
            warn!("{warning}");
        }
        let store: Arc<dyn Store> = Arc::new(opened);
        let clock = Clock::system();
        // This version did not exist before it was made.
        store.board().judge_earliest(clock.now(), Timestamp::from_millis(MADE_AFTER_MS));
        // Before anything else moves: with a foreign key, calls would be made without their secrets.
        let (sealer, check) = key.sealer(&*store, clock.clone())?;
        let engine = Engine::start(Parts {
            store: Arc::clone(&store),
            clock,
            activities,
            settings: engine,
            metrics,
            sealer: Arc::new(sealer),
        });
        let mut waited = Duration::ZERO;
        while !engine.is_ready() {
            if waited > OPEN_MAX {
                bail!("the parts of the store did not open within {} s", OPEN_MAX.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        info!("The engine is ready");
        let app = App::new(engine);
        if check == KeyCheck::Unset {
            app.remember_seal_key().await?;
        }
        Ok(Appliance { app, store })
    }

    /// Sets the limits of what comes in from outside.
    #[must_use]
    pub fn with_intake(self, intake: IntakeSettings) -> Appliance {
        Appliance { app: self.app.with_intake(intake), ..self }
    }

    /// Sets what tenants may use that have nothing of their own.
    #[must_use]
    pub fn with_quotas(self, limits: Limits) -> Appliance {
        Appliance { app: self.app.with_quotas(limits), ..self }
    }

    /// Sets what is kept where tenants do not say otherwise.
    #[must_use]
    pub fn with_retention(self, retention: RetentionSettings) -> Appliance {
        Appliance { app: self.app.with_retention(retention), ..self }
    }

    /// Sets the limits of signing in.
    #[must_use]
    pub fn with_access(self, access: AccessSettings) -> Appliance {
        Appliance { app: self.app.with_access(access), ..self }
    }

    /// Sets what is watched, and where that is told.
    #[must_use]
    pub fn with_lookout(self, lookout: Lookout) -> Appliance {
        Appliance { app: self.app.with_lookout(lookout), ..self }
    }

    /// Sets where backups lie and when they are taken, and looks for those that there are.
    #[must_use]
    pub fn with_backups(self, settings: &BackupSettings, data_dir: &Path) -> Appliance {
        let app = self.app.with_backups(settings.clone(), data_dir);
        app.look_for_backups();
        Appliance { app, ..self }
    }

    /// Returns the use cases.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Takes no more work, makes durable what was taken, and closes the store.
    pub async fn stop(self) {
        let Appliance { app, store } = self;
        store.admin().stop_side_work();
        app.engine().stop().await;
        drop(app);
        // The store is closed by its last user, and closing is what spares the next start a walk
        // through the whole file. Actors and workers let go of it a moment after they were stopped.
        let mut waited = Duration::ZERO;
        while Arc::strong_count(&store) > 1 && waited < LET_GO_MAX {
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        if Arc::strong_count(&store) > 1 {
            warn!("The store is still in use; the next start repairs the file");
        }
        drop(store);
    }
}

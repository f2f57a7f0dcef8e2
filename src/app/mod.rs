//! The use cases: what the API, the pages and the command line call alike. Each authorises by the
//! caller's tenant, transacts or reads, and answers in the shapes of `views`.

pub mod access;
pub mod activities;
pub mod activity_record;
pub mod activity_throttles;
pub mod activity_trial;
pub mod agenda;
pub mod ai_usage;
pub mod alerts;
pub mod api_imports;
pub mod app_events;
mod app_webhooks;
pub mod approvals;
pub mod apps;
mod attention;
pub mod audit;
mod authority;
pub mod backtest;
pub mod backup_settings;
pub mod backups;
pub mod bulk;
pub mod case_keeping;
pub mod cases;
pub mod causes;
pub mod clock;
pub mod connection_test;
pub mod connections;
#[cfg(test)]
mod corpus_tests;
pub mod custom_objects;
pub mod dashboard;
pub mod definitions;
pub mod deliveries;
pub mod demo;
pub mod desk;
pub mod destinations;
pub mod doctor;
pub mod error;
pub mod event_fields;
pub mod event_reach;
pub mod event_types;
pub mod events;
pub mod explain;
pub mod filters;
pub mod first_start;
pub mod foresight;
pub mod forms;
pub mod hooks;
pub mod idempotency;
pub mod incidents;
pub mod installations;
mod installed_activities;
mod joined;
pub mod keys;
pub mod links;
pub mod live_match;
pub mod lookout;
pub mod mail;
mod measures;
pub mod members;
pub mod moving;
pub mod notices;
pub mod one_time_code;
pub mod organization;
pub mod overview;
pub mod page;
pub mod passwords;
pub mod people;
pub mod principal;
pub mod profile;
pub mod pulse;
pub mod quotas;
pub mod redo;
pub mod rejected;
pub mod restored;
pub mod retention;
pub mod run_histogram;
pub mod run_insight;
mod run_view;
pub mod run_views;
pub mod run_words;
pub mod runs;
pub mod schedules;
pub mod seal_rotation;
pub mod secrets;
pub mod sessions;
pub mod settings;
pub mod sheets;
pub mod sign_in;
pub mod statuses;
pub mod storage;
pub mod streams;
pub mod system;
pub mod system_log;
pub mod tasks;
pub mod templates;
pub mod tenants;
pub mod thena;
pub mod throttle;
mod traces;
pub mod trial;
mod try_now;
pub mod uses;
pub mod versions;
pub mod views;
mod waiting;
pub mod watch_settings;
pub mod webhook_deliveries;
mod webhook_draft;
pub mod webhooks;
pub mod worker_activities;
pub mod workers;
pub mod workflows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::condition::Reason;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::engine::{Engine, Refusal};
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

use error::Error;
use lookout::Lookout;
use passwords::Passwords;
use principal::Principal;
use settings::AccessSettings;
use throttle::Throttle;

/// When a client that met an overload or a store in trouble may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The use cases of the appliance; cheap to clone.
#[derive(Clone)]
pub struct App {
    engine: Engine,
    known: Arc<access::Known>,
    schemas: Arc<event_types::KnownSchemas>,
    access: Arc<AccessSettings>,
    passwords: Arc<Passwords>,
    throttle: Arc<Throttle>,
    quotas: Arc<quotas::Quotas>,
    intake: Arc<settings::IntakeSettings>,
    workers: Arc<workers::Workers>,
    lookout: Arc<Lookout>,
    backups: Arc<backups::Backups>,
    /// Held by whoever removes tenants, one at a time.
    removing: Arc<tokio::sync::Mutex<()>>,
    retention: Arc<settings::RetentionSettings>,
    side: Arc<storage::SideWork>,
}

impl App {
    /// Puts the use cases on top of a running engine.
    #[must_use]
    pub fn new(engine: Engine) -> App {
        let access = AccessSettings::default();
        App {
            engine,
            known: Arc::default(),
            schemas: Arc::default(),
            passwords: Arc::new(Passwords::new(&access)),
            throttle: Arc::new(Throttle::new(&access)),
            access: Arc::new(access),
            quotas: Arc::default(),
            intake: Arc::default(),
            workers: Arc::default(),
            lookout: Arc::default(),
            backups: Arc::default(),
            removing: Arc::default(),
            retention: Arc::default(),
            side: Arc::default(),
        }
    }

    /// Sets the limits of signing in.
    #[must_use]
    pub fn with_access(self, access: AccessSettings) -> App {
        let passwords = Arc::new(Passwords::new(&access));
        let throttle = Arc::new(Throttle::new(&access));
        App { passwords, throttle, access: Arc::new(access), ..self }
    }

    /// Sets the limits of what comes in from outside.
    #[must_use]
    pub fn with_intake(self, intake: settings::IntakeSettings) -> App {
        App { intake: Arc::new(intake), ..self }
    }

    /// Sets what is watched, and where that is told.
    #[must_use]
    pub fn with_lookout(self, lookout: Lookout) -> App {
        App { lookout: Arc::new(lookout), ..self }
    }

    /// Returns what is remembered of how the appliance does.
    #[must_use]
    pub fn lookout(&self) -> &Lookout {
        &self.lookout
    }

    /// Sets where backups lie and when they are taken.
    #[must_use]
    pub fn with_backups(self, settings: backup_settings::BackupSettings, data_dir: &Path) -> App {
        App { backups: Arc::new(backups::Backups::new(settings, data_dir)), ..self }
    }

    /// Sets what is kept where tenants do not say otherwise.
    #[must_use]
    pub fn with_retention(self, retention: settings::RetentionSettings) -> App {
        App { retention: Arc::new(retention), ..self }
    }

    /// Returns what is kept where tenants do not say otherwise.
    #[must_use]
    pub fn retention_settings(&self) -> &settings::RetentionSettings {
        &self.retention
    }

    /// Returns what goes on beside the serving.
    pub(crate) fn side(&self) -> &storage::SideWork {
        &self.side
    }

    /// Returns the limits of what comes in from outside.
    #[must_use]
    pub fn intake(&self) -> &settings::IntakeSettings {
        &self.intake
    }

    /// Returns the engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the keys and people that were asked for.
    pub(crate) fn known(&self) -> &access::Known {
        &self.known
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.engine.clock()
    }

    /// Returns the present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine.clock().now()
    }

    /// Reads what is committed of the caller's tenant.
    ///
    /// # Errors
    /// Returns the refusal of `look`, or that the store cannot be read.
    pub fn read<T>(
        &self,
        who: &Principal,
        look: impl FnOnce(TenantView<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if who.teams.is_empty() {
            return self.read_of(who.tenant, look);
        }
        self.read_of(who.tenant, |view| {
            let sight = authority::sight(view, who)?;
            look(view.through(&sight))
        })
    }

    /// Reads what is committed of a tenant that was decided on by the program itself.
    ///
    /// # Errors
    /// Returns the refusal of `look`, or that the store cannot be read.
    pub fn read_of<T>(
        &self,
        tenant: TenantId,
        look: impl FnOnce(TenantView<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let snapshot = self.engine.snapshot(tenant)?;
        look(TenantView::new(tenant, &snapshot))
    }

    /// Changes something of a tenant on the program's own account: no person or key asked for it,
    /// so the audit says nothing. What somebody asked for goes through `write`.
    ///
    /// # Errors
    /// Returns the refusal of `decide`, or why nothing, or perhaps nothing, was written.
    pub async fn write_of<T, F>(&self, tenant: TenantId, decide: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>) -> Result<T, Error> + Send + 'static,
    {
        Ok(self.engine.transact(tenant, decide).await?)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::Damaged { .. } => Error::Internal(error.to_string()),
            StoreError::Refused(detail)
            | StoreError::InUse(detail)
            | StoreError::Unavailable(detail) => {
                Error::Unavailable { detail, retry_after: RETRY_AFTER }
            }
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Error {
        Error::Troubled {
            code: reason.condition.code(),
            detail: format!("{}; nothing was accepted. {}", reason.detail, reason.cure),
            retry_after: RETRY_AFTER,
        }
    }
}

impl<E: Into<Error>> From<Refusal<E>> for Error {
    fn from(refusal: Refusal<E>) -> Error {
        match refusal {
            Refusal::Refused(error) => error.into(),
            Refusal::Overloaded => Error::Unavailable {
                detail: "too much is waiting to be written; nothing was accepted".to_owned(),
                retry_after: RETRY_AFTER,
            },
            Refusal::Paused => Error::Paused,
            Refusal::Unavailable(detail) => Error::Unavailable { detail, retry_after: RETRY_AFTER },
            Refusal::Troubled(reason) => reason.into(),
        }
    }
}

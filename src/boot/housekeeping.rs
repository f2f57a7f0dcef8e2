//! What has to be done from time to time and may be late or left out: the scheduler is only a
//! tick here, and nothing that was promised depends on it.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_cron_scheduler::{Job, JobScheduler};
use tracing::warn;

use crate::app::App;
use crate::tls::Certificates;

const EVERY_MINUTE: &str = "0 * * * * *";
const EVERY_TEN_MINUTES: &str = "30 */10 * * * *";

#[derive(Clone, Copy, Debug)]
enum Chore {
    Measure,
    Forget,
    CheckSchedules,
    Reseal,
    Backup,
    Clear,
    Retain,
    Survey,
    RefreshCertificates,
}

/// Regular work on the side.
pub struct Housekeeping {
    ticks: JobScheduler,
    /// Holds the application, which the scheduler must not keep alive after a stop.
    worker: JoinHandle<()>,
}

impl Housekeeping {
    /// Starts the ticks, and what an earlier process did not end.
    ///
    /// # Errors
    /// Fails when the scheduler cannot be started.
    pub async fn start(
        app: App,
        certificates: Vec<Arc<Certificates>>,
    ) -> anyhow::Result<Housekeeping> {
        note_certificates(&app, &certificates);
        app.measure_storage_aside();
        app.reseal_aside(); // A stop or a crash may have broken it off.
        app.abandon_broken_imports().await?;
        let ticks = JobScheduler::new().await.context("cannot start the housekeeping")?;
        let (sender, mut chores) = mpsc::channel(10);
        let chores_due = [
            (EVERY_MINUTE, Chore::Measure),
            (EVERY_MINUTE, Chore::CheckSchedules),
            (EVERY_MINUTE, Chore::Reseal),
            (EVERY_MINUTE, Chore::Backup),
            (EVERY_MINUTE, Chore::Clear),
            (EVERY_MINUTE, Chore::RefreshCertificates),
            (EVERY_TEN_MINUTES, Chore::Forget),
            (EVERY_TEN_MINUTES, Chore::Survey),
            (EVERY_MINUTE, Chore::Retain),
        ];
        for (when, chore) in chores_due {
            let sender = sender.clone();
            let tick = move |_, _: JobScheduler| {
                // A chore that is still waiting need not be asked for twice.
                let _ = sender.try_send(chore);
            };
            ticks.add(Job::new(when, tick)?).await?;
        }
        ticks.start().await?;
        let worker = tokio::task::spawn_local(async move {
            while let Some(chore) = chores.recv().await {
                perform(&app, &certificates, chore).await;
            }
        });
        Ok(Housekeeping { ticks, worker })
    }

    /// Stops the ticks and lets go of the application.
    pub async fn stop(mut self) {
        self.worker.abort();
        if let Err(error) = self.ticks.shutdown().await {
            warn!("The housekeeping did not stop: {error}");
        }
    }
}

fn note_certificates(app: &App, certificates: &[Arc<Certificates>]) {
    app.lookout().note_certificate(certificates.iter().map(|it| it.validity().ends).min());
}

async fn perform(app: &App, certificates: &[Arc<Certificates>], chore: Chore) {
    match chore {
        Chore::Measure => app.measure_store(),
        Chore::Reseal => app.reseal_aside(),
        Chore::Backup => app.backup_when_due(),
        Chore::Clear => app.clear_aside(),
        Chore::Retain => app.retain_aside(),
        Chore::Survey => {
            app.compact_when_worth_it();
            app.measure_storage_aside();
        }
        Chore::RefreshCertificates => {
            for certificate in certificates {
                certificate.refresh(app.clock().now());
            }
            note_certificates(app, certificates);
        }
        Chore::CheckSchedules => {
            if let Err(error) = app.check_schedules().await {
                warn!("Could not check the schedules: {error}");
            }
        }
        Chore::Forget => {
            if let Err(error) = app.forget_what_expired().await {
                warn!("Could not forget what has expired: {error}");
            }
        }
    }
}

//! What a service manager is told: that work is taken, that it ends, and that threads still turn.
//! It speaks the protocol of `sd_notify(3)`; without a manager every message goes nowhere.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::app::App;
use crate::store::access::APPLIANCE;

/// Says that the doors are open.
pub fn tell_ready(address: Option<std::net::SocketAddr>) {
    let status = address.map(|address| format!("Takes requests at {address}")).unwrap_or_default();
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Says that it was asked to stop.
pub fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Shows a sign of life twice in each period of the manager's watchdog, if it has one, as long as
/// this thread and that of the appliance's own tenant answer: a manager then restarts what hangs.
/// A full disk is no reason for it, since a restart would not help.
#[must_use]
pub fn watch(app: App) -> Option<JoinHandle<()>> {
    let period = sd_notify::watchdog_enabled()?;
    Some(tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(period / 2).await;
            if is_alive(&app, period / 2).await {
                tell(&[NotifyState::Watchdog]);
            } else {
                warn!("The engine did not answer in time; the service manager is not reassured");
            }
        }
    }))
}

async fn is_alive(app: &App, patience: Duration) -> bool {
    let answer = app.engine().observe(APPLIANCE);
    matches!(tokio::time::timeout(patience, answer).await, Ok(Some(_)))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("Cannot tell the service manager: {error}");
    }
}

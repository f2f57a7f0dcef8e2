//! An appliance beside a command, for as long as the command takes.

use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::oneshot;

use super::doors::{Doors, Serving};
use crate::config::Config;

/// An appliance on a thread and a runtime of its own, reached by its control socket alone.
pub struct Beside {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Beside {
    /// Starts it and returns when it takes requests.
    ///
    /// # Errors
    /// Returns why the data directory cannot be used.
    pub async fn start(config: Config) -> anyhow::Result<Beside> {
        let (opened, is_open) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            match Serving::open(&config, Doors::Control).await {
                Err(error) => drop(opened.send(Err(error))),
                Ok(serving) => {
                    let _ = opened.send(Ok(())); // The command may have been interrupted.
                    let _ = stopped.await; // Both outcomes mean that the command is over.
                    serving.stop().await;
                }
            }
        };
        let thread = std::thread::spawn(move || actix::System::new().block_on(serve));
        is_open.await.context("the appliance ended while it started")??;
        Ok(Beside { stop, thread })
    }

    /// Stops it and returns when everything is durable.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join(); // Its panic was logged; what is durable stays so.
    }
}

//! The door for mail: a small SMTP server (RFC 5321) that takes what is meant for a tenant, and
//! answers 250 only when it is durable. It relays nothing.

mod carrier;
mod command;
mod lines;
mod session;
pub mod settings;

use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use crate::app::App;
use session::Session;
use settings::MailSettings;

/// An open door for mail.
#[derive(Debug)]
pub struct MailDoor(JoinHandle<()>);

impl MailDoor {
    /// Opens the door on a listener; it must be called on a thread that runs local tasks.
    ///
    /// # Errors
    /// Fails when the listener cannot be used.
    pub fn open(
        app: App,
        settings: MailSettings,
        tls: Option<Arc<ServerConfig>>,
        listener: std::net::TcpListener,
    ) -> std::io::Result<MailDoor> {
        let listener = TcpListener::from_std(listener)?;
        let manner = Manner { settings: Rc::new(settings), tls: tls.map(TlsAcceptor::from) };
        Ok(MailDoor(tokio::task::spawn_local(serve(app, manner, listener))))
    }

    /// Closes the door. A mail that was not answered for is sent again by its sender.
    pub async fn close(self) {
        self.0.abort();
        let _ = self.0.await; // It was told to end, so that it ended early is no news.
    }
}

/// How conversations are held.
#[derive(Clone)]
struct Manner {
    settings: Rc<MailSettings>,
    /// Shakes hands with who asks for TLS; without it, nobody is offered any.
    tls: Option<TlsAcceptor>,
}

async fn serve(app: App, manner: Manner, listener: TcpListener) {
    let settings = Rc::clone(&manner.settings);
    let room = Arc::new(Semaphore::new(settings.connections_max));
    // Dropping the set ends every conversation with the door.
    let mut conversations = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let permit = Arc::clone(&room).try_acquire_owned().ok();
                    let session = Session::new(app.clone(), manner.clone(), stream);
                    conversations.spawn_local(async move {
                        match permit {
                            Some(_permit) => session.converse().await,
                            None => session.turn_away().await,
                        }
                    });
                }
                Err(error) => {
                    warn!("Could not accept a connection for mail: {error}");
                    tokio::time::sleep(settings.accept_pause()).await;
                }
            },
            Some(_) = conversations.join_next() => {} // Its end needs nothing more.
        }
    }
}

//! Opens the doors: accepts connections, speaks TLS where there is a certificate, and turns away
//! who has too many of them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Protocol, Request};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::web::Data;
use actix_web::{App as Actix, web};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection::{Carrier, Connection, Patience};
use super::crowd::Place;
use super::settings::Listeners;
use super::state::Front;
use super::{configure, configure_demo, envelope, origin};
use crate::app::App;

/// How long a client may take to let go of a connection that ends.
const LET_GO: Duration = Duration::from_secs(1);
/// What a plain connection is told that is one too many; one over TLS is closed.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

type Accepted = (Connection, Protocol, Option<SocketAddr>);

/// Builds the server; it serves until its handle stops it, and leaves signals to the caller.
///
/// # Errors
/// Fails when a listener cannot be used or the control socket cannot be made.
pub fn server(app: Data<App>, front: Data<Front>, listeners: Listeners) -> io::Result<Server> {
    let settings = &front.settings;
    let builder = ServerBuilder::new()
        .workers(settings.workers.max(1))
        .max_concurrent_connections(settings.connections_max)
        .shutdown_timeout(settings.shutdown_ms.div_ceil(1_000))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let builder = match listeners.tcp {
        Some(listener) => {
            let (app, front, stopping) = (app.clone(), front.clone(), stopping.clone());
            let tls = listeners.tls.clone();
            builder.listen("http", listener, move || {
                let answers = service(&app, &front, &stopping);
                let (front, tls) = (front.clone(), tls.clone().map(TlsAcceptor::from));
                fn_service(move |stream| accept(stream, front.clone(), tls.clone()))
                    .and_then(answers)
            })?
        }
        None => builder,
    };
    let builder = match listeners.control {
        Some(path) => {
            let listener = control_socket(&path)?;
            builder.listen_uds("control", listener, move || {
                let patience = Patience::of(&front.settings);
                fn_service(move |stream| accept_local(stream, patience))
                    .and_then(service(&app, &front, &stopping))
            })?
        }
        None => builder,
    };
    Ok(builder.run())
}

/// Makes what answers the requests of a connection, whichever door it came through.
fn service(
    app: &Data<App>,
    front: &Data<Front>,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<Accepted, Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<> {
    let (settings, stopping) = (front.settings.clone(), stopping.clone());
    let routes = Actix::new()
        .app_data(app.clone())
        .app_data(front.clone())
        .wrap(from_fn(envelope::wrap))
        .configure(configure(&settings.base()))
        .configure(configure_demo(front))
        .default_service(web::to(envelope::unknown));
    let routes = <Actix<_> as IntoServiceFactory<_, Request>>::into_factory(routes);
    HttpService::<Connection, _, BoxBody>::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
        .client_disconnect_timeout(LET_GO)
        .keep_alive(Duration::from_millis(settings.keep_alive_ms))
        .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
            data.insert(connection.link());
        })
        .finish(map_config(routes, |()| AppConfig::default()))
}

async fn accept(
    stream: TcpStream,
    front: Data<Front>,
    tls: Option<TlsAcceptor>,
) -> Result<Accepted, DispatchError> {
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let Ok(place) = place_of(&front, peer) else {
        front.metrics.connection_refused();
        if tls.is_none() {
            // Whether it still hears it changes nothing.
            let _ = timeout(LET_GO, turn_away(stream)).await;
        }
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    };
    let patience = Patience::of(&front.settings);
    let carrier = match tls {
        None => Carrier::Plain(stream),
        Some(acceptor) => {
            let shaken = timeout(patience.head, acceptor.accept(stream)).await;
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            Carrier::Tls(Box::new(shaken.map_err(late)??))
        }
    };
    Ok((Connection::new(carrier, patience, place), Protocol::Http1, Some(peer)))
}

/// Says that an address has all the connections that it may have.
struct Full;

/// Takes a place for a connection. A proxy that is believed speaks for many: the requests that it
/// passes on are counted instead, by the address that each is from.
fn place_of(front: &Front, peer: SocketAddr) -> Result<Option<Place>, Full> {
    if origin::trusts(&front.settings.trusted_proxies, peer.ip().to_canonical()) {
        return Ok(None);
    }
    front.crowd.enter(peer.ip()).map(Some).ok_or(Full)
}

async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(FULL).await?;
    stream.shutdown().await
}

async fn accept_local(stream: UnixStream, patience: Patience) -> Result<Accepted, DispatchError> {
    let connection = Connection::new(Carrier::Local(stream), patience, None);
    Ok((connection, Protocol::Http1, None))
}

/// Makes the control socket anew: the data directory is locked, so one that exists is a leftover.
fn control_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // Removed, or never there.
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

//! The appliance with its doors open: an address, the control socket, and the way out.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::Appliance;
use super::housekeeping::Housekeeping;
use super::service_manager;
use super::threads;
use super::tls::Tls;
use super::watching::{self, Origins, Watching};
use crate::activities::Activities;
use crate::app::App;
use crate::app::demo::Demo;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::demo;
use crate::mail::MailDoor;
use crate::mail::settings::MailSettings;
use crate::metrics::Metrics;
use crate::web::settings::Listeners;
use crate::web::state::Front;
use crate::web::stream::Streams;

/// How a process ends that was asked to twice.
const EXIT_INTERRUPTED: i32 = 130;
const EXIT_TERMINATED: i32 = 143;
/// Sent when a file outgrows a limit of the system; its default is to end the process.
const SIGXFSZ: i32 = 25;

/// What of a process its core dump holds, as bits.
const COREDUMP_FILTER: &str = "/proc/self/coredump_filter";

/// Which doors are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doors {
    /// The address of the configuration, and the control socket.
    All,
    /// The control socket alone, for a command that found no server.
    Control,
}

/// Serves until a signal ends it; `opened` is told when requests are taken.
///
/// # Errors
/// Returns why it cannot start, or why it ended by itself.
pub fn run(loaded: &Loaded, opened: impl FnOnce(&Serving)) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let origins = Origins::of(loaded);
        let mut serving = Serving::open_from(&loaded.config, Doors::All, origins).await?;
        opened(&serving);
        service_manager::tell_ready(serving.address);
        let watch = service_manager::watch(serving.appliance.app().clone());
        let outcome = serving.until_asked_to_stop().await;
        service_manager::tell_stopping();
        if let Some(watch) = watch {
            watch.abort(); // It holds the application, which must let go of the store.
        }
        serving.stop().await;
        outcome
    })
}

/// An appliance that takes requests.
pub struct Serving {
    appliance: Appliance,
    housekeeping: Housekeeping,
    watching: Option<Watching>,
    server: ServerHandle,
    streams: Arc<Streams>,
    mail: Option<MailDoor>,
    ended: JoinHandle<std::io::Result<()>>,
    control: PathBuf,
    hang_up: Option<JoinHandle<()>>,
    /// `https` where it speaks TLS at its address, else `http`.
    pub scheme: &'static str,
    /// Where it listens, when it has an address.
    pub address: Option<SocketAddr>,
    /// Where it takes mail, if it does.
    pub mail_address: Option<SocketAddr>,
    /// The path of the one-time link for the first person, while nobody has a key.
    pub setup_path: Option<String>,
}

impl Serving {
    /// Starts the appliance and opens its doors.
    ///
    /// # Errors
    /// Returns why the address, the data directory or the control socket cannot be used.
    pub async fn open(config: &Config, doors: Doors) -> anyhow::Result<Serving> {
        Serving::open_from(config, doors, Origins::default()).await
    }

    /// Starts the appliance as `open` does, and remembers where its settings come from.
    ///
    /// # Errors
    /// Returns why the address, the data directory or the control socket cannot be used.
    pub async fn open_from(
        config: &Config,
        doors: Doors,
        origins: Origins,
    ) -> anyhow::Result<Serving> {
        prepare(config)?;
        // Bound before anything else, so that an address in use is found at once.
        let tcp = match doors {
            Doors::All => Some(bind(&config.http.listen)?),
            Doors::Control => None,
        };
        let address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let smtp = match doors {
            Doors::All if config.mail.is_on() => Some(bind_mail(&config.mail)?),
            Doors::All | Doors::Control => None,
        };
        let mail_address = smtp.as_ref().and_then(|listener| listener.local_addr().ok());
        let tls = Tls::load(config, doors, Clock::system().now())?;
        let stage = address.filter(|_| config.demo);
        let appliance = started(config, stage).await?;
        let appliance = appliance.with_lookout(watching::lookout(config, origins));
        let app = appliance.app();
        let demo = match stage {
            Some(address) => demo::begin(app, address, &config.http.base()).await?,
            None => None,
        };
        app.first_start(&config.bootstrap_key).await?;
        let housekeeping = Housekeeping::start(app.clone(), tls.certificates()).await?;
        // A command beside is over before anybody could be told of anything.
        let watching = (doors == Doors::All).then(|| Watching::start(app));
        let hang_up = tls.watch(app.clock().clone())?;
        let front = front(config, app, demo, &tls);
        let streams = Arc::clone(&front.streams);
        let scheme = if tls.http.is_some() { "https" } else { "http" };
        let listeners =
            Listeners { tcp, tls: tls.for_http()?, control: Some(config.control_socket()) };
        let server = crate::web::server(Data::new(app.clone()), Data::new(front), listeners)
            .context("cannot open the doors")?;
        let handle = server.handle();
        let ended = tokio::task::spawn_local(server);
        let mail = smtp.map(|listener| mail_door(config, app, &tls, listener)).transpose()?;
        let link = if doors == Doors::All { app.first_link().await? } else { None };
        Ok(Serving {
            appliance,
            housekeeping,
            watching,
            server: handle,
            streams,
            ended,
            control: config.control_socket(),
            address,
            scheme,
            hang_up,
            mail,
            mail_address,
            setup_path: link.map(|link| link.path),
        })
    }

    /// Waits until somebody asks the process to stop, or the server ends by itself.
    ///
    /// # Errors
    /// Returns why the server ended.
    pub async fn until_asked_to_stop(&mut self) -> anyhow::Result<()> {
        let (mut terminated, mut interrupted) = stop_signals()?;
        tokio::select! {
            _ = terminated.recv() => info!("Stopping, as asked"),
            _ = interrupted.recv() => info!("Stopping, as asked; once more ends it at once"),
            ended = &mut self.ended => bail!("the server ended by itself: {ended:?}"),
        }
        tokio::task::spawn_local(async move {
            let code = tokio::select! {
                _ = terminated.recv() => EXIT_TERMINATED,
                _ = interrupted.recv() => EXIT_INTERRUPTED,
            };
            warn!("Ended at once, as asked twice; the next start recovers");
            std::process::exit(code);
        });
        Ok(())
    }

    /// Closes the doors, lets what has begun end, and makes everything durable.
    pub async fn stop(self) {
        // A stream has no end of its own, and the server waits for what has begun.
        self.streams.close();
        if let Some(hang_up) = self.hang_up {
            hang_up.abort();
        }
        self.appliance.app().send_workers_home();
        self.appliance.app().break_off_backup();
        if let Some(mail) = self.mail {
            mail.close().await;
        }
        self.server.stop(true).await;
        let _ = std::fs::remove_file(&self.control); // A leftover is replaced at the next start.
        self.housekeeping.stop().await;
        self.watching.into_iter().for_each(Watching::stop);
        self.appliance.stop().await;
    }
}

/// Starts the appliance; the demo's pager, billing and CRM live in this very process.
async fn started(config: &Config, stage: Option<SocketAddr>) -> anyhow::Result<Appliance> {
    let mut egress = config.egress.clone();
    egress.allow.extend(stage.map(demo::own_network));
    let appliance = Appliance::start(
        &config.store_settings(),
        config.engine_settings(),
        Activities::built_in(&egress).with_events(&config.events),
        Arc::new(Metrics::new()),
        &config.secret_key,
    )
    .await?;
    Ok(limited(appliance, config))
}

fn front(config: &Config, app: &App, demo: Option<Demo>, tls: &Tls) -> Front {
    let front = Front::new(config.http.clone(), app.clock().clone())
        .with_forms_per_minute(config.intake.form_submissions_per_minute)
        .with_certificates(tls.by_door());
    match demo {
        Some(demo) => front.with_demo(demo),
        None => front,
    }
}

fn mail_door(
    config: &Config,
    app: &App,
    tls: &Tls,
    listener: TcpListener,
) -> anyhow::Result<MailDoor> {
    let door = MailDoor::open(app.clone(), config.mail.clone(), tls.for_mail()?, listener);
    door.context("cannot open the door for mail")
}

/// Sets the limits of the use cases.
fn limited(appliance: Appliance, config: &Config) -> Appliance {
    appliance
        .with_intake(config.intake.clone())
        .with_quotas(config.quotas.clone())
        .with_access(config.access.clone())
        .with_backups(&config.backup, &config.data_dir)
        .with_retention(config.retention.clone())
}

fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}; choose another address with --listen")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind_mail(settings: &MailSettings) -> anyhow::Result<TcpListener> {
    if let Some(fault) = settings.fault() {
        bail!(fault);
    }
    let address = &settings.listen;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot take mail at {address}; change `mail.listen`"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn stop_signals() -> anyhow::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

/// Asks the system for what is needed, and takes over the signals that would end the process.
fn prepare(config: &Config) -> anyhow::Result<()> {
    threads::insist_on(config.http.workers + usize::from(config.engine.threads))?;
    survive_a_file_limit()?;
    keep_memory_out_of_dumps();
    survive_a_hang_up()
}

/// A terminal that goes away takes nothing with it.
fn survive_a_hang_up() -> anyhow::Result<()> {
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hung_up.recv().await.is_some() {
            info!("The terminal hung up, or somebody asked; it serves on");
        }
    });
    Ok(())
}

/// Lets a dump of this process hold nothing of its memory, where secrets are opened: the kernel
/// leaves out every kind of mapping whose bit is not set (core(5), "Controlling which mappings").
fn keep_memory_out_of_dumps() {
    if let Err(error) = std::fs::write(COREDUMP_FILTER, "0") {
        warn!("A core dump of this process would hold its memory: {COREDUMP_FILTER}: {error}");
    }
}

/// Takes over the signal of the file size limit: the write then fails like one to a full disk,
/// which is survived, instead of ending the process.
fn survive_a_file_limit() -> anyhow::Result<()> {
    let mut exceeded = signal(SignalKind::from_raw(SIGXFSZ))?;
    tokio::task::spawn_local(async move {
        while exceeded.recv().await.is_some() {
            warn!("A file has met the size limit of the system; the write was refused");
        }
    });
    Ok(())
}

//! A connection as the server reads and writes it: plain, over TLS or within the box, and cut off
//! when its client takes its time.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::{TcpStream, UnixStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::crowd::Place;
use super::settings::WebSettings;

/// How often a client that takes its time is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What lies below.
pub enum Carrier {
    /// A plain connection.
    Plain(TcpStream),
    /// One over TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// One over the control socket.
    Local(UnixStream),
}

/// Which door a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The address, without encryption.
    Plain,
    /// The address, over TLS.
    Tls,
    /// The control socket, whose callers own the box.
    Local,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The client may begin a request, and must then end its head in time.
    Client,
    /// The server is at work on a request.
    Server,
}

/// What requests know of the connection that they came over.
#[derive(Debug)]
pub struct Link {
    /// The door.
    pub door: Door,
    /// Our own address, where there is one.
    pub local: Option<SocketAddr>,
    turn: Cell<Turn>,
}

impl Link {
    /// Notes that a head has arrived whole; until what is returned is dropped, the client owes
    /// nothing.
    #[must_use]
    pub fn begin(self: &Rc<Link>) -> AtWork {
        self.turn.set(Turn::Server);
        AtWork(Rc::clone(self))
    }
}

/// A request that the server is at work on.
#[derive(Debug)]
pub struct AtWork(Rc<Link>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.turn.set(Turn::Client);
    }
}

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte.
    pub head: Duration,
    /// For an answer before its rate counts.
    pub answer: Duration,
    /// How many bytes of an answer must be taken in a second from then on.
    pub bytes_per_second_min: u64,
}

impl Patience {
    /// Reads it from the settings.
    #[must_use]
    pub fn of(settings: &WebSettings) -> Patience {
        Patience {
            head: Duration::from_millis(settings.head_timeout_ms),
            answer: Duration::from_millis(settings.answer_grace_ms),
            bytes_per_second_min: settings.transfer_bytes_per_second_min,
        }
    }
}

/// An answer that the client is not ready to take.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    since: Instant,
    taken_bytes: u64,
}

/// A connection.
pub struct Connection {
    carrier: Carrier,
    link: Rc<Link>,
    patience: Patience,
    /// Since when a head is on its way.
    head_since: Option<Instant>,
    head_timer: Option<Pin<Box<Sleep>>>,
    backlog: Option<Backlog>,
    backlog_timer: Option<Pin<Box<Sleep>>>,
    _place: Option<Place>,
}

impl Connection {
    /// Takes over what was accepted.
    #[must_use]
    pub fn new(carrier: Carrier, patience: Patience, place: Option<Place>) -> Connection {
        let (door, local) = match &carrier {
            Carrier::Plain(stream) => (Door::Plain, stream.local_addr().ok()),
            Carrier::Tls(stream) => (Door::Tls, stream.get_ref().0.local_addr().ok()),
            Carrier::Local(_) => (Door::Local, None),
        };
        Connection {
            carrier,
            link: Rc::new(Link { door, local, turn: Cell::new(Turn::Client) }),
            patience,
            head_since: None,
            head_timer: None,
            backlog: None,
            backlog_timer: None,
            _place: place,
        }
    }

    /// Returns what requests may know of it.
    #[must_use]
    pub fn link(&self) -> Rc<Link> {
        Rc::clone(&self.link)
    }

    /// Fails when a head that has begun is not whole in time. The framework watches the first head
    /// of a connection only.
    fn check_head(&mut self, ctx: &mut Context<'_>) -> io::Result<()> {
        if self.link.turn.get() == Turn::Server {
            self.head_since = None;
        }
        let Some(since) = self.head_since else { return Ok(()) };
        match until(&mut self.head_timer, since + self.patience.head, ctx) {
            Poll::Ready(()) => Err(too_slow("the head of a request took too long")),
            Poll::Pending => Ok(()),
        }
    }

    /// Fails when a client has taken too little of what it was sent.
    fn check_backlog(&mut self, ctx: &mut Context<'_>) -> io::Result<()> {
        let now = Instant::now();
        let backlog = *self.backlog.get_or_insert(Backlog { since: now, taken_bytes: 0 });
        let took = now.duration_since(backlog.since);
        let due = u128::from(self.patience.bytes_per_second_min) * took.as_millis() / 1_000;
        if took >= self.patience.answer && u128::from(backlog.taken_bytes) < due {
            return Err(too_slow("the client does not take its answer"));
        }
        let look = (backlog.since + self.patience.answer).max(now + LOOK_AGAIN);
        // It lies ahead, so that the timer is set and wakes this task.
        let _ = until(&mut self.backlog_timer, look, ctx);
        Ok(())
    }

    fn stalled<T>(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.check_backlog(ctx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Polls a timer that is made at its first use, after it was set to `deadline`.
fn until(
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    ctx: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(ctx)
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = match &mut this.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_read(ctx, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(ctx, buffer),
            Carrier::Local(stream) => Pin::new(stream).poll_read(ctx, buffer),
        };
        let is_client = this.link.turn.get() == Turn::Client;
        if is_client && buffer.filled().len() > before && this.head_since.is_none() {
            this.head_since = Some(Instant::now());
        }
        if outcome.is_pending() {
            this.check_head(ctx)?;
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = match &mut this.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Local(stream) => Pin::new(stream).poll_write(ctx, bytes),
        };
        if outcome.is_pending() {
            return this.stalled(ctx);
        }
        let written = ready!(outcome)?;
        if let Some(backlog) = &mut this.backlog {
            backlog.taken_bytes += written as u64;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = match &mut this.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Local(stream) => Pin::new(stream).poll_flush(ctx),
        };
        if outcome.is_pending() {
            return this.stalled(ctx);
        }
        // The server flushes after it has written all that it had.
        this.backlog = None;
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = match &mut this.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Local(stream) => Pin::new(stream).poll_shutdown(ctx),
        };
        if outcome.is_pending() { this.stalled(ctx) } else { outcome }
    }
}

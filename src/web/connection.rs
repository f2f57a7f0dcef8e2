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

/// Whether a body follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The next bytes are another head.
    Nothing,
    /// A body is on its way, and was not taken whole yet.
    Body,
}

/// What requests know of the connection that they came over.
#[derive(Debug)]
pub struct Link {
    /// The door.
    pub door: Door,
    /// Our own address, where there is one.
    pub local: Option<SocketAddr>,
    turn: Cell<Turn>,
    /// How many heads have arrived whole.
    heads: Cell<u64>,
    tail: Cell<Tail>,
}

impl Link {
    /// Notes that a head has arrived whole; until what is returned is dropped, the client owes
    /// nothing.
    #[must_use]
    pub fn begin(self: &Rc<Link>, tail: Tail) -> AtWork {
        self.tail.set(tail);
        self.turn.set(Turn::Server);
        self.heads.set(self.heads.get() + 1);
        AtWork(Rc::clone(self))
    }

    /// Notes that the body of the present request was taken whole.
    pub fn body_taken(&self) {
        self.tail.set(Tail::Nothing);
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
    /// How many heads had arrived when the present one began.
    heads: u64,
    /// Since when a head is on its way.
    head_since: Option<Instant>,
    lines: Lines,
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
            link: Rc::new(Link {
                door,
                local,
                turn: Cell::new(Turn::Client),
                heads: Cell::new(0),
                tail: Cell::new(Tail::Nothing),
            }),
            patience,
            heads: 0,
            head_since: None,
            lines: Lines::default(),
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

    /// Looks at bytes that came while the client may begin a request.
    fn see(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.heads != self.link.heads.get() {
            self.heads = self.link.heads.get();
            self.head_since = None;
            self.lines = Lines::default();
        }
        if bytes.is_empty() || self.link.turn.get() == Turn::Server {
            return Ok(());
        }
        self.head_since.get_or_insert_with(Instant::now);
        match self.link.tail.get() {
            Tail::Nothing => self.lines.read(bytes),
            Tail::Body => Ok(()), // What nobody wanted to read may have any lines.
        }
    }

    /// Fails when a head that has begun is not whole in time. The framework watches the first head
    /// of a connection only.
    fn check_head(&mut self, ctx: &mut Context<'_>) -> io::Result<()> {
        let Some(since) = self.head_since else { return Ok(()) };
        if self.backlog.is_some() {
            return Ok(()); // Further requests wait until the answers before them are taken.
        }
        match until(&mut self.head_timer, since + self.patience.head, ctx) {
            Poll::Ready(()) => Err(too_slow("the head of a request took too long")),
            Poll::Pending => Ok(()),
        }
    }

    /// Says why the connection ends, as far as that goes out at once.
    fn refuse(&mut self, ctx: &mut Context<'_>, fault: &io::Error) {
        if self.link.tail.get() == Tail::Body {
            return; // Its request was answered already.
        }
        let status = match fault.kind() {
            io::ErrorKind::TimedOut => "408 Request Timeout",
            _ => "400 Bad Request", // The other fault of a head is its lines.
        };
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        // Whether it arrives changes nothing: the connection ends.
        let _ = self.carrier.poll_write(ctx, answer.as_bytes());
        let _ = self.carrier.poll_flush(ctx);
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

impl Carrier {
    fn poll_write(&mut self, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Carrier::Plain(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Local(stream) => Pin::new(stream).poll_write(ctx, bytes),
        }
    }

    fn poll_flush(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Plain(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Local(stream) => Pin::new(stream).poll_flush(ctx),
        }
    }

    fn poll_shutdown(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Plain(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Local(stream) => Pin::new(stream).poll_shutdown(ctx),
        }
    }
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
        let mut seen = this.see(&buffer.filled()[before..]);
        if outcome.is_pending() && seen.is_ok() {
            seen = this.check_head(ctx);
        }
        match seen {
            Ok(()) => outcome,
            Err(fault) => {
                this.refuse(ctx, &fault);
                Poll::Ready(Err(fault))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = this.carrier.poll_write(ctx, bytes);
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
        let outcome = this.carrier.poll_flush(ctx);
        if outcome.is_pending() {
            return this.stalled(ctx);
        }
        // The server flushes after it has written all that it had.
        if this.backlog.take().is_some() && this.head_since.is_some() {
            this.head_since = Some(Instant::now());
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = this.carrier.poll_shutdown(ctx);
        if outcome.is_pending() { this.stalled(ctx) } else { outcome }
    }
}

/// The lines of a head as they come. The framework takes a lone line feed for the end of a line;
/// a proxy in front may not, and the two would see different requests.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    last: [u8; 3],
    has_begun: bool,
    is_over: bool,
}

impl Lines {
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            if self.is_over {
                return Ok(()); // What follows is no head any more.
            }
            let [_, before, last] = self.last;
            if *byte == b'\n' && last != b'\r' {
                let fault = "a line of a head ends with a line feed alone";
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
            self.is_over = self.has_begun && *byte == b'\n' && self.last == *b"\r\n\r";
            // Empty lines before a request are passed over (RFC 9112, section 2.2).
            self.has_begun |= !matches!(byte, b'\r' | b'\n');
            self.last = [before, last, *byte];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_head_end_properly() {
        for (text, is_sound) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nbody\nof\nlines", true),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", true),
            ("GET / HTTP/1.1\nhost: x\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nhost: x\ncontent-length: 5\r\n\r\n", false),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\n\r\n", false),
            ("\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", false),
        ] {
            let (mut whole, mut pieces) = (Lines::default(), Lines::default());
            assert_eq!(whole.read(text.as_bytes()).is_ok(), is_sound, "{text:?}");
            let read: io::Result<()> = text.bytes().try_for_each(|byte| pieces.read(&[byte]));
            assert_eq!(read.is_ok(), is_sound, "{text:?}");
        }
    }
}

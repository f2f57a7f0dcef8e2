//! What a conversation goes over: a plain connection, which may become one over TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What lies below a conversation.
pub(super) enum Carrier {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed; there is nobody to talk to.
    Gone,
}

impl Carrier {
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Carrier::Tls(_))
    }

    /// Shakes hands with a sender who asked for TLS.
    pub(super) async fn encrypt(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        match std::mem::replace(self, Carrier::Gone) {
            Carrier::Plain(stream) => {
                *self = Carrier::Tls(Box::new(acceptor.accept(stream).await?));
                Ok(())
            }
            Carrier::Tls(_) | Carrier::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(stream) => Pin::new(stream).poll_read(ctx, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(ctx, buffer),
            Carrier::Gone => gone(),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Carrier::Plain(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(ctx, bytes),
            Carrier::Gone => gone(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(ctx),
            Carrier::Gone => gone(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(ctx),
            Carrier::Gone => gone(),
        }
    }
}

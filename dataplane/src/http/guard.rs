//! A connection that gives up on clients that never finish a request's head.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::refusal;

/// How long a connection may wait for its next request. Longer than the 60 seconds after which an Application Load
/// Balancer drops an idle connection: were it shorter, the balancer would send requests into connections that just close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(65);

/// Nothing of a request has come.
const IDLE: u8 = 0;
/// A part of a request's head has come.
const HEAD: u8 = 1;
/// A request is being answered; its body has a timeout of its own.
const BUSY: u8 = 2;
/// An answer was given since the last look.
const ANSWERED: u8 = 3;

/// Where a connection is between two requests, told by whoever answers them.
#[derive(Debug, Clone)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(IDLE)))
    }

    pub(super) fn head_is_read(&self) {
        self.set(BUSY);
    }

    pub(super) fn answered(&self) {
        self.set(ANSWERED);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// The connection, with the timeouts of its phase.
pub(super) struct Guard {
    stream: TcpStream,
    phase: Phase,
    header_time: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Guard {
    pub(super) fn new(stream: TcpStream, phase: Phase, header_time: Duration) -> Self {
        // A client that opens a connection has something to say.
        let timer = Box::pin(sleep_until(Instant::now() + header_time));
        phase.set(HEAD);
        Self { stream, phase, header_time, timer }
    }

    fn wait(&mut self, phase: u8, time: Duration) {
        self.phase.set(phase);
        self.timer.as_mut().reset(Instant::now() + time);
    }

    /// Ends the wait for a request when its time is up.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase.get() == ANSWERED {
            self.wait(IDLE, IDLE_TIMEOUT);
        }
        let phase = self.phase.get();
        if phase == BUSY {
            return Poll::Pending;
        }
        ready!(self.timer.as_mut().poll(context));
        if phase == IDLE {
            // The end of the input: nothing is missing, and the connection is closed.
            return Poll::Ready(Ok(()));
        }
        // A client that does not read either is told nothing.
        let _ = self.stream.try_write(&refusal::too_slow(self.header_time));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.poll_timeout(context),
            read => {
                let some = buffer.filled().len() > before;
                if some && matches!(self.phase.get(), IDLE | ANSWERED) {
                    let time = self.header_time;
                    self.wait(HEAD, time);
                }
                read
            }
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(answer) = refusal::in_place_of(bytes) {
            // The last words of a connection, and few: they fit into the socket's buffer, or nobody reads them.
            let _ = self.stream.try_write(&answer);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match buffers.first() {
            Some(first) if first.starts_with(b"HTTP/1.1 4") => self.poll_write(context, first),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

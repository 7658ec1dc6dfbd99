//! A connection whose other end has to take what it is sent: who does not in time is cut off, and holds nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Whoever takes so many octets in time is slow, but there.
const ENOUGH: usize = 16 << 10;

/// Once something waits to be taken, all of it or [`ENOUGH`] of it has to go within a time, again and again until all is gone.
#[derive(Debug)]
pub(super) struct Impatient<I> {
    inner: I,
    within: Duration,
    /// Runs while something waits,
    due: Option<Pin<Box<Sleep>>>,
    /// and so much has gone since it was set.
    gone: usize,
}

impl<I> Impatient<I> {
    pub(super) const fn new(inner: I, within: Duration) -> Self {
        Self { inner, within, due: None, gone: 0 }
    }

    fn all_is_gone(&mut self) {
        (self.due, self.gone) = (None, 0);
    }

    /// So many octets have gone, or none could.
    fn after_write(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let Poll::Ready(wrote) = wrote else { return self.waits(context) };
        self.gone += *wrote.as_ref().unwrap_or(&0);
        if self.gone >= ENOUGH {
            self.all_is_gone();
        }
        Poll::Ready(wrote)
    }

    fn after_flush(&mut self, context: &mut Context<'_>, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        let Poll::Ready(flushed) = flushed else { return self.waits(context) };
        self.all_is_gone();
        Poll::Ready(flushed)
    }

    /// Pending, until it has been so for too long.
    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let within = self.within;
        let due = self.due.get_or_insert_with(|| Box::pin(sleep(within)));
        ready!(due.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Impatient<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Impatient<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(context, octets);
        self.after_write(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(context, octets);
        self.after_write(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.after_flush(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.after_flush(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// Longer than any machine needs, for what is to end.
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off_and_so_is_who_takes_an_octet_now_and_then() {
        for trickle in [false, true] {
            let (mut near, far) = duplex(1024);
            let mut far = Impatient::new(far, Duration::from_millis(50));
            let takes = tokio::spawn(async move {
                while trickle && near.read_u8().await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                std::future::pending::<()>().await;
            });
            let sent = tokio::time::timeout(LONG, far.write_all(&[7; 1 << 20])).await.unwrap();
            assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut, "{trickle}");
            takes.abort();
        }
    }

    #[tokio::test]
    async fn who_takes_what_comes_gets_all_of_it_however_long_nothing_comes() {
        let (mut near, far) = duplex(1024);
        let mut far = Impatient::new(far, Duration::from_secs(2));
        let taken = tokio::spawn(async move {
            let mut taken = Vec::new();
            near.read_to_end(&mut taken).await.map(|_| taken.len())
        });
        far.write_all(&[7; 1 << 20]).await.unwrap();
        far.flush().await.unwrap();
        assert!(far.due.is_none(), "nothing waits");
        far.write_all(&[7; 5]).await.unwrap();
        far.shutdown().await.unwrap();
        drop(far);
        assert_eq!(taken.await.unwrap().unwrap(), (1 << 20) + 5);
    }
}

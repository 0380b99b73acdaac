//! Which runtime serves a connection.

use std::{future::Future, io, sync::Arc};

use tokio::{net::TcpStream, runtime::Handle};

/// The runtimes that connections are spread over; none: the one that accepts them.
#[derive(Debug, Default)]
pub(super) struct Spread(Vec<Place>);

#[derive(Debug)]
struct Place {
    runtime: Handle,
    /// Held by each of its connections as well.
    open: Arc<()>,
}

impl Spread {
    pub(super) fn over(runtimes: impl IntoIterator<Item = Handle>) -> Self {
        Self(runtimes.into_iter().map(|runtime| Place { runtime, open: Arc::default() }).collect())
    }

    /// Has `serve` look after a connection where the fewest are.
    pub(super) fn spawn<S, F>(&self, stream: TcpStream, serve: S) -> io::Result<()>
    where
        S: FnOnce(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        match self.0.iter().min_by_key(|place| Arc::strong_count(&place.open)) {
            // A future that is moved in would take its room twice: it is made where it runs.
            None => drop(tokio::spawn(async move { serve(stream).await })),
            Some(place) => {
                // What is ready to be read is told to one runtime.
                let (stream, open) = (stream.into_std()?, Arc::clone(&place.open));
                place.runtime.spawn(async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve(stream).await,
                        Err(error) => tracing::warn!(%error, "cannot serve a connection"),
                    }
                    drop(open);
                });
            }
        }
        Ok(())
    }
}

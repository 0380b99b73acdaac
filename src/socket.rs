//! What both sides of the house know of sockets.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use smallvec::SmallVec;
use tokio::{io::AsyncWrite, net::TcpStream};

/// What is copied together to be written at once, in bytes: mostly a head and its body.
const SMALL: usize = 4096;

/// Writes to a socket, what is small in one piece: a system takes that in less time than it looks at several.
pub(crate) fn poll_write_slices(socket: Pin<&mut TcpStream>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    if let [slice] = slices {
        return socket.poll_write(cx, slice);
    }
    if slices.iter().map(|slice| slice.len()).sum::<usize>() > SMALL {
        return socket.poll_write_vectored(cx, slices);
    }
    let mut piece = SmallVec::<[u8; SMALL]>::new();
    for slice in slices {
        piece.extend_from_slice(slice);
    }
    socket.poll_write(cx, &piece)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn slices_arrive_in_order_whatever_their_size() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let (head, body) = (vec![b'h'; 100], vec![b'b'; SMALL - 100]);
        for parts in [vec![&head[..]], vec![&head, &body], vec![&head, &body, b"!"], vec![b"", &head, b"", b"!"], vec![&body, &body, &head]]
        {
            let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let written = poll_fn(|cx| poll_write_slices(Pin::new(&mut ours), cx, &slices)).await.unwrap();
            let mut read = vec![0; parts.concat().len()];
            assert_eq!(written, read.len());
            theirs.read_exact(&mut read).await.unwrap();
            assert_eq!(read, parts.concat());
        }
    }
}

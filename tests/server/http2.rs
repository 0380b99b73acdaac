//! Frames that no honest peer sends, written by hand.

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The reason of a peer that is told to calm down.
const CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A request's head: method and path, and nothing compressed.
fn head(method: &str, path: &str) -> Vec<u8> {
    let mut block = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86];
    for (name, value) in [(0x44, path), (0x41, "x")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.bytes());
    }
    block
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", path))
}

/// A connection of frames.
struct Peer {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

/// A frame that came.
#[derive(Debug)]
struct Came {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Came {
    /// The reason of a reset or a farewell.
    fn reason(&self) -> u32 {
        let at = if self.kind == GO_AWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

impl Peer {
    async fn connect(server: &Running, settings: &[u8]) -> Self {
        let (read, mut write) = TcpStream::connect(server.address).await.unwrap().into_split();
        write.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await.unwrap();
        Self { read, write }
    }

    async fn send(&mut self, bytes: &[u8]) {
        soon(self.write.write_all(bytes)).await.unwrap();
    }

    /// Sends `bytes` again and again while it reads, until the server has enough; gives the reason that it is told.
    async fn flood(mut self, bytes: &[u8], times: usize) -> Option<u32> {
        let mut write = self.write;
        let flood = async {
            for _ in 0..times {
                if write.write_all(bytes).await.is_err() {
                    break;
                }
            }
            write
        };
        let farewell = async {
            let reason = until(&mut self.read, |came| came.kind == GO_AWAY).await.map(|came| came.reason());
            while next(&mut self.read).await.is_some() {}
            reason
        };
        tokio::join!(soon(flood), farewell).1
    }

    async fn until(&mut self, wanted: impl Fn(&Came) -> bool) -> Option<Came> {
        until(&mut self.read, wanted).await
    }
}

/// The next frame; `None` if there is none to come.
async fn next(read: &mut OwnedReadHalf) -> Option<Came> {
    let mut head = [0; 9];
    soon(read.read_exact(&mut head)).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    soon(read.read_exact(&mut payload)).await.ok()?;
    Some(Came { kind, flags, stream: u32::from_be_bytes(stream), payload })
}

async fn until(read: &mut OwnedReadHalf, wanted: impl Fn(&Came) -> bool) -> Option<Came> {
    while let Some(came) = next(read).await {
        if wanted(&came) {
            return Some(came);
        }
    }
    None
}

async fn still_serves(server: &Running) {
    assert!(answer(&mut server.open(GET).await).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn f023_a_flood_of_resets_is_told_to_calm_down() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let peer = Peer::connect(&server, &[]).await;
    let flood: Vec<u8> = (0..5_000)
        .flat_map(|at| {
            let stream = 2 * at + 1;
            [get(stream, "/wait"), frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    assert_eq!(peer.flood(&flood, 1).await, Some(CALM));
    still_serves(&server).await;
}

#[tokio::test]
async fn f023_a_head_without_end_is_told_to_calm_down() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let large = [&[0, 1, b'x', 0x7f, 0x91, 0x4d][..], &[b'v'; 10_000]].concat();
    for piece in [&[][..], &[0, 1, b'x', 1, b'v'], &large] {
        let mut peer = Peer::connect(&server, &[]).await;
        peer.send(&frame(HEADERS, END_STREAM, 1, &head("GET", "/"))).await;
        let reason = peer.flood(&frame(CONTINUATION, 0, 1, piece), 10_000).await;
        assert_eq!(reason, Some(CALM), "pieces of {}", piece.len());
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn f023_a_head_that_is_too_large_is_refused_on_its_stream() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut peer = Peer::connect(&server, &[]).await;
    let mut block = head("GET", "/");
    for at in 0..7 {
        // A literal name and a value of 10,000 bytes: 7 bits, then the rest in groups of 7.
        block.extend([0x00, 2, b'x', b'a' + at, 0x7f, 0x91, 0x4d]);
        block.extend([b'v'; 10_000]);
    }
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let end = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
        let (kind, flags) = if at == 0 { (HEADERS, END_STREAM | end) } else { (CONTINUATION, end) };
        peer.send(&frame(kind, flags, 1, piece)).await;
    }
    let answer = peer.until(|came| came.kind == HEADERS && came.stream == 1).await.unwrap();
    // The place of `:status` in HPACK's table, then "431" in its Huffman code.
    assert_eq!(answer.payload, [0x48, 0x83, 0x69, 0x90, 0xff], "{answer:?}");
    // The next one is served.
    peer.send(&get(3, "/")).await;
    assert!(peer.until(|came| came.kind == DATA && came.stream == 3 && came.payload == b"xx").await.is_some());
}

#[tokio::test]
async fn f023_data_of_nothing_is_told_to_calm_down() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut peer = Peer::connect(&server, &[]).await;
    peer.send(&frame(HEADERS, END_HEADERS, 1, &head("POST", "/wait"))).await;
    assert_eq!(peer.flood(&frame(DATA, 0, 1, b"").repeat(1_000), 1_000).await, Some(CALM));
    still_serves(&server).await;
}

/// Settings and pings are answered as long as somebody reads the answers, and as long as silence may last.
#[tokio::test]
async fn f023_pings_and_settings_break_no_silence() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.idle_timeout(SHORT).write_stall(SHORT)).await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let flood = flood.repeat(1_000);
        for reads in [true, false] {
            let Peer { mut read, mut write } = Peer::connect(&server, &[]).await;
            let reading = tokio::spawn(async move {
                let mut bytes = vec![0; 64 << 10];
                while reads && matches!(read.read(&mut bytes).await, Ok(1..)) {}
                read
            });
            while soon(write.write_all(&flood)).await.is_ok() {}
            drop(reading.await);
        }
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn f023_a_stream_whose_peer_opens_no_window_is_reset_alone() {
    let (house, mut drops) = House::new();
    let server = run(&house, |server| server.write_stall(SHORT)).await;
    // The initial window is nothing.
    let mut peer = Peer::connect(&server, &[0, 4, 0, 0, 0, 0]).await;
    peer.send(&[get(1, "/endless"), get(3, "/wait")].concat()).await;
    soon(drops.recv()).await.unwrap();
    let reset = peer.until(|came| came.kind == RESET).await.unwrap();
    assert_eq!((reset.stream, reset.reason()), (1, 8), "cancelled");
    // One that waits for us is not stalled by its peer.
    house.release.notify_one();
    peer.send(&frame(WINDOW_UPDATE, 0, 3, &100_u32.to_be_bytes())).await;
    assert!(peer.until(|came| came.kind == DATA && came.stream == 3 && came.payload == b"xx").await.is_some());
}

#[tokio::test]
async fn f023_so_many_streams_and_no_more() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut peer = Peer::connect(&server, &[]).await;
    let settings = peer.until(|came| came.kind == SETTINGS && came.flags != ACK).await.unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 100]), "{settings:?}");
    peer.send(&(0..150).flat_map(|at| get(2 * at + 1, "/wait")).collect::<Vec<_>>()).await;
    let refused = peer.until(|came| came.kind == RESET).await.unwrap();
    assert_eq!((refused.stream, refused.reason()), (201, 7), "refused, to be tried again");
    assert!(house.most.load(SeqCst) <= 100);
}

/// For ever is a time, too.
#[tokio::test]
async fn patience_without_end_is_no_overflow() {
    let (house, _) = House::new();
    let never = Duration::MAX;
    let server = run(&house, |server| server.head_timeout(never).idle_timeout(never).write_stall(never).drain(never)).await;
    still_serves(&server).await;
    let mut peer = Peer::connect(&server, &[]).await;
    peer.send(&get(1, "/")).await;
    assert!(peer.until(|came| came.kind == DATA && came.payload == b"xx").await.is_some());
}

//! A provider that has its answers ready.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

use super::samples::{Api, frames::Frames};

/// Answers of one API.
struct Answers {
    whole: Frames,
    stream: Frames,
}

pub async fn run(listener: TcpListener) {
    let answers = |api: Api| Answers { whole: Frames::new([api.answer()]), stream: Frames::new(api.stream(100)) };
    let answers = Arc::new([answers(Api::Chat), answers(Api::Messages)]);
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let answers = answers.clone();
        let service = service_fn(move |request| answer(answers.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn answer(answers: Arc<[Answers; 2]>, request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let messages = request.uri().path().ends_with("/messages");
    let [chat, message] = &*answers;
    let Answers { whole, stream } = if messages { message } else { chat };
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    // Pictures are not asked about in streams here, and a megabyte need not be searched.
    let streamed = body.len() < 128 << 10 && memmem::find(&body, br#""stream":true"#).is_some();
    let (media, body) = if streamed { ("text/event-stream", stream) } else { ("application/json", whole) };
    Ok(Response::builder().header(header::CONTENT_TYPE, media).body(body.clone()).expect("sound"))
}

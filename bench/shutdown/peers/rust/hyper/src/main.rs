//! hyper with hyper-util's GracefulShutdown, as its documentation shows it, and 5 s for it.
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};

static PIECE: [u8; 65536] = [0; 65536];

fn pieces(bytes: usize) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    futures_util::stream::iter((0..bytes).step_by(PIECE.len()).map(move |at| {
        Ok(Frame::data(Bytes::from_static(
            &PIECE[..PIECE.len().min(bytes - at)],
        )))
    }))
}

fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    Full::new(body.into()).boxed()
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let number = || -> usize {
        request
            .uri()
            .query()
            .and_then(|query| query.split('=').nth(1)?.parse().ok())
            .unwrap_or(0)
    };
    Ok(match request.uri().path() {
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(number() as u64)).await;
            Response::new(whole("slept\n"))
        }
        "/echo" => Response::new(whole(request.into_body().collect().await?.to_bytes())),
        "/big" => {
            let bytes = number();
            Response::builder()
                .header("content-length", bytes)
                .body(BoxBody::new(StreamBody::new(pieces(bytes))))
                .unwrap()
        }
        _ => Response::new(whole("Hello, QCon!\n")),
    })
}

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut stop = signal(SignalKind::terminate()).unwrap();
    std::fs::write(
        "ready.json",
        format!("{{\"app\":\"{}\"}}", listener.local_addr().unwrap()),
    )
    .unwrap();
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service_fn(answer));
                let watched = graceful.watch(connection);
                tokio::spawn(async move { let _ = watched.await; });
            }
            _ = stop.recv() => break,
        }
    }
    drop(listener);
    tokio::select! {
        _ = graceful.shutdown() => {}
        _ = tokio::time::sleep(Duration::from_secs(5)) => {}
    }
}

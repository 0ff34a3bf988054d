//! axum with its with_graceful_shutdown.
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::Router;
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};

static PIECE: [u8; 65536] = [0; 65536];
type Asked = Query<HashMap<String, usize>>;

async fn slow(asked: Asked) -> &'static str {
    tokio::time::sleep(Duration::from_millis(asked["ms"] as u64)).await;
    "slept\n"
}

async fn big(asked: Asked) -> Response {
    let bytes = asked["bytes"];
    let pieces = (0..bytes).step_by(PIECE.len()).map(move |at| {
        Ok::<_, Infallible>(Bytes::from_static(&PIECE[..PIECE.len().min(bytes - at)]))
    });
    Response::builder()
        .header("content-length", bytes)
        .body(Body::from_stream(futures_util::stream::iter(pieces)))
        .unwrap()
}

#[tokio::main]
async fn main() {
    let routes = Router::new()
        .route("/", get(|| async { "Hello, QCon!\n" }))
        .route("/slow", get(slow))
        .route("/big", get(big))
        .route("/echo", post(|body: Bytes| async { body }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let mut stop = signal(SignalKind::terminate()).unwrap();
    std::fs::write(
        "ready.json",
        format!("{{\"app\":\"{}\"}}", listener.local_addr().unwrap()),
    )
    .unwrap();
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await
        .unwrap();
}

//! actix-web, which hears the signal itself, with a shutdown_timeout of 5 s.
use actix_web::body::SizedStream;
use actix_web::web::{self, Bytes, Query};
use actix_web::{App, Error, HttpResponse, HttpServer};
use std::collections::HashMap;
use std::time::Duration;

static PIECE: [u8; 65536] = [0; 65536];
type Asked = Query<HashMap<String, usize>>;

async fn slow(asked: Asked) -> &'static str {
    actix_web::rt::time::sleep(Duration::from_millis(asked["ms"] as u64)).await;
    "slept\n"
}

async fn big(asked: Asked) -> HttpResponse {
    let bytes = asked["bytes"];
    let pieces = (0..bytes)
        .step_by(PIECE.len())
        .map(move |at| Ok::<_, Error>(Bytes::from_static(&PIECE[..PIECE.len().min(bytes - at)])));
    HttpResponse::Ok().body(SizedStream::new(
        bytes as u64,
        futures_util::stream::iter(pieces),
    ))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| {
        App::new()
            .app_data(web::PayloadConfig::new(16 << 20))
            .route("/", web::get().to(|| async { "Hello, QCon!\n" }))
            .route("/slow", web::get().to(slow))
            .route("/big", web::get().to(big))
            .route("/echo", web::post().to(|body: Bytes| async { body }))
    })
    .shutdown_timeout(5)
    .bind(("127.0.0.1", 0))?;
    std::fs::write(
        "ready.json",
        format!("{{\"app\":\"{}\"}}", server.addrs()[0]),
    )?;
    server.run().await
}

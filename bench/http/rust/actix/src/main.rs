// What the service says on / and /echo, by actix-web. Prints its port; the argument says how many threads.
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

async fn hello() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("X-Request-Id", "0123456789abcdef"))
        .content_type("text/plain")
        .body("Hello, QCon!\n")
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("X-Request-Id", "0123456789abcdef"))
        .content_type("application/octet-stream")
        .body(body)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let threads: usize = std::env::args().nth(1).map_or(1, |number| number.parse().unwrap());
    let server = HttpServer::new(|| App::new().route("/", web::get().to(hello)).route("/echo", web::post().to(echo)))
        .workers(threads)
        .max_connections(25_000)
        .bind(("127.0.0.1", 0))?;
    println!("{}", server.addrs()[0].port());
    server.run().await
}

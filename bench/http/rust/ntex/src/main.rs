// What the service says on / and /echo, by ntex. Prints its port; the argument says how many threads.
use ntex::util::Bytes;
use ntex::web::{self, App, HttpResponse};

async fn hello() -> HttpResponse {
    HttpResponse::Ok()
        .header("X-Request-Id", "0123456789abcdef")
        .content_type("text/plain")
        .body("Hello, QCon!\n")
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .header("X-Request-Id", "0123456789abcdef")
        .content_type("application/octet-stream")
        .body(body)
}

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let threads: usize = std::env::args().nth(1).map_or(1, |number| number.parse().unwrap());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    web::server(async || App::new().route("/", web::get().to(hello)).route("/echo", web::post().to(echo)))
        .workers(threads)
        .listen(listener)?
        .run()
        .await
}

// What the service says on / and /echo, by may_minihttp. Prints its port; the argument says how many threads.
use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io::{self, Read};

#[derive(Clone)]
struct Answers;

impl HttpService for Answers {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        response.header("X-Request-Id: 0123456789abcdef");
        if request.path() == "/echo" {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            response.header("Content-Type: application/octet-stream").body_vec(body);
        } else {
            response.header("Content-Type: text/plain").body("Hello, QCon!\n");
        }
        Ok(())
    }
}

fn main() {
    let threads: usize = std::env::args().nth(1).map_or(1, |number| number.parse().unwrap());
    may::config().set_workers(threads);
    // It says nowhere which port it has bound, so it is given one that was free a moment ago.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let serving = HttpServer(Answers).start(("127.0.0.1", port)).unwrap();
    println!("{port}");
    serving.wait();
}

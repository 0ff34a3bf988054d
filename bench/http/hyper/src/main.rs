// What the service says on / and /echo, by hyper. Prints its port; the argument says how many threads.
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};
use std::convert::Infallible;

async fn answer(request: Request<Body>) -> Result<Response<Body>, hyper::Error> {
    let (kind, body) = if request.uri().path() == "/echo" {
        ("application/octet-stream", Body::from(hyper::body::to_bytes(request.into_body()).await?))
    } else {
        ("text/plain", Body::from("Hello, QCon!\n"))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("X-Request-Id", HeaderValue::from_static("0123456789abcdef"));
    Ok(response)
}

async fn serve() {
    let made = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(answer)) });
    let server = Server::bind(&([127, 0, 0, 1], 0).into()).tcp_nodelay(true).http1_pipeline_flush(true).serve(made);
    println!("{}", server.local_addr().port());
    server.await.unwrap();
}

fn main() {
    let threads: usize = std::env::args().nth(1).map_or(1, |number| number.parse().unwrap());
    let mut runtime = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut many = tokio::runtime::Builder::new_multi_thread();
        many.worker_threads(threads);
        many
    };
    runtime.enable_all().build().unwrap().block_on(serve());
}

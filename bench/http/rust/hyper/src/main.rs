// What the service says on / and /echo, by hyper. Prints its port; the argument says how many threads.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (kind, body) = if request.uri().path() == "/echo" {
        ("application/octet-stream", request.into_body().collect().await?.to_bytes())
    } else {
        ("text/plain", Bytes::from_static(b"Hello, QCon!\n"))
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("X-Request-Id", HeaderValue::from_static("0123456789abcdef"));
    Ok(response)
}

async fn serve() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let _ = http1::Builder::new()
                .pipeline_flush(true)
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(socket), service_fn(answer))
                .await;
        });
    }
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

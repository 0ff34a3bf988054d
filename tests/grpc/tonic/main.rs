//! Calls by tonic until stdin ends, for tests/all/grpc_clients: prints what was answered and what failed. Each call
//! brings an X-Request-Id of its own, by which the service's access log tells how often it arrived.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const WORKERS: usize = 3;
const GREET: &str = "/greeter.v1.Greeter/Greet";
const LATER: &str = "/greeter.v1.Greeter/GreetLater";
const MESSAGE: &[u8] = b"\x0a\x03Ada\x10\x1e"; // field 1 a name, field 2 milliseconds
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Messages are made by hand.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(&message[..]);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

async fn call(client: &mut Grpc<Channel>, path: &'static str) -> Result<(), String> {
    let id = format!("tonic-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    client.ready().await.map_err(|fault| format!("not ready: {fault:?} ({id})"))?;
    let mut request = Request::new(MESSAGE.to_vec());
    request.set_timeout(Duration::from_secs(20));
    request.metadata_mut().insert("x-request-id", id.parse().unwrap());
    match client.unary(request, PathAndQuery::from_static(path), Raw).await {
        Ok(reply) if String::from_utf8_lossy(reply.get_ref()).contains("Hello, Ada!") => Ok(()),
        Ok(_) => Err("another reply".to_string()),
        Err(status) => Err(format!("{:?}: {} ({id})", status.code(), status.message())),
    }
}

async fn work(channel: Channel, pause: Duration, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let mut client = Grpc::new(channel);
    let (mut ok, mut failed, mut nth) = (0, Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        nth += 1;
        match call(&mut client, if nth % 4 == 3 { LATER } else { GREET }).await {
            Ok(()) => ok += 1,
            Err(fault) => failed.push(fault),
        }
        tokio::time::sleep(pause).await;
    }
    (ok, failed)
}

fn main() {
    let to = std::env::args().nth(1).unwrap();
    let pause = Duration::from_secs_f64(std::env::var("PAUSE").unwrap().parse().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.store(true, Ordering::Relaxed);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut ok, mut failed) = (0, Vec::new());
    runtime.block_on(async {
        // One connection for all: a worker that is alone on one loses nothing.
        let channel = Endpoint::from_shared(format!("http://{to}")).unwrap().connect_lazy();
        let begin = |_| tokio::spawn(work(channel.clone(), pause, over.clone()));
        for worker in (0..WORKERS).map(begin).collect::<Vec<_>>() {
            let (answered, lost) = worker.await.unwrap();
            ok += answered;
            failed.extend(lost);
        }
    });
    println!("{{\"ok\":{ok},\"failed\":{failed:?}}}");
}

// A peer of bench/websocket/run: tokio-tungstenite on one thread. It does not compress.
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let Ok(mut client) = tokio_tungstenite::accept_async(socket).await else { return };
    while let Some(Ok(message)) = client.next().await {
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        if client.send(message).await.is_err() {
            return;
        }
    }
}

async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        if let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(echo(socket));
        }
    }
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(serve());
}

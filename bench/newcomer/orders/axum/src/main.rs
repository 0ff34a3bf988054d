// Orders in JSON over PostgreSQL with axum and deadpool-postgres: the same as bench/newcomer/README.md asks of each.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use deadpool_postgres::{Manager, Pool};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

#[derive(Deserialize, Serialize)]
struct Order {
    item: String,
    quantity: i32,
    note: Option<String>,
}

impl Order {
    fn faults(&self) -> Vec<Value> {
        let mut all = Vec::new();
        if !(1..=80).contains(&self.item.len()) {
            all.push(json!({"pointer": "/item", "detail": "1 to 80 bytes"}));
        }
        if !(1..=100).contains(&self.quantity) {
            all.push(json!({"pointer": "/quantity", "detail": "a whole number from 1 to 100"}));
        }
        all
    }
}

struct Problem(StatusCode, Vec<Value>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"title": self.0.canonical_reason(), "status": self.0.as_u16(), "errors": self.1});
        let mut made = (self.0, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            made.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        made
    }
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        tracing::warn!(%error, "no answer of the database");
        Problem(StatusCode::SERVICE_UNAVAILABLE, vec![])
    }
}

#[derive(Clone)]
struct App {
    data: Pool,
    ready: Arc<AtomicBool>,
}

type Id = Result<Path<i32>, PathRejection>;

async fn put_order(State(app): State<App>, id: Id, body: Result<Json<Order>, JsonRejection>) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| Problem(StatusCode::NOT_FOUND, vec![]))?;
    let Json(order) = body.map_err(|why| Problem(why.status(), vec![json!({"detail": why.body_text()})]))?;
    let faults = order.faults();
    if !faults.is_empty() {
        return Err(Problem(StatusCode::UNPROCESSABLE_ENTITY, faults));
    }
    let sql = "INSERT INTO orders VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let client = app.data.get().await?;
    match client.execute(sql, &[&id, &order.item, &order.quantity, &order.note]).await? {
        0 => Err(Problem(StatusCode::CONFLICT, vec![])),
        _ => Ok((StatusCode::CREATED, Json(order)).into_response()),
    }
}

async fn get_order(State(app): State<App>, id: Id) -> Result<Json<Order>, Problem> {
    let Path(id) = id.map_err(|_| Problem(StatusCode::NOT_FOUND, vec![]))?;
    let client = app.data.get().await?;
    let found = client.query_opt("SELECT item, quantity, note FROM orders WHERE id = $1", &[&id]).await?;
    let row = found.ok_or(Problem(StatusCode::NOT_FOUND, vec![]))?;
    Ok(Json(Order { item: row.get(0), quantity: row.get(1), note: row.get(2) }))
}

async fn readyz(State(app): State<App>) -> Result<(), Problem> {
    app.ready.load(Ordering::Relaxed).then_some(()).ok_or(Problem(StatusCode::SERVICE_UNAVAILABLE, vec![]))
}

async fn deadline(request: Request, next: Next) -> Response {
    let answered = timeout(Duration::from_secs(30), next.run(request)).await;
    answered.unwrap_or_else(|_| Problem(StatusCode::GATEWAY_TIMEOUT, vec![]).into_response())
}

fn setting(name: &str, fallback: &str) -> String {
    std::env::var(name).unwrap_or(fallback.into())
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().json().init();
    let config = setting("ORDERS_DATABASE", "host=localhost dbname=orders").parse().expect("ORDERS_DATABASE");
    let data = Pool::builder(Manager::new(config, tokio_postgres::NoTls)).max_size(4).build().expect("a pool");
    let app = App { data, ready: Arc::default() };
    let routes = Router::new()
        .route("/orders/{id}", put(put_order).get(get_order))
        .route("/livez", get(|| async {}))
        .route("/readyz", get(readyz))
        .layer(from_fn(deadline))
        .with_state(app.clone());
    let listener = tokio::net::TcpListener::bind(setting("ORDERS_ADDRESS", "[::]:8080")).await.expect("ORDERS_ADDRESS");
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let drain = async move { drop(stopped.changed().await) };
    let serving = tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(drain).await });
    let mut term = signal(SignalKind::terminate()).expect("signals");
    tokio::select! {
        _ = term.recv() => return,
        _ = async { while app.data.get().await.is_err() { sleep(Duration::from_millis(100)).await } } => (),
    }
    app.ready.store(true, Ordering::Relaxed);
    term.recv().await;
    app.ready.store(false, Ordering::Relaxed);
    let _ = stop.send(true);
    if timeout(Duration::from_secs(25), serving).await.is_err() {
        tracing::error!("cut");
        std::process::exit(3);
    }
}

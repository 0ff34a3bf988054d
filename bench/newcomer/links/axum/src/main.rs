// Short links in SQLite with axum and tokio-rusqlite: the same as bench/newcomer/README.md asks of each.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_rusqlite::Connection;

#[derive(Deserialize, Serialize)]
struct Link {
    url: String,
    #[serde(skip_deserializing)]
    code: String,
    #[serde(skip_deserializing)]
    visits: i64,
}

impl Link {
    fn is_web_address(&self) -> bool {
        let known = self.url.starts_with("http://") || self.url.starts_with("https://");
        known && self.url.len() <= 2000 && self.url.bytes().all(|each| each.is_ascii_graphic())
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

#[derive(Clone)]
struct App {
    data: Connection,
    ready: Arc<AtomicBool>,
}

impl App {
    async fn link(&self, sql: &'static str, value: String) -> Result<Link, Problem> {
        let found = self.data.call(move |data| {
            data.prepare_cached(sql)?
                .query_row([value], |row| Ok(Link { url: row.get(0)?, code: row.get(1)?, visits: row.get(2)? }))
                .optional()
        });
        let found = found.await.map_err(|error| {
            tracing::warn!(%error, "no answer of the database");
            Problem(StatusCode::SERVICE_UNAVAILABLE, vec![])
        })?;
        found.ok_or(Problem(StatusCode::NOT_FOUND, vec![]))
    }
}

async fn make(State(app): State<App>, body: Result<Json<Link>, JsonRejection>) -> Result<impl IntoResponse, Problem> {
    let Json(asked) = body.map_err(|why| Problem(why.status(), vec![json!({"detail": why.body_text()})]))?;
    if !asked.is_web_address() {
        let fault = json!({"pointer": "/url", "detail": "http:// or https://, at most 2000 characters of a URL"});
        return Err(Problem(StatusCode::UNPROCESSABLE_ENTITY, vec![fault]));
    }
    let sql = "INSERT INTO links (code, url) VALUES (lower(hex(randomblob(5))), ?) RETURNING url, code, visits";
    let made = app.link(sql, asked.url).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/{}", made.code))], Json(made)))
}

async fn look(State(app): State<App>, Path(code): Path<String>) -> Result<Json<Link>, Problem> {
    app.link("SELECT url, code, visits FROM links WHERE code = ?", code).await.map(Json)
}

async fn follow(State(app): State<App>, Path(code): Path<String>) -> Result<impl IntoResponse, Problem> {
    let sql = "UPDATE links SET visits = visits + 1 WHERE code = ? RETURNING url, code, visits";
    let found = app.link(sql, code).await?;
    Ok((StatusCode::FOUND, [(header::LOCATION, found.url)]))
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

const TABLE: &str = "PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, url TEXT NOT NULL, visits INTEGER NOT NULL DEFAULT 0)";

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().json().init();
    let data = Connection::open(setting("LINKS_FILE", "links.db")).await.expect("LINKS_FILE");
    data.call(|data| data.execute_batch(TABLE)).await.expect("a table");
    let app = App { data, ready: Arc::new(true.into()) };
    let routes = Router::new()
        .route("/links", post(make))
        .route("/links/{code}", get(look))
        .route("/{code}", get(follow))
        .route("/livez", get(|| async {}))
        .route("/readyz", get(readyz))
        .layer(from_fn(deadline))
        .with_state(app.clone());
    let listener = tokio::net::TcpListener::bind(setting("LINKS_ADDRESS", "[::]:8080")).await.expect("LINKS_ADDRESS");
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let drain = async move { drop(stopped.changed().await) };
    let serving = tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(drain).await });
    signal(SignalKind::terminate()).expect("signals").recv().await;
    app.ready.store(false, Ordering::Relaxed);
    let _ = stop.send(true);
    if timeout(Duration::from_secs(25), serving).await.is_err() {
        tracing::error!("cut");
        std::process::exit(3);
    }
}

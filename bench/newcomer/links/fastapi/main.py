"""Short links in SQLite with FastAPI: the same as bench/newcomer/README.md asks of each."""
import asyncio
import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

data = sqlite3.connect(os.environ.get("LINKS_FILE", "links.db"), isolation_level=None, check_same_thread=False)
data.execute("PRAGMA journal_mode = WAL")
data.execute("CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, url TEXT NOT NULL, visits INTEGER NOT NULL DEFAULT 0)")
worker = ThreadPoolExecutor(1)
ready = True


class Link(BaseModel):
    url: str = Field(pattern="^https?://[!-~]*$", max_length=2000)


def problem(status, errors=()):
    headers = {"Retry-After": "1"} if status == 503 else None
    body = {"status": status, "errors": list(errors)}
    return JSONResponse(body, status, headers, "application/problem+json")


@asynccontextmanager
async def lifespan(_):
    global ready
    yield
    ready = False
    worker.shutdown()
    data.close()


app = FastAPI(lifespan=lifespan)


async def query(sql, value):
    return await asyncio.get_running_loop().run_in_executor(worker, lambda: data.execute(sql, (value,)).fetchone())


@app.middleware("http")
async def deadline(request: Request, call_next):
    try:
        return await asyncio.wait_for(call_next(request), 30)
    except TimeoutError:
        return problem(504)


@app.exception_handler(RequestValidationError)
async def refused(_: Request, error: RequestValidationError):
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return problem(400)
    return problem(422, ({"pointer": "/" + "/".join(map(str, each["loc"][1:])), "detail": each["msg"]} for each in error.errors()))


@app.exception_handler(sqlite3.Error)
async def unanswered(_: Request, error: Exception):
    logging.warning("no answer of the database: %s", error)
    return problem(503)


@app.post("/links")
async def post(link: Link):
    code, = await query("INSERT INTO links (code, url) VALUES (lower(hex(randomblob(5))), ?) RETURNING code", link.url)
    return JSONResponse({"url": link.url, "code": code, "visits": 0}, 201, {"Location": "/" + code})


@app.get("/links/{code}")
async def look(code: str):
    row = await query("SELECT url, code, visits FROM links WHERE code = ?", code)
    return dict(zip(("url", "code", "visits"), row)) if row else problem(404)


@app.get("/livez")
async def livez():
    return {}


@app.get("/readyz")
async def readyz():
    return {} if ready else problem(503)


@app.get("/{code}")
async def follow(code: str):
    row = await query("UPDATE links SET visits = visits + 1 WHERE code = ? RETURNING url", code)
    return Response(status_code=302, headers={"Location": row[0]}) if row else problem(404)

"""Orders in JSON over PostgreSQL with FastAPI and psycopg: the same as bench/newcomer/README.md asks of each."""
import asyncio
import logging
import os
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel, Field

data = AsyncConnectionPool(os.environ.get("ORDERS_DATABASE", "postgresql://localhost/orders"), min_size=1, max_size=4, open=False)
ready = False


class Order(BaseModel):
    item: str = Field(min_length=1, max_length=80)
    quantity: int = Field(ge=1, le=100)
    note: str | None = None


def problem(status, errors=()):
    headers = {"Retry-After": "1"} if status == 503 else None
    body = {"status": status, "errors": list(errors)}
    return JSONResponse(body, status, headers, "application/problem+json")


async def connected():
    global ready
    await data.wait(timeout=60)
    ready = True


@asynccontextmanager
async def lifespan(_):
    global ready
    await data.open()
    waiting = asyncio.create_task(connected())
    yield
    ready = False
    waiting.cancel()
    await data.close()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def deadline(request: Request, call_next):
    try:
        return await asyncio.wait_for(call_next(request), 30)
    except TimeoutError:
        return problem(504)


@app.exception_handler(RequestValidationError)
async def refused(_: Request, error: RequestValidationError):
    if any(each["loc"][0] == "path" for each in error.errors()):
        return problem(404)
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return problem(400)
    return problem(422, ({"pointer": "/" + "/".join(map(str, each["loc"][1:])), "detail": each["msg"]} for each in error.errors()))


@app.exception_handler(psycopg.OperationalError)
@app.exception_handler(PoolTimeout)
async def unanswered(_: Request, error: Exception):
    logging.warning("no answer of the database: %s", error)
    return problem(503)


@app.put("/orders/{number}", status_code=201)
async def put(number: int, order: Order):
    async with data.connection(timeout=30) as connection:
        done = await connection.execute("INSERT INTO orders VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                                        (number, order.item, order.quantity, order.note))
    return order if done.rowcount == 1 else problem(409)


@app.get("/orders/{number}")
async def get(number: int):
    async with data.connection(timeout=30) as connection:
        found = await connection.execute("SELECT item, quantity, note FROM orders WHERE id = %s", (number,))
        row = await found.fetchone()
    return Order(item=row[0], quantity=row[1], note=row[2]) if row else problem(404)


@app.get("/livez")
async def livez():
    return {}


@app.get("/readyz")
async def readyz():
    return {} if ready else problem(503)

# The routes of the load, as an ASGI application without a framework.
import asyncio
from urllib.parse import parse_qs


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    asked = {k: int(v[0]) for k, v in parse_qs(scope["query_string"].decode()).items()}
    left, answer, piece = 0, b"Hello, QCon!\n", bytes(65536)
    if scope["path"] == "/slow":
        await asyncio.sleep(asked["ms"] / 1000)
    elif scope["path"] == "/echo":
        answer = await body_of(receive)
    elif scope["path"] == "/big":
        answer, left = b"", asked["bytes"]
    length = str(left or len(answer)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    while left > 0:
        await send({"type": "http.response.body", "body": piece[:left], "more_body": left > len(piece)})
        left -= len(piece)
    if answer or length == b"0":
        await send({"type": "http.response.body", "body": answer})

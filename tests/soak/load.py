"""The mixed load of tests/all/soak: each function is a client that comes back until the soak is over, and tells `toll` what it saw."""
import asyncio, base64, hashlib, json, os, struct

from http1 import Broken
from http2 import Http2, NotBegun


class Client:
    """What all of them need: the service, dice of their own, and a connection at a time."""

    def __init__(self, service, kind, random):
        self.service, self.kind, self.random, self.toll = service, kind, random, service.toll

    async def live(self):
        while not self.service.over:
            connection = await self.service.connect(self.kind, self.protocol())
            if connection is None: continue
            self.service.busy += 1
            try:
                await self.use(connection)
            except Broken as fault:
                self.toll.broken(self.kind, connection, fault)
            except asyncio.TimeoutError:
                self.toll.broken(self.kind, connection, Broken("no answer for 30 s", False))
            finally:
                self.service.busy -= 1
                await connection.close()
            await self.think(0.2)

    def protocol(self):
        return "http/1.1"

    async def think(self, longest=0.3):
        await asyncio.sleep(self.random.uniform(0, longest))

    async def ask(self, connection, method, target, body=None, fields="", expected=200, then=None):
        """Of either protocol. Anything but what is expected is a fault."""
        got = await connection.ask(method, target, body, fields)
        if got.status != expected or (then is not None and got.body != then):
            self.toll.fault(f"{self.kind}: {method} {target}: {got.status} {got.fields} {got.body[:80]!r}")
        self.toll.answered += 1
        return got

    async def record(self, connection):
        """An event, whose id is the service's."""
        event = f"{self.service.ledger.new_key()} ä {'.' * self.random.randrange(400)}"
        got = await self.ask(connection, "POST", "/events", event.encode(), expected=201)
        if got.status == 201: self.service.ledger.accepted(json.loads(got.body)["id"])
        return got

    async def any_request(self, connection, none=""):
        size = self.random.randrange(1, 20_000)
        what = self.random.randrange(7)
        if what == 0: return await self.ask(connection, "GET", f"/slow?ms={self.random.randrange(700)}", fields=none)
        if what == 1: return await self.ask(connection, "POST", "/echo", b"u" * size, none, then=b"u" * size)
        if what == 2: return await self.ask(connection, "GET", f"/big?bytes={10 * size}", fields=none, then=b"x" * (10 * size))
        if what == 3: return await self.ask(connection, "GET", "/nowhere", fields=none, expected=404)
        return await self.ask(connection, "GET", "/", fields=none, then=b"Hello, QCon!\n")


class KeepAlive(Client):
    async def use(self, connection):
        while not self.service.over and not await connection.gone():
            if (await self.any_request(connection)).closes: return
            await self.think()


class NewEach(Client):
    async def use(self, connection):
        await self.any_request(connection, "Connection: close\r\n")


class Events(Client):
    async def use(self, connection):
        while not self.service.over and not await connection.gone():
            if (await self.record(connection)).closes: return
            await self.think(0.1)


class Count(Client):
    async def use(self, connection):
        data = self.random.randbytes(self.random.randrange(1000, 80_000))
        connection.begin()
        await connection.send(b"POST /count HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(data), 8000):
            piece = data[at:at + 8000]
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self.think(0.04)
        await connection.send(b"0\r\n\r\n")
        got = await connection.answer()
        wanted = b'{"bytes":%d,"sha256":"%b"}\n' % (len(data), hashlib.sha256(data).hexdigest().encode())
        if got.body != wanted: self.toll.fault(f"count: {got.status} {got.body[:200]!r}")
        self.toll.answered += 1


class Leaver(Client):
    """Goes away before its answer comes, or while it comes."""

    async def use(self, connection):
        target = self.random.choice(["/slow?ms=400", "/big?bytes=8000000", "/ticks?ms=20"])
        await connection.send(f"GET {target} HTTP/1.1\r\nHost: soak\r\n\r\n".encode())
        await self.think()


class Ticks(Client):
    """A stream of events: none missing, none twice, and whole when the server ends it."""
    last = 0

    async def use(self, connection):
        connection.begin()
        head = f"GET /ticks?ms=100 HTTP/1.1\r\nHost: soak\r\nLast-Event-ID: {self.last}\r\n\r\n"
        await connection.send(head.encode())
        async with asyncio.timeout(30): got = await connection.head()
        if got.status != 200: return self.toll.fault(f"ticks: {got.status}")
        if not got.chunked:  # it came to a stop: docs/streams.md
            await connection.rest(got)
            if not got.closes or not got.body.startswith(b"retry:"): self.toll.fault(f"ticks: {got.fields} {got.body!r}")
            return
        text, leaves_at = b"", self.last + self.random.randrange(20, 2000)
        while True:
            async with asyncio.timeout(30): piece = await connection.piece()
            if not piece: break
            text += piece
            while b"\n" in text: text = self.take(text)
            if self.last >= leaves_at or self.service.over: return
        self.toll.answered += 1
        if text: self.toll.fault(f"ticks: {text!r} is left of an event")

    def take(self, text):
        line, rest = text.split(b"\n", 1)
        if line.startswith(b"id:") and line[3:].strip():
            number = int(line[3:])
            if number != self.last + 1: self.toll.fault(f"ticks: {number} after {self.last}")
            self.last = number
        return rest


class WebSocket(Client):
    async def use(self, connection):
        key = base64.b64encode(os.urandom(16)).decode()
        connection.begin()
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        await connection.send(f"GET /ws HTTP/1.1\r\nHost: soak\r\n{upgrade}\r\n".encode())
        async with asyncio.timeout(30): got = await connection.head()
        if got.status == 503 and got.closes: return  # of a stop: docs/websocket.md
        if got.status != 101: return self.toll.fault(f"websocket: {got.status}")
        self.sent, left = None, self.random.randrange(5, 500)
        try:
            while left > 0 and not self.service.over:
                if self.sent is None: await self.say(connection)
                left -= 1
                if not await self.hear(connection): return
                await self.think(0.2)
            await connection.send(self.masked(8, struct.pack(">H", 1000)))
            while await self.hear(connection): pass
        except asyncio.IncompleteReadError:
            raise Broken(f"a WebSocket that ends without a Close: {connection.wire.how}", True) from None

    async def say(self, connection):
        self.sent = self.random.randbytes(self.random.randrange(1, 3000)).hex().encode()
        await connection.send(self.masked(1, self.sent))

    def masked(self, kind, data):
        size = len(data)
        head = struct.pack(">BB", 0x80 | kind, 0x80 | size) if size < 126 else struct.pack(">BBH", 0x80 | kind, 0x80 | 126, size)
        mask = os.urandom(4)
        repeated = (mask * (size // 4 + 1))[:size]
        xor = int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")
        return head + mask + xor.to_bytes(size, "big")

    async def hear(self, connection):
        """One frame; False after a Close."""
        reader = connection.reader
        async with asyncio.timeout(60):
            first, size = struct.unpack(">BB", await reader.readexactly(2))
            if size == 126: size = struct.unpack(">H", await reader.readexactly(2))[0]
            data = await reader.readexactly(size)
        kind = first & 15
        if kind == 9: await connection.send(self.masked(10, data))
        elif kind == 8: return await self.closed(connection, data)
        elif data != self.sent: self.toll.fault(f"websocket: {kind} {data[:60]!r} and not what was said")
        else:
            self.sent = None
            self.toll.answered += 1
        return True

    async def closed(self, connection, data):
        code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
        if code not in (1000, 1001): self.toll.fault(f"websocket: closed with {code} {data[2:]!r}")
        await connection.send(self.masked(8, data[:2]))
        async with asyncio.timeout(10): more = await connection.reader.read(1)
        if more: self.toll.fault("websocket: bytes after a Close")
        return False


class Streams(Client):
    """Four at once on a connection of HTTP/2, events among them."""

    def protocol(self):
        return "h2"

    async def use(self, connection):
        on = Http2(connection)
        await on.begin()
        reading = asyncio.create_task(on.run())
        try:
            # Each has an end of its own: what one of them sees says nothing of the others.
            for end in await asyncio.gather(*(self.ask_on(on, nth) for nth in range(4)), return_exceptions=True):
                if isinstance(end, (Broken, asyncio.TimeoutError)): self.toll.broken(self.kind, connection, Broken(end, getattr(end, "began", False)))
                elif isinstance(end, Exception): raise end
            for fault in on.faults: self.toll.fault(f"{self.kind}: {fault}")
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def ask_on(self, on, nth):
        for _ in range(self.random.randrange(10, 400)):
            if on.going or self.service.over: return
            try:
                if nth == 0: await self.record(on)
                else: await self.any_request(on, ())
            except NotBegun:
                self.toll.not_begun += 1
                return
            await self.think()

MIX = {"keep-alive": (KeepAlive, 5), "new": (NewEach, 2), "events": (Events, 3), "count": (Count, 1), "leaver": (Leaver, 1),
       "ticks": (Ticks, 3), "websocket": (WebSocket, 3), "http2": (Streams, 2)}

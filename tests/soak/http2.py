"""A client of HTTP/2 for tests/all/soak: frames written out (RFC 9113) and Debian's python3-hpack for fields, since a GOAWAY must
not end it: streams up to the last id are still to be answered, those above it have not begun."""
import asyncio, struct

import hpack

from http1 import Answer, Broken

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REFUSED_STREAM = 7


class NotBegun(Exception):
    """The server has not begun the request: it may be sent again."""


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Stream:
    def __init__(self, window):
        self.answer, self.body, self.window = None, bytearray(), window
        self.done = asyncio.get_running_loop().create_future()

    def end(self, fault=None):
        if self.done.done(): return
        if fault: self.done.set_exception(fault)
        else: self.done.set_result(Answer(self.answer.status, self.answer.fields, bytes(self.body)))


class Http2:
    """Over a `Connection` of http1.py that has just been opened. `run` reads until the end of file."""

    def __init__(self, connection):
        self.on, self.opened = connection, connection.opened
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.next_id, self.last_id = {}, 1, 2**31 - 1
        self.window, self.first_window = 65535, 65535
        self.room = asyncio.Event()
        self.going, self.faults = False, []
        self.block = None  # of HEADERS that go on: stream, flags, bytes

    async def begin(self):
        settings = struct.pack(">HIHI", 2, 0, 4, 1 << 20)
        await self.on.send(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24)))

    async def ask(self, method, target, body=None, fields=()):
        if self.going: raise NotBegun()
        self.on.begin()
        number, self.next_id = self.next_id, self.next_id + 2
        stream = self.streams[number] = Stream(self.first_window)
        head = [(":method", method), (":scheme", "http"), (":authority", "soak"), (":path", target), *(fields or ())]
        await self.on.send(frame(HEADERS, 0x4 if body else 0x5, number, self.encoder.encode(head)))
        try:
            async with asyncio.timeout(30):
                if body: await self.send_body(number, stream, body)
                return await stream.done
        finally:
            self.streams.pop(number, None)
            self.on.quiet_since = asyncio.get_running_loop().time()

    async def send_body(self, number, stream, body):
        while body and not stream.done.done():
            size = min(len(body), self.window, stream.window, 16384)
            if size <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            piece, body = body[:size], body[size:]
            self.window -= size
            stream.window -= size
            await self.on.send(frame(DATA, 0 if body else 1, number, piece))

    async def run(self):
        try:
            while True:
                head = await self.on.reader.readexactly(9)
                kind, flags, number = struct.unpack(">xxxBBI", head)
                payload = await self.on.reader.readexactly(int.from_bytes(head[:3], "big"))
                await self.take(kind, flags, number & 0x7FFFFFFF, payload)
        except asyncio.IncompleteReadError:
            pass
        self.going = True
        self.room.set()
        for stream in list(self.streams.values()): stream.end(Broken(self.on.wire.how, stream.answer is not None))

    async def take(self, kind, flags, number, payload):
        stream = self.streams.get(number)
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6): self.set(*struct.unpack_from(">HI", payload, at))
            await self.on.send(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            await self.on.send(frame(PING, 1, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = struct.unpack(">I", payload)[0]
            if number == 0: self.window += more
            elif stream: stream.window += more
            self.room.set()
        elif kind == GOAWAY:
            self.told_to_go(*struct.unpack_from(">II", payload))
        elif kind == RST_STREAM and stream:
            code = struct.unpack(">I", payload)[0]
            stream.end(NotBegun() if code == REFUSED_STREAM else Broken(f"RST_STREAM {code}", stream.answer is not None))
        elif kind in (HEADERS, CONTINUATION):
            self.take_fields(kind, flags, number, payload)
        elif kind == DATA:
            await self.take_data(flags, number, stream, payload)

    def set(self, name, value):
        if name == 1: self.encoder.header_table_size = value
        if name != 4: return
        for stream in self.streams.values(): stream.window += value - self.first_window
        self.first_window = value
        self.room.set()

    def told_to_go(self, last, code):
        if last > self.last_id or code != 0: self.faults.append(f"GOAWAY {last} after {self.last_id}, code {code}")
        self.going, self.last_id = True, last
        for number, stream in list(self.streams.items()):
            if number > last: stream.end(NotBegun())
        self.room.set()

    def take_fields(self, kind, flags, number, payload):
        if kind == HEADERS:
            if flags & 0x8: payload = payload[1:len(payload) - payload[0]]
            self.block = [flags, payload]
        else:
            self.block[1] += payload
        if not flags & 0x4: return
        first, payload = self.block
        fields = dict(self.decoder.decode(payload))  # also those of a stream that nobody waits for: the table is shared
        stream = self.streams.get(number)
        if not stream: return
        if ":status" in fields and fields[":status"] != "100": stream.answer = Answer(int(fields[":status"]), fields)
        if first & 1: stream.end()

    async def take_data(self, flags, number, stream, payload):
        data = payload[1:len(payload) - payload[0]] if flags & 0x8 else payload
        if payload:
            grown = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload)))
            if not flags & 1: grown += frame(WINDOW_UPDATE, 0, number, struct.pack(">I", len(payload)))
            await self.on.send(grown)
        if not stream: return
        stream.body += data
        if flags & 1: stream.end()

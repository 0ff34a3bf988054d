"""Clients of HTTP/1.1 for tests/all/soak, written out so that they know what became of each request: which byte of its answer came."""
import asyncio

IDLE_GRACE = 2.0  # seconds, shutdown.idle_grace of the services


class Broken(Exception):
    """An answer that is missing or not whole; `began` when a byte of it had come."""

    def __init__(self, why, began):
        super().__init__(why)
        self.began = began


class Answer:
    def __init__(self, status, fields, body=b""):
        self.status, self.fields, self.body = status, fields, body

    @property
    def chunked(self):
        return self.fields.get("transfer-encoding", "") == "chunked"

    @property
    def closes(self):
        return "close" in self.fields.get("connection", "").lower()


class Connection:
    """One connection, opened by `Service.connect`. `opened` is a moment before the first SYN."""

    def __init__(self, wire, opened):
        self.wire, self.reader, self.opened = wire, wire.reader, opened
        self.quiet_since, self.late = opened, False

    def begin(self):
        """Before a request: was the client quiet for about as long as an idle connection has in a drain?"""
        self.late = asyncio.get_running_loop().time() - self.quiet_since > 0.7 * IDLE_GRACE

    async def gone(self):
        return await self.wire.gone()

    async def close(self):
        await self.wire.close()

    async def send(self, data):
        await self.wire.send(data)

    async def head(self):
        """Status and fields; interim answers are skipped."""
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\r\n"): raise Broken(self.wire.how, bool(line))
            status, fields = int(line.split()[1]), {}
            while (field := await self.reader.readline()) != b"\r\n":
                if not field.endswith(b"\r\n"): raise Broken(self.wire.how + " in the head", True)
                name, value = field.decode("latin-1").split(":", 1)
                fields[name.lower()] = value.strip()
            if status != 100: return Answer(status, fields)

    async def piece(self):
        """The next chunk of a chunked body; empty: the last one."""
        try:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            return (await self.reader.readexactly(size + 2))[:-2]
        except asyncio.IncompleteReadError:
            raise Broken(f"a chunked body without its end, {self.wire.how}", True) from None
        except ValueError as fault:
            raise Broken(f"a chunked body that is cut: {fault}", True) from None

    async def answer(self):
        async with asyncio.timeout(30):
            got = await self.head()
            if not got.chunked: await self.rest(got)
            while got.chunked and (data := await self.piece()): got.body += data
            self.quiet_since = asyncio.get_running_loop().time()
            return got

    async def rest(self, got):
        """The body of an answer that says how long it is."""
        try:
            got.body = await self.reader.readexactly(int(got.fields.get("content-length", "0")))
        except asyncio.IncompleteReadError as fault:
            raise Broken(f"{len(fault.partial)} of {fault.expected} bytes of a body, {self.wire.how}", True) from None

    async def ask(self, method, target, body=None, fields=""):
        self.begin()
        text = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}"
        if body is not None: text += f"Content-Length: {len(body)}\r\n"
        await self.send(text.encode() + b"\r\n" + (body or b""))
        return await self.answer()

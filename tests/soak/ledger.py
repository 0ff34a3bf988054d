"""What became of the events of one service: which were sent, which were answered 201, which each sink has, which are on the disk."""
import asyncio, glob, json, os, time


class Ledger:
    def __init__(self, name, toll, sinks=("file", "http")):
        self.name, self.toll = name, toll
        self.sent, self.answered_201, self.twins = set(), 0, 0
        self.waited_for = {sink: set() for sink in sinks}  # answered 201, not seen at the sink
        self.early = {sink: set() for sink in sinks}  # seen there before its 201 was

    def new_key(self):
        key = f"{self.name}-{len(self.sent)}"
        self.sent.add(key)
        return key

    def accepted(self, number):
        self.answered_201 += 1
        for sink, waited_for in self.waited_for.items():
            if number in self.early[sink]: self.early[sink].discard(number)
            else: waited_for.add(number)

    def at_sink(self, sink, line):
        try:
            event = json.loads(line)
            number, key = event["id"], event["data"].split(" ")[0]
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.toll.fault(f"a garbled line at the sink {sink}: {line[:200]!r}")
        if key not in self.sent: return self.toll.fault(f"nobody sent {line[:200]!r}")
        if number in self.waited_for[sink]: self.waited_for[sink].discard(number)
        elif number in self.early[sink]: self.twins += 1
        else: self.early[sink].add(number)

    def must_be_there(self, on_disk, when):
        """Each event that was answered 201 is at each sink or on the disk."""
        for sink, waited_for in self.waited_for.items():
            if missing := waited_for - on_disk:
                self.toll.fault(f"{when}: {len(missing)} events are neither at {sink} nor on the disk: {sorted(missing)[:5]}")
                waited_for -= missing  # said once


class EventFiles:
    """Reads what the sink `file` writes, over rotations: whole lines, each once."""

    def __init__(self, directory, ledger):
        self.directory, self.ledger, self.read_to = directory, ledger, {}

    def read(self):
        for path in sorted(glob.glob(os.path.join(self.directory, "events.jsonl*"))):
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                number, at = status.st_ino, self.read_to.get(status.st_ino, 0)
                if status.st_size < at: self.ledger.toll.fault(f"{path} has lost {at - status.st_size} bytes that were whole lines")
                file.seek(at)
                whole = file.read().rpartition(b"\n")[0]
            for line in whole.splitlines(): self.ledger.at_sink("file", line)
            if whole: self.read_to[number] = at + len(whole) + 1
            if not path.endswith(".jsonl") and time.time() - status.st_mtime > 60:
                os.remove(path)
                self.read_to.pop(number, None)


class Sink:
    """The sink `http`: takes batches, or is away in one of four ways."""
    AWAY = ("refuses", "503", "hangs", "resets")

    def __init__(self, ledger):
        self.ledger, self.how, self.server, self.port, self.tasks = ledger, "well", None, 0, set()

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    async def be(self, how):
        self.how = how
        for task in list(self.tasks): task.cancel()  # who hangs, and kept connections
        if how == "refuses" and self.server:
            self.server.close()
            self.server = None
        elif how != "refuses" and not self.server:
            await self.listen()

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            while await self.take(reader, writer): pass
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def take(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(":", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:] if ":" in line)
        batch = await reader.readexactly(int(fields["content-length"]))
        if self.how == "hangs": await asyncio.sleep(3600)
        if self.how != "well" and self.how != "503": return False
        if self.how == "well":
            for line in batch.splitlines(): self.ledger.at_sink("http", line)
        status = b"200 OK" if self.how == "well" else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True

"""A socket of a client of tests/all/soak, in clear or over TLS. Unlike a transport of asyncio it reads to the end whatever becomes of
what it sends: an answer that came before a reset is an answer."""
import asyncio, socket, ssl

MOST = 1 << 20  # bytes that wait to be read


class Wire:
    def __init__(self):
        self.socket, self.reader = socket.socket(), asyncio.StreamReader()
        self.socket.setblocking(False)
        self.secure, self.incoming, self.outgoing = None, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.sending, self.pumping = asyncio.Lock(), None
        self.how = "end of file"  # how it ended
        self.notified = False  # by a close_notify

    async def open(self, port, context):
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context: await self.shake_hands(loop, context)
        self.pumping = asyncio.create_task(self.pump(loop))

    async def shake_hands(self, loop, context):
        self.secure = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            try:
                self.secure.do_handshake()
                return await loop.sock_sendall(self.socket, self.outgoing.read())
            except ssl.SSLWantReadError:
                await loop.sock_sendall(self.socket, self.outgoing.read())
                if not (data := await loop.sock_recv(self.socket, 65536)): raise ConnectionAbortedError("end of file in the handshake")
                self.incoming.write(data)

    async def pump(self, loop):
        try:
            while data := await loop.sock_recv(self.socket, 65536):
                if self.secure: data = self.decrypted(data)
                if data: self.reader.feed_data(data)
                while len(self.reader._buffer) > MOST: await asyncio.sleep(0.02)
        except OSError as fault:
            self.how = type(fault).__name__
        self.reader.feed_eof()

    def decrypted(self, data):
        self.incoming.write(data)
        text = b""
        try:
            while piece := self.secure.read(65536): text += piece
        except ssl.SSLWantReadError:
            return text
        except ssl.SSLZeroReturnError:
            pass
        self.notified = True
        return text

    async def send(self, data):
        async with self.sending:
            try:
                if self.secure:
                    self.secure.write(data)
                    data = self.outgoing.read()
                await asyncio.get_running_loop().sock_sendall(self.socket, data)
            except OSError:
                pass  # the reader finds out

    async def gone(self):
        """Has the other side closed? Asks the kernel: what it knows this process may not have heard yet."""
        try:
            if self.socket.recv(1, socket.MSG_PEEK) and self.secure: await asyncio.sleep(0.05)  # maybe a close_notify
        except BlockingIOError:
            return self.notified
        except OSError:
            return True
        await asyncio.sleep(0)
        return self.notified or self.reader.at_eof() or self.eof_waits()

    def eof_waits(self):
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return False

    async def close(self):
        if self.pumping:
            self.pumping.cancel()
            await asyncio.wait([self.pumping])
        self.socket.close()

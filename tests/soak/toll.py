"""What the clients of one service have seen, and what is wrong with it."""
import asyncio, time

LONG = 0.3  # seconds that this process, and so each of its clients, may stand still without a word


class Toll:
    def __init__(self, name):
        self.name, self.faults = name, []
        self.answered = self.cut_by_kill = self.crossed = self.refused_while_down = self.not_begun = self.stalled = 0
        self.killed_at, self.stopped_at, self.stood_still_at = -1e9, -1e9, -1e9  # the last time, by the loop's clock

    def fault(self, text):
        self.faults.append(text)
        if len(self.faults) <= 100: self.say("FAULT " + text)

    def say(self, text):
        print(f"soak: {time.strftime('%H:%M:%S', time.gmtime())}.{time.time_ns() // 1_000_000 % 1000:03} {self.name}: {text}", flush=True)

    def killed(self, gone=False):
        """By SIGKILL. Until it is gone, some time later, its listener still lets clients in."""
        self.killed_at = asyncio.get_running_loop().time() if gone else float("inf")

    def stopped(self):
        """An orderly end begins."""
        self.stopped_at = asyncio.get_running_loop().time()

    def excused(self, opened):
        """A connection is cut by a kill -9, or a stop is on and its client had stood still: it could not do its part in time."""
        if self.killed_at >= opened: self.cut_by_kill += 1
        elif self.stopped_at >= opened and self.stood_still_at >= asyncio.get_running_loop().time() - 5: self.stalled += 1
        else: return False
        return True

    def broken(self, kind, connection, fault):
        """An answer that is missing or not whole: lost, unless a kill -9 explains it, or the client had been quiet for about the idle
        grace of a stop, so that its request may have crossed the FIN (docs/shutdown.md, "What HTTP/1.1 cannot promise")."""
        if connection.late and not fault.began and self.killed_at < connection.opened <= self.stopped_at: self.crossed += 1
        elif not self.excused(connection.opened):
            moment = asyncio.get_running_loop().time()
            self.fault(f"{kind}: lost: {fault}{', a byte had come' if fault.began else ''}, {moment - connection.opened:.1f} s after it was opened, "
                       f"the client stood still {moment - self.stood_still_at:.1f} s ago")

    def unheard(self):
        """Requests whose end nobody can tell; without a kill -9."""
        return self.crossed + self.stalled

    def in_words(self):
        return (f"{self.answered} answered, {len(self.faults)} faults; cut by kill -9 {self.cut_by_kill}, crossed a FIN "
                f"{self.crossed}, clients that had stood still {self.stalled}, refused while down {self.refused_while_down}, "
                f"streams not begun {self.not_begun}")


async def watch_clients(tolls):
    """Notes when this process has stood still: on a machine with too much to do a client is late, and its service not to blame."""
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(0.05)
        if loop.time() - before > LONG:
            for toll in tolls: toll.stood_still_at = loop.time()

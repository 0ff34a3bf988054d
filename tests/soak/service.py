"""A service of tests/all/soak: its processes one after the other, what is done to them, and whether each one's end was right."""
import asyncio, json, os, random, shutil, signal, socket, ssl, statistics, subprocess

from http1 import IDLE_GRACE, Connection
from ledger import EventFiles, Ledger, Sink
from toll import Toll
from wire import Wire

BUDGET = 20.0  # seconds; the clients' longest request is under the app's share of it


def now():
    return asyncio.get_running_loop().time()


def free_port(dice=random.SystemRandom()):
    """Below those of outgoing connections: a client that asks for a port of theirs while nobody listens may get itself."""
    while True:
        port = dice.randrange(15_000, 30_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


async def until(true, seconds):
    """Whether it came true in time."""
    limit = now() + seconds
    while not true():
        if now() > limit: return False
        await asyncio.sleep(0.02)
    return True


class Life:
    """One process."""

    def __init__(self, pid):
        self.pid, self.wanted_end, self.samples = pid, None, []
        self.ended = asyncio.get_running_loop().create_future()  # its exit code, or minus the signal
        self.pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self.pidfd, self.reap)

    def reap(self):
        asyncio.get_running_loop().remove_reader(self.pidfd)
        os.close(self.pidfd)
        self.ended.set_result(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))

    def sample(self):
        """KiB of memory that is its own, and descriptors."""
        try:
            with open(f"/proc/{self.pid}/status") as file:
                memory = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
            self.samples.append((memory, len(os.listdir(f"/proc/{self.pid}/fd"))))
        except (OSError, StopIteration):
            pass

    def medians(self, begin, end):
        """Of memory and descriptors between these parts of its life."""
        part = self.samples[int(begin * len(self.samples)):int(end * len(self.samples))]
        return [statistics.median(each) for each in zip(*part)] if part else None


class Service:
    def __init__(self, name, program, place):
        self.name, self.program, self.place = name, program, os.path.join(place, name)
        self.toll = Toll(name)
        self.ledger = Ledger(name, self.toll)
        self.sink = Sink(self.ledger)
        self.events = os.path.join(self.place, "events")
        self.files = EventFiles(self.events, self.ledger)
        self.authority, self.life, self.lives, self.port = None, None, [], free_port()
        self.over, self.down, self.down_until, self.busy = False, True, 0, 0
        self.reported = self.unclaimed = self.answered_before = self.unheard_before = 0
        self.known, self.rotations, self.logged_to, self.stops = True, 0, 0, []

    # ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────────
    async def connect(self, kind, protocol):
        """A connection; None when there is none now, which is no fault while the service is down."""
        opened, wire = now(), Wire()
        try:
            await asyncio.wait_for(wire.open(self.port, self.authority.context(protocol) if self.authority else None), 20)
            return Connection(wire, opened)
        except (OSError, asyncio.TimeoutError) as fault:
            await wire.close()
            refused = isinstance(fault, ConnectionRefusedError)
            if refused and (self.down or self.down_until >= opened): self.toll.refused_while_down += 1
            elif not refused and self.toll.excused(opened): pass
            else: self.toll.fault(f"{kind}: no connection: {type(fault).__name__} {fault}")
        await asyncio.sleep(0.05)
        return None

    async def debug(self, method, target):
        wire = Wire()
        await wire.open(int(self.ready()["debug"].rpartition(":")[2]), None)
        connection = Connection(wire, now())
        try:
            return await connection.ask(method, target, b"" if method == "POST" else None, "Connection: close\r\n")
        finally:
            await connection.close()

    # ── a life ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def path(self, name):
        return os.path.join(self.place, name)

    def ready(self):
        try:
            with open(self.path("ready.json")) as file: return json.load(file)
        except (OSError, ValueError):
            return {"pid": 0}

    def flags(self, lame_duck):
        flags = {"config": "service.toml", "app.address": "127.0.0.1", "app.port": self.port, "debug.port": 0, "ready_file": "ready.json",
                 "tracker.directory": "events", "tracker.sink": "file,http", "tracker.http_url": f"http://127.0.0.1:{self.sink.port}/",
                 "tracker.http_timeout": "1s", "tracker.retry_max": "500ms", "tracker.adopt_interval": "500ms",
                 "tracker.segment_bytes": "64KiB", "shutdown.report": "report.json", "shutdown.budget": f"{BUDGET:.0f}s",
                 "shutdown.flush": "2s", "shutdown.idle_grace": f"{IDLE_GRACE:.0f}s", "shutdown.lame_duck": f"{lame_duck}ms"}
        if self.authority: flags |= self.authority.flags()
        return [f"--{name}={value}" for name, value in flags.items()]

    async def prepare(self, make_authority):
        os.mkdir(self.place)
        if make_authority: self.authority = make_authority(self.place)
        self.write_settings("1m", False)
        await self.sink.listen()

    def write_settings(self, idle_timeout, access):
        with open(self.path("next.toml"), "w") as file:
            file.write(f"[app]\nidle_timeout = \"{idle_timeout}\"\n[log]\naccess = {str(access).lower()}\n")
        os.rename(self.path("next.toml"), self.path("service.toml"))

    async def start(self, lame_duck=0):
        with open(self.path("log"), "ab") as log:
            process = subprocess.Popen([self.program, *self.flags(lame_duck)], cwd=self.place, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        process.returncode = 0  # Life waits for it
        self.begin_life(process.pid)
        if not await until(lambda: self.ready()["pid"] == process.pid or self.life.ended.done(), 30) or self.life.ended.done():
            raise RuntimeError(f"{self.name}: process {process.pid} is not ready: {self.life.ended}")
        self.down, self.down_until = False, now()

    def begin_life(self, pid):
        self.life = Life(pid)
        self.lives.append(self.life)
        return self.life

    async def end_of(self, life, cause):
        """Waits for the end of a life that was told to stop, and looks at what it has left."""
        code = await asyncio.wait_for(asyncio.shield(life.ended), BUDGET + 20)
        try:
            with open(self.path("report.json")) as file: report = json.load(file)
            os.remove(self.path("report.json"))
        except (OSError, ValueError) as fault:
            return self.toll.fault(f"process {life.pid}, exit code {code}: no report: {fault}")
        for fault in faults_of(report, code, cause): self.toll.fault(f"process {life.pid}: {fault}: {json.dumps(report)}")
        events = report["events"]
        self.reported += events["accepted"]
        self.stops.append(report["duration_ms"])
        if self.known and events["recovered"] > self.unclaimed:
            self.toll.fault(f"process {life.pid} recovered {events['recovered']} of {self.unclaimed} that were left")
        self.unclaimed += events["spooled"] - events["recovered"]

    async def all_gone(self):
        """Nothing runs: no client has a connection any more, and the account is that of all lives since the last kill -9."""
        if not await until(lambda: self.busy == 0, 60): self.toll.fault(f"{self.busy} clients have a connection to a service that is gone")
        seen, unheard = self.ledger.answered_201 - self.answered_before, self.toll.unheard() - self.unheard_before
        if self.known and not seen <= self.reported <= seen + unheard:
            self.toll.fault(f"{seen} events were answered 201, {unheard} answers unheard, reports say {self.reported}")
        self.answered_before, self.unheard_before, self.reported = self.ledger.answered_201, self.toll.unheard(), 0
        await self.look_at_events("all gone")

    async def on_disk(self):
        dump = await asyncio.create_subprocess_exec(self.program, "--spool-dump", self.events, stdout=asyncio.subprocess.PIPE,
                                                    stderr=asyncio.subprocess.DEVNULL)
        lines, _ = await dump.communicate()
        return {json.loads(line)["id"] for line in lines.splitlines()}

    async def look_at_events(self, when):
        on_disk = await self.on_disk()
        self.files.read()
        self.ledger.must_be_there(on_disk, when)
        return on_disk

    # ── what is done to it ────────────────────────────────────────────────────────────────────────────────────────────
    async def stop(self, how):
        self.down = True
        life, life.wanted_end = self.life, how
        self.toll.stopped()
        if how == "debug": assert (await self.debug("POST", "/debug/shutdown")).status == 202
        else: os.kill(life.pid, getattr(signal, how))
        await self.end_of(life, how)
        await self.all_gone()

    async def kill(self):
        """SIGKILL. What it cuts is apart; what it had answered 201 is not."""
        self.down, self.known = True, False
        self.life.wanted_end = "SIGKILL"
        os.kill(self.life.pid, signal.SIGKILL)
        self.toll.killed()
        await asyncio.wait_for(asyncio.shield(self.life.ended), 20)
        self.toll.killed(gone=True)
        await self.all_gone()
        self.known, self.unclaimed = True, float("inf")

    async def upgrade(self):
        old, old.wanted_end = self.life, "upgrade"
        self.toll.stopped()
        os.kill(old.pid, signal.SIGUSR2)
        if not await until(lambda: self.ready()["pid"] not in (0, old.pid), 40): return self.toll.fault("an upgrade is not ready")
        self.begin_life(self.ready()["pid"])
        await self.end_of(old, "upgrade")

    async def reload(self, idle_timeout, access, rotate, times):
        self.write_settings(idle_timeout, access)
        if rotate:
            self.rotations += 1
            shutil.move(os.path.join(self.events, "events.jsonl"), os.path.join(self.events, f"events.jsonl.{self.rotations}"))
        for _ in range(times): os.kill(self.life.pid, signal.SIGHUP)
        limit = now() + 10
        while True:
            settings = json.loads((await self.debug("GET", "/debug/config")).body)["settings"]
            if any(each["key"] == "app.idle_timeout" and each["value"] == idle_timeout for each in settings): return
            if now() > limit: return self.toll.fault(f"SIGHUP: idle_timeout is not {idle_timeout} after 10 s")
            await asyncio.sleep(0.05)

    async def swap_certificate(self, hup):
        serial = self.authority.swap()
        if hup: os.kill(self.life.pid, signal.SIGHUP)
        limit = now() + 15
        while (seen := await self.authority.serial_at(self.port)) != serial:
            if now() > limit: return self.toll.fault(f"certificate {serial} is not served after 15 s, but {seen}")
            await asyncio.sleep(0.1)

    def look(self):
        """Every second."""
        if self.life and self.life.wanted_end is None:
            if self.life.ended.done() and not self.life.ended.cancelled():
                self.toll.fault(f"process {self.life.pid} has ended by itself: {self.life.ended.result()}")
                self.life.wanted_end = "none"
            self.life.sample()
        self.files.read()
        with open(self.path("log"), errors="replace") as log:
            log.seek(self.logged_to)
            for line in log:
                if " error " in line[:40] or " critical " in line[:40]: self.toll.fault(f"its log: {line.strip()[:400]}")
            self.logged_to = log.tell()


def faults_of(report, code, cause):
    """The identities of docs/shutdown.md, and what an orderly stop promises."""
    connections, requests, events = report["connections"], report["requests"], report["events"]
    laws = {
        "connections": connections["open_at_stop"] + connections["accepted_after"]
                       == connections["closed_idle"] + connections["finished"] + connections["forced"],
        "requests": requests["in_flight_at_stop"] + requests["begun_after"] == requests["finished"] + requests["cut"] + requests["gone"],
        "events": events["accepted"] + events["recovered"] == events["delivered"] + events["spooled"] + sum(events["dropped"].values()),
        "exit code": code == report["exit_code"] == 0,
        "cause": report["cause"] == cause,
        "nothing cut": requests["cut"] == connections["forced"] == report["streams"]["cut"] == 0,
        "nothing dropped": events["dropped"] == {} and events["stranded"] == 0,
        "nobody left": report["stragglers"] == [] and report["workers_left"] == report["threads_left"] == 0,
        "in its budget": report["duration_ms"] <= BUDGET * 1000 + 100,
    }
    return [law for law, holds in laws.items() if not holds]

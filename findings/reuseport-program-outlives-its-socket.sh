#!/usr/bin/env bash
# Linux: a program that one socket attaches to its SO_REUSEPORT group (SO_ATTACH_REUSEPORT_CBPF) belongs to the group: it
# stays when that socket is closed, and counts the sockets again. "The second of them" is then somebody else, and a
# process that is started later gets every connection. Its number means nothing as long as there is no such socket: the
# kernel deals by hash. Only SO_DETACH_REUSEPORT_BPF, by a member, ends it.
# Seen with Linux 6.18; needs python3. Fails when that changes.
set -euo pipefail
echo "Linux $(uname -r)"
python3 - <<'PYTHON'
import collections, ctypes, select, socket, struct

SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF = 51, 68


def member(port=0):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    listener.setblocking(False)
    return listener


def dealt(members, clients=60):
    """How many connections each member gets."""
    port = next(iter(members.values())).getsockname()[1]
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    counts = collections.Counter()
    while sum(counts.values()) < clients:
        for name, listener in members.items():
            if select.select([listener], [], [], 0)[0]:
                listener.accept()[0].close()
                counts[name] += 1
    for listener in held:
        listener.close()
    return {name: counts[name] for name in members}


first = member()
port = first.getsockname()[1]
members = {"first": first, "second": member(port)}
code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 1))  # BPF_RET 1: the second
first.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))
seen = dealt(members)
print("two sockets, the first has attached 'the second':", seen)
assert seen == {"first": 0, "second": 60}
members.pop("first").close()
print("the first is closed:", dealt(members))
members["third"] = member(port)
seen = dealt(members)
print("a third is opened:", seen)
assert seen == {"second": 0, "third": 60}
members["third"].setsockopt(socket.SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0)
seen = dealt(members)
print("detached:", seen)
assert all(count > 0 for count in seen.values())
PYTHON

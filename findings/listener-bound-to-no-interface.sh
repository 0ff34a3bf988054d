#!/usr/bin/env bash
# Linux: a TCP socket that listens can be bound, without a privilege, to an interface that does not exist
# (SO_BINDTOIFINDEX, socket(7) has only the form by name). From then on it is not found for a new SYN, and the kernel
# refuses that at once; a client in its queue stays there and can be accepted. A socket filter that drops the SYN instead
# lets the client wait for a second, until it sends it again; and to attach one to a TCP socket takes a privilege on this
# kernel, while a UDP socket, or a program for a SO_REUSEPORT group, takes none.
# Seen with Linux 6.18; needs python3 and root, which it gives up. Fails when that changes.
set -euo pipefail
echo "Linux $(uname -r)"
python3 - <<'PYTHON'
import ctypes, encodings.idna, os, socket, struct, time

SO_BINDTOIFINDEX, SO_ATTACH_FILTER, NOWHERE = 62, 26, 2**31 - 1
SO_ATTACH_REUSEPORT_CBPF = 51


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    return listener


def attempt(address):
    began = time.monotonic()
    with socket.socket() as client:
        client.settimeout(0.5)
        try:
            client.connect(address)
            how = "connected"
        except ConnectionRefusedError:
            how = "refused"
        except TimeoutError:
            how = "nothing for 500 ms"
    return how, time.monotonic() - began


def attach(to, option=SO_ATTACH_FILTER):
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET 0: drop
    to.setsockopt(socket.SOL_SOCKET, option, struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))


filtered = listening()
attach(filtered)
how, took = attempt(filtered.getsockname())
print(f"with a filter that drops: {how}")
assert how == "nothing for 500 ms", how

os.setresuid(65534, 65534, 65534)  # nobody
bound = listening()
early = socket.create_connection(bound.getsockname())
bound.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NOWHERE)
how, took = attempt(bound.getsockname())
print(f"bound to interface {NOWHERE}: a new client is {how} after {took * 1000:.1f} ms")
assert how == "refused" and took < 0.2, how
accepted, _ = bound.accept()
early.sendall(b"x")
assert accepted.recv(1) == b"x"
print("who was in the queue is accepted, and its bytes arrive")

try:
    attach(listening())
    how = "taken"
except PermissionError:
    how = "not permitted"
print(f"without a privilege a filter on a TCP socket is {how}")
assert how == "not permitted", how
attach(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
group = socket.socket()
group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
attach(group, SO_ATTACH_REUSEPORT_CBPF)
print("on a UDP socket, and for a group of TCP sockets, it is taken")
PYTHON

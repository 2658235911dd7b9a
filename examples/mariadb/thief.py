"""A hostile program, in a session of its own, that asks for the configuration of somebody else's service.

It runs under the genuine runtime, on a genuine platform, with a session that the CAS accepted. Each attempt says
what came of it; the last line is "nothing", or what was got.
"""

import os
import socket
import ssl
import struct
import sys

VICTIM, CAS_HOST, CAS_PORT, LAS_SOCKET = sys.argv[1:]
MAX_DESCRIPTORS = 1024
GRANTED = 0  # First item of the CAS's reply that holds a configuration, and of a LAS's reply that holds evidence.


def cbor(value):
    """Deterministic CBOR (RFC 8949, section 4.2) of what the protocols use."""

    def head(kind, count):
        for size, code, limit in ((">B", 24, 1 << 8), (">H", 25, 1 << 16), (">I", 26, 1 << 32)):
            if count < 24:
                return bytes([kind << 5 | count])
            if count < limit:
                return bytes([kind << 5 | code]) + struct.pack(size, count)
        raise ValueError(count)

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in sorted(value.items()))


def receive(stream, count):
    """Exactly that many bytes, or what came before the peer closed."""
    data = b""
    while len(data) < count and (piece := stream.recv(count - len(data))):
        data += piece
    return data


def ask(stream, request):
    """Sends a request as one frame; the first item of the reply, or nothing without one."""
    message = cbor(request)
    stream.sendall(struct.pack("<I", len(message)) + message)
    prefix = receive(stream, 4)
    reply = receive(stream, struct.unpack("<I", prefix)[0]) if len(prefix) == 4 else b""
    return reply[1] if len(reply) > 1 else None


# To the LAS, on the channel of an instance: evidence for a connection with these keys.
EVIDENCE = [0, {0: 0, 1: bytes(32), 2: bytes(32), 3: bytes(32)}, "1"]


def inherited_channel():
    """The channel to the LAS, were it still open."""
    for descriptor in range(3, MAX_DESCRIPTORS):
        try:
            stream = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        with stream:
            if ask(stream, EVIDENCE) == GRANTED:
                return "evidence on an inherited descriptor"
    listed = sorted(map(int, os.listdir("/proc/self/fd")))
    print("inherited descriptors that are sockets: none; descriptors:", listed)
    return None


def las():
    """The LAS's own socket, which this session mounts: it starts instances, and vouches for none that asks there."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(10)
        try:
            stream.connect(LAS_SOCKET)
            reply = ask(stream, EVIDENCE)
        except OSError as error:
            print("the LAS's socket:", error)
            return None
    print("the LAS's socket: reply", reply)
    return "evidence from the LAS's socket" if reply == GRANTED else None


def cas():
    """The CAS, with no evidence and with an invention."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["bannock-attest/1"])
    for quote in (b"", bytes(1024)):
        with socket.create_connection((CAS_HOST, int(CAS_PORT)), timeout=10) as connection:
            with context.wrap_socket(connection) as stream:
                evidence = {0: 0, 1: quote, 2: b"{}", 3: b""}
                reply = ask(stream, [0, 1, VICTIM, evidence])
        print(f"the CAS, with a quote of {len(quote)} bytes: reply", reply)
        if reply == GRANTED:
            return "a configuration from the CAS"
    return None


print("configured by a session of its own:", len(os.environ["OWN_SECRET"]) == 32)
print(inherited_channel() or las() or cas() or "nothing")

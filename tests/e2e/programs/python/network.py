"""Sockets, select, poll, epoll, asyncio and HTTP on the loopback."""
import asyncio, http.client, http.server, os, select, selectors, socket, socketserver, threading

l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
s, peer = l.accept()
print(peer == c.getsockname(), s.getsockname() == l.getsockname())
c.sendall(b"x" * 500_000) if False else None
data = os.urandom(3_000_000)
t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR)))
t.start()
got = bytearray()
while chunk := s.recv(65536):
    got += chunk
t.join()
print(bytes(got) == data)
s.settimeout(0.02)
c2, s2 = socket.socketpair()
s2.settimeout(0.02)
try:
    s2.recv(1)
except TimeoutError as e:
    print("timeout", e)
print(select.select([s2], [c2], [], 0) == ([], [c2], []))
c2.send(b"a")
print(select.select([s2], [], [], 1) == ([s2], [], []))
p = select.poll()
p.register(s2, select.POLLIN | select.POLLOUT)
print([e for _, e in p.poll(0)])
e = select.epoll()
e.register(s2, select.EPOLLIN | select.EPOLLET)
print([v for _, v in e.poll(0.1)], e.poll(0))
c2.close()
print([v & ~select.EPOLLOUT for _, v in e.poll(1)])
try:
    socket.create_connection(("127.0.0.1", l.getsockname()[1] if l.close() else 1), 1)
except OSError as err:
    print(type(err).__name__)
socket.send_fds(*(a := socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))[:1], [b"m"], [0])
msg, fds, flags, addr = socket.recv_fds(a[1], 10, 5)
print(msg, len(fds), flags)
u = socket.socket(socket.AF_UNIX)
u.bind("sock")
u.listen()
v = socket.socket(socket.AF_UNIX)
v.connect("sock")
w, who = u.accept()
v.send(b"named")
print(w.recv(10), who, v.getpeername())
print(socket.gethostbyname("localhost"), socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM))


async def main():
    async def serve(r, w):
        w.write((await r.readline()).upper())
        await w.drain()
        w.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(f"client {i}\n".encode())
        answer = await r.read()
        w.close()
        return answer

    print(await asyncio.gather(*(client(i) for i in range(20))))
    proc = await asyncio.create_subprocess_shell("cat; exit 5", stdin=-1, stdout=-1)
    print(await proc.communicate(b"through"), proc.returncode)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.02)
    except asyncio.TimeoutError:
        print("asyncio timeout")
    print(await asyncio.to_thread(lambda: "in a thread"))
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    import signal

    loop.add_signal_handler(signal.SIGUSR1, told.set_result, "signal")
    os.kill(os.getpid(), signal.SIGUSR1)
    print(await asyncio.wait_for(told, 5))
    server.close()


asyncio.run(main())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in range(5):
        h = http.client.HTTPConnection(*server.server_address)
        h.request("GET", "/")
        print(h.getresponse().read())
    server.shutdown()
sel = selectors.DefaultSelector()
x, y = socket.socketpair()
x.setblocking(False)
sel.register(x, selectors.EVENT_READ, "data")
y.send(b"1")
print(type(sel).__name__, [(k.data, m) for k, m in sel.select(1)])

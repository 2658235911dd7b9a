"""subprocess, multiprocessing by fork, signals, shared memory."""
import mmap, multiprocessing as mp, os, signal, subprocess, sys, time

print(subprocess.run(["echo", "hello"], capture_output=True, text=True))
print(subprocess.run("exit 3", shell=True).returncode, subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)
p = subprocess.Popen(["sort"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(p.communicate("b\na\n"))
try:
    subprocess.run(["/nonexistent"])
except FileNotFoundError as e:
    print(e.errno, e.filename)
try:
    subprocess.run(["sleep", "5"], timeout=0.1)
except subprocess.TimeoutExpired as e:
    print("timed out", e.cmd)
big = b"x" * 1_000_000
print(len(subprocess.run(["cat"], input=big, stdout=subprocess.PIPE).stdout))
print(subprocess.run(["sh", "-c", "echo $V; pwd; echo err >&2; umask"], env={"V": "value"}, cwd="/", stderr=subprocess.STDOUT, stdout=subprocess.PIPE, umask=0o77, start_new_session=True).stdout)
r, w = os.pipe()
print(subprocess.run(["sh", "-c", f"echo passed >&{w}"], pass_fds=[w]).returncode, os.read(r, 100))
ps = [subprocess.Popen(["sh", "-c", f"sleep 0.0{i}; exit {i}"]) for i in range(5)]
print([q.wait() for q in ps])


def square(x):
    return x * x


with mp.get_context("fork").Pool(3) as pool:
    print(pool.map(square, range(10)), pool.apply_async(square, (12,)).get(5))
ctx = mp.get_context("fork")
q = ctx.Queue()


def child(q, value, array, lock, event):
    event.wait()
    for _ in range(500):
        with lock:
            value.value += 1
    with lock:
        array[0] += 1
    q.put(os.getppid() == parent)


parent, value, array, lock, event = os.getpid(), ctx.Value("i", 0, lock=False), ctx.Array("i", 3), ctx.Lock(), ctx.Event()
cs = [ctx.Process(target=child, args=(q, value, array, lock, event)) for _ in range(3)]
[c.start() for c in cs]
event.set()
[c.join() for c in cs]
print(value.value, array[0], [q.get() for _ in cs], [c.exitcode for c in cs])
a, b = ctx.Pipe()
c = ctx.Process(target=lambda: b.send({"from": "child", "got": b.recv()}))
c.start(); a.send([1, 2]); print(a.recv()); c.join()
from multiprocessing import shared_memory

shm = shared_memory.SharedMemory(create=True, size=100)
c = ctx.Process(target=lambda: shm.buf.__setitem__(0, 99))
c.start(); c.join(); print(shm.buf[0]); shm.close(); shm.unlink()
m = mmap.mmap(-1, 4096)
if os.fork() == 0:
    m[0:5] = b"child"
    os._exit(0)
print(os.wait()[1], m[:5])
log = []
signal.signal(signal.SIGUSR1, lambda n, f: log.append(n))
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
signal.signal(signal.SIGALRM, lambda n, f: log.append(n))
while log.count(signal.SIGALRM) < 5:
    time.sleep(1)
signal.setitimer(signal.ITIMER_REAL, 0)
print(log[0], "alarms")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
print(signal.sigpending(), signal.sigwait([signal.SIGUSR2]), signal.sigtimedwait([signal.SIGUSR2], 0.01))
try:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
except KeyboardInterrupt:
    print("interrupted")
r, w = os.pipe()
if os.fork() == 0:
    os.execvp("sh", ["sh", "-c", f"echo exec >&{w}"])
print(os.waitstatus_to_exitcode(os.wait()[1]))
print(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 6"], os.environ) > 0, os.waitstatus_to_exitcode(os.wait()[1]))
print(subprocess.getoutput("echo popen"), os.system("exit 2") >> 8)
os.register_at_fork(after_in_child=lambda: print("forked", flush=True))
sys.stdout.flush()
if (pid := os.fork()) == 0:
    os._exit(0)
os.waitpid(pid, 0)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGTERM)

"""Threads, queues, locks, events and pools."""
import concurrent.futures, queue, threading, time

total, lock = 0, threading.Lock()


def add(n):
    global total
    for _ in range(n):
        with lock:
            total += 1


threads = [threading.Thread(target=add, args=(5000,)) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(total)
q, out = queue.Queue(), []


def worker():
    while (item := q.get()) is not None:
        out.append(item * item)
        q.task_done()


workers = [threading.Thread(target=worker) for _ in range(4)]
[w.start() for w in workers]
for i in range(1000):
    q.put(i)
q.join()
[q.put(None) for _ in workers]
[w.join() for w in workers]
print(sum(out), len(out))
event = threading.Event()
threading.Timer(0.02, event.set).start()
print(event.wait(5), threading.Event().wait(0.01))
barrier = threading.Barrier(4)
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sorted(pool.map(lambda _: barrier.wait(5), range(4))))
    print(list(pool.map(pow, range(5), [2] * 5)))
local = threading.local()
local.x = 1
seen = []
t = threading.Thread(target=lambda: seen.append(hasattr(local, "x")))
t.start(); t.join()
print(seen, threading.active_count())
cond, state = threading.Condition(), 0


def turns(me):
    global state
    for _ in range(100):
        with cond:
            cond.wait_for(lambda: state % 3 == me)
            state += 1
            cond.notify_all()


ts = [threading.Thread(target=turns, args=(i,)) for i in range(3)]
[t.start() for t in ts]
[t.join() for t in ts]
print(state, threading.main_thread() is threading.current_thread())
start = time.monotonic()
s = threading.Semaphore(0)
print(s.acquire(timeout=0.05), time.monotonic() - start >= 0.05)

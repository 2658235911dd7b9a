"""os, tempfile, shutil, sqlite3 with locks between processes, mmap, fcntl."""
import contextlib, errno, fcntl, glob, gzip, json, mmap, os, pathlib, shutil, sqlite3, stat, subprocess, sys, tarfile, tempfile, time, zipfile

os.makedirs("a/b/c")
pathlib.Path("a/file").write_text("text")
os.symlink("file", "a/link")
print(sorted(os.listdir("a")), [(e.name, e.is_dir(), e.is_symlink()) for e in sorted(os.scandir("a"), key=lambda e: e.name)])
print([(d, sorted(ds), sorted(fs)) for d, ds, fs in os.walk("a")])
s = os.stat("a/file")
print(stat.filemode(s.st_mode), s.st_size, s.st_nlink, os.lstat("a/link").st_mode & 0o170000 == stat.S_IFLNK)
for what in (lambda: open("missing"), lambda: os.mkdir("a"), lambda: os.rmdir("a"), lambda: os.listdir("a/file"), lambda: open("a"), lambda: os.readlink("a/file"), lambda: os.unlink("a")):
    try:
        what()
    except OSError as e:
        print(errno.errorcode[e.errno])
shutil.copytree("a", "copy", symlinks=True)
shutil.move("copy", "moved")
print(sorted(glob.glob("**", recursive=True)))
shutil.make_archive("archive", "gztar", "a")
print(sorted(tarfile.open("archive.tar.gz").getnames()))
os.remove("archive.tar.gz")
shutil.rmtree("moved")
with tempfile.TemporaryDirectory(dir=".") as d, tempfile.NamedTemporaryFile(dir=d) as f, tempfile.TemporaryFile(dir=d) as g:
    f.write(b"x"); f.flush(); g.write(b"y"); g.seek(0)
    print(os.path.getsize(f.name), g.read(), len(os.listdir(d)))
print(len(os.listdir(".")))
with open("data", "w+b") as f:
    f.write(bytes(range(256)) * 100)
    f.flush()
    with mmap.mmap(f.fileno(), 0) as m:
        m[10:14] = b"mmap"
        print(m.find(b"mmap"), len(m))
        m.flush()
    f.seek(10)
    print(f.read(4), os.pread(f.fileno(), 4, 10), f.truncate(100), os.fstat(f.fileno()).st_size)
    fcntl.lockf(f, fcntl.LOCK_EX)
    print(subprocess.run([sys.executable, "-c", "import fcntl\nf=open('data','r+')\ntry: fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB); print('got')\nexcept OSError as e: print(e.errno)"], capture_output=True, text=True).stdout)
def database(timeout=20):
    return contextlib.closing(sqlite3.connect("db", timeout=timeout, isolation_level=None))


for mode in ("delete", "wal"):
    with database() as db:
        print(db.execute(f"pragma journal_mode={mode}").fetchone())
        db.execute("create table if not exists t(n integer, w text)")
    pids = []
    for w in range(3):
        if (pid := os.fork()) == 0:
            with database() as mine:
                for i in range(20):
                    mine.execute("begin immediate")
                    n = mine.execute("select count(*) from t").fetchone()[0]
                    mine.execute("insert into t values(?, ?)", (n, f"{mode} {w}"))
                    mine.execute("commit")
            os._exit(0)
        pids.append(pid)
    print([os.waitpid(p, 0)[1] for p in pids])
    with database() as db, database(0.05) as other:
        print(db.execute("select count(*), count(distinct n), max(n) from t").fetchone(), db.execute("pragma integrity_check").fetchone())
        db.execute("begin exclusive")
        try:
            print("beside a writer", other.execute("select count(*) from t").fetchall())
        except sqlite3.OperationalError as e:
            print(e)
        db.execute("rollback")
print(sorted(f for f in os.listdir(".") if f.startswith("db")))
os.remove("db")
with zipfile.ZipFile("z.zip", "w") as z:
    z.writestr("in", "zip")
print(zipfile.ZipFile("z.zip").read("in"))
os.remove("z.zip")
fd = os.open("data", os.O_RDWR)
print(os.get_inheritable(fd), os.lseek(fd, 0, os.SEEK_END), os.sendfile(1, fd, 0, 0), os.get_blocking(fd))
print(os.statvfs(".").f_namemax, os.access("data", os.X_OK), os.path.realpath("a/link") == os.path.abspath("a/file"))
os.utime("data", (1, 2))
print(os.stat("data").st_mtime, os.umask(0o22), os.getcwd() == os.path.realpath("."), os.cpu_count() > 0, len(os.urandom(8)), os.getlogin if False else "")
print(os.sched_getaffinity(0) != set(), os.nice(0), os.getpgrp() > 0, os.ttyname(0) if os.isatty(0) else "no terminal")
print(os.memfd_create("x") > 0, os.eventfd(1) > 0, os.copy_file_range(fd, os.open("copied", os.O_CREAT | os.O_RDWR), 50, 0))
sys.exit("a message")

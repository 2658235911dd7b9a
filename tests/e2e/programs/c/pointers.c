/* Bad pointers, descriptors and numbers: an error, never a crash. */
#include "report.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int file, directory, in, out, sock;
static char *read_only, *nothing, *edge;

/* Calls whose argument number `at` is a pointer. */
static const struct {
    const char *name;
    long number;
    int at;
    long arguments[6];
} calls[] = {
#define CALL(name, at, ...) {#name " argument " #at, SYS_##name, at, {__VA_ARGS__}}
    CALL(read, 1, -1, 0, 100), CALL(write, 1, -1, 0, 100), CALL(open, 0, 0, 0), CALL(stat, 0, 0, 0), CALL(stat, 1, -3, 0),
    CALL(fstat, 1, -1, 0), CALL(lstat, 1, -3, 0), CALL(poll, 0, 0, 3, 0), CALL(rt_sigaction, 1, 10, 0, 0, 8),
    CALL(rt_sigaction, 2, 10, 0, 0, 8), CALL(rt_sigprocmask, 1, 0, 0, 0, 8), CALL(rt_sigprocmask, 2, 0, 0, 0, 8),
    CALL(pread64, 1, -1, 0, 100, 0), CALL(pwrite64, 1, -1, 0, 100, 0), CALL(readv, 1, -1, 0, 2), CALL(writev, 1, -1, 0, 2),
    CALL(access, 0, 0, 0), CALL(pipe, 0, 0), CALL(select, 1, 8, 0, 0, 0, -11), CALL(nanosleep, 0, 0, 0), CALL(getitimer, 1, 0, 0),
    CALL(setitimer, 1, 0, 0, 0), CALL(connect, 1, -2, 0, 16), CALL(bind, 1, -2, 0, 16), CALL(getsockname, 1, -2, 0, 0),
    CALL(sendto, 1, -2, 0, 10, 0, 0, 0), CALL(recvfrom, 1, -2, 0, 10, 0x40, 0, 0), CALL(sendmsg, 1, -2, 0, 0),
    CALL(recvmsg, 1, -2, 0, 0x40), CALL(socketpair, 3, 1, 1, 0, 0), CALL(setsockopt, 3, -2, 1, 2, 0, 4),
    CALL(getsockopt, 3, -2, 1, 2, 0, 0), CALL(execve, 0, 0, 0, 0), CALL(wait4, 1, -1, 0, 0, 0), CALL(uname, 0, 0),
    CALL(fcntl, 2, -1, 5, 0), CALL(truncate, 0, 0, 0), CALL(getdents64, 1, -4, 0, 1000), CALL(getcwd, 0, 0, 100), CALL(chdir, 0, 0),
    CALL(rename, 0, 0, -3), CALL(rename, 1, -3, 0), CALL(mkdir, 0, 0, 0755), CALL(rmdir, 0, 0), CALL(link, 0, 0, -3),
    CALL(unlink, 0, 0), CALL(symlink, 0, 0, -3), CALL(readlink, 0, 0, -3, 10), CALL(chmod, 0, 0, 0644), CALL(chown, 0, 0, 0, 0),
    CALL(gettimeofday, 0, 0, 0), CALL(getrlimit, 1, 0, 0), CALL(setrlimit, 1, 7, 0), CALL(getrusage, 1, 0, 0), CALL(sysinfo, 0, 0),
    CALL(times, 0, 0), CALL(getgroups, 1, 100, 0), CALL(setgroups, 1, 3, 0), CALL(getresuid, 0, 0, 0, 0),
    CALL(rt_sigpending, 0, 0, 8), CALL(rt_sigtimedwait, 0, 0, 0, -11, 8), CALL(rt_sigsuspend, 0, 0, 8), CALL(sigaltstack, 0, 0, 0),
    CALL(sigaltstack, 1, 0, 0), CALL(utimensat, 2, -100, -3, 0, 0), CALL(statfs, 1, -3, 0), CALL(fstatfs, 1, -1, 0),
    CALL(prctl, 1, 15, 0), CALL(prctl, 1, 16, 0), CALL(arch_prctl, 1, 0x1003, 0), CALL(futex, 0, 0, 0, 0, -11, 0, 0),
    CALL(futex, 3, -5, 0, 0, 0, 0, 0), CALL(sched_getaffinity, 2, 0, 128, 0), CALL(epoll_wait, 1, -6, 0, 1, 0),
    CALL(epoll_ctl, 3, -6, 1, -7, 0), CALL(clock_gettime, 1, 0, 0), CALL(clock_getres, 1, 0, 0), CALL(clock_nanosleep, 2, 0, 0, 0, 0),
    CALL(openat, 1, -100, 0, 0), CALL(newfstatat, 2, -100, -3, 0, 0), CALL(statx, 4, -100, -3, 0, 0x7ff, 0), CALL(ppoll, 0, 0, 1, -11, 0, 0),
    CALL(pipe2, 0, 0, 0), CALL(getrandom, 0, 0, 16, 0), CALL(memfd_create, 0, 0, 0),
    CALL(timerfd_settime, 2, -8, 0, 0, 0), CALL(eventfd2, 5, 0, 0), CALL(waitid, 2, 0, 0, 0, 5, 0), CALL(capget, 0, 0, 0),
    CALL(mincore, 2, -10, 4096, 0), CALL(set_robust_list, 0, 0, 24),
    CALL(copy_file_range, 1, -1, 0, -1, 0, 1, 0), CALL(sendfile, 2, -1, -1, 0, 1), CALL(clone3, 0, 0, 88), CALL(getcpu, 0, 0, 0),
    CALL(sched_setaffinity, 2, 0, 8, 0), CALL(ioctl, 2, -7, 0x541b, 0), CALL(mremap, 0, 0, 4096, 8192, 0),
    CALL(accept4, 1, -2, 0, 0, 0), CALL(getpeername, 1, -2, 0, 0), CALL(set_tid_address, 0, 0), CALL(time, 0, 0),
};

int main(void)
{
    file = open("file", O_RDWR | O_CREAT, 0644);
    write(file, "some text that is long enough to be read more than once, and then some of it again and again", 94);
    lseek(file, 0, SEEK_SET);
    directory = open("/", O_RDONLY);
    int p[2], s[2];
    pipe(p);
    in = p[0], out = p[1];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    sock = s[0];
    send(s[1], "0123456789", 10, 0);
    nothing = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(two + 4096, 4096, PROT_NONE);
    edge = two + 4093;
    memset(edge, 'e', 3);
    char *anywhere = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int word = 5, epoll = syscall(SYS_epoll_create1, 0), timer = syscall(SYS_timerfd_create, 1, 0);
    int first_free = open("/dev/null", O_RDONLY);
    const struct {
        const char *name;
        char *address;
    } bad[] = {{"null", NULL}, {"none", nothing}, {"read-only", read_only}, {"at the edge", edge}, {"the host's", (char *)0xffff800000000000},
               {"wrapping", (char *)-8L}, {"non-canonical", (char *)0x0800000000000000}, {"odd", (char *)0x7fffffffffff}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            long a[6];
            for (int k = 0; k < 6; k++)
                switch (a[k] = calls[i].arguments[k]) {
                case -1: a[k] = file; break;
                case -2: a[k] = sock; break;
                case -3: a[k] = (long)"file"; break;
                case -4: a[k] = directory; break;
                case -5: a[k] = (long)&word; break;
                case -6: a[k] = epoll; break;
                case -7: a[k] = in; break;
                case -8: a[k] = timer; break;
                case -10: a[k] = (long)anywhere; break;
                case -11: a[k] = (long)read_only; break; /* zeroes: do not wait */
                }
            /* These take zeroes for an answer, and wait, fork or starve. */
            if (bad[j].address == read_only && (calls[i].number == SYS_rt_sigsuspend || calls[i].number == SYS_clone3 || calls[i].number == SYS_setrlimit))
                continue;
            if (calls[i].number == SYS_open || calls[i].number == SYS_mkdir)
                unlink("eee");
            a[calls[i].at] = (long)bad[j].address;
            if (calls[i].number == SYS_fcntl && j == 3)
                continue; /* what lies at the edge is no lock */
            lseek(file, 0, SEEK_SET);
            long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
            if (result != -1)
                result = result > 0 && result < 1000 ? result : 0;
            char what[100];
            snprintf(what, sizeof what, "%s %s", calls[i].name, bad[j].name);
            if (calls[i].number == SYS_memfd_create || calls[i].number == SYS_eventfd2 || calls[i].number == SYS_pipe || calls[i].number == SYS_accept4 || calls[i].number == SYS_set_tid_address)
                verdict(what, result);
            else
                report(what, result);
            for (int fd = first_free; fd < first_free + 10; fd++)
                close(fd);
        }
    rmdir("eee");

    /* Transfers that run into a hole do what they can. */
    pwrite(file, "0123456789", 10, 0);
    R(pread(file, edge, 10, 0));
    R(pwrite(file, edge, 10, 0));
    R(write(out, edge, 10));
    /* Numbers out of range. */
    static char small[4096];
    R(read(file, small, -1));
    R(read(-1, small, 1));
    R(read(1 << 30, small, 1));
    R(write(file, small, 0));
    R(write(-1, NULL, 0));
    R(syscall(SYS_open, "file", -1, 0));
    R(syscall(9999));
    R(syscall(-5L));
    R(syscall(0x40000000L));
    return 0;
}

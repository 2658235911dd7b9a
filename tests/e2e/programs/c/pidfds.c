/* Processes by descriptor: opening, waiting, polling, signalling, and what becomes of them. */
#include "report.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdint.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int pidfd_open(pid_t id, unsigned flags)
{
    return syscall(SYS_pidfd_open, id, flags);
}

static int pidfd_send_signal(int fd, int signal, siginfo_t *info, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, fd, signal, info, flags);
}

static void say_poll(const char *when, int fd)
{
    struct pollfd one = {fd, POLLIN | POLLOUT, 0};
    int ready = poll(&one, 1, 0);
    say("%s: poll %d, events %#x", when, ready, one.revents);
}

static void say_wait(const char *what, int fd, int options)
{
    siginfo_t info = {0};
    int result = waitid(P_PIDFD, fd, &info, options);
    if (result == -1)
        say("%s: -1 %s", what, strerrorname_np(errno));
    else
        say("%s: %d, signal %d code %d status %d", what, result, info.si_signo, info.si_code, info.si_status);
}

/* A child that waits for a byte, or for its parent's end. */
static pid_t sleeper(int *stop)
{
    int ends[2];
    pipe2(ends, O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        read(ends[0], &byte, 1);
        _exit(7);
    }
    close(ends[0]);
    *stop = ends[1];
    return child;
}

static volatile sig_atomic_t handled, sender_is_parent, value;
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    handled = number;
    sender_is_parent = info->si_pid == getppid();
    value = info->si_value.sival_int;
}

static void opening(void)
{
    R(pidfd_open(0, 0));
    R(pidfd_open(-5, 0));
    R(pidfd_open(0x7ffffff0, 0));
    R(pidfd_open(getpid(), 0x10000));
    int self = pidfd_open(getpid(), 0);
    V(self);
    R(fcntl(self, F_GETFD));
    R(fcntl(self, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    int quiet = pidfd_open(getpid(), O_NONBLOCK);
    R(fcntl(quiet, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    char byte = 0;
    R(read(self, &byte, 1));
    R(write(self, &byte, 1));
    R(lseek(self, 0, SEEK_SET));
    char name[64] = {0}, path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", self);
    R(readlink(path, name, sizeof name - 1));
    say("%s", name);
    say_poll("oneself", self);
    say_wait("oneself", self, WEXITED);
    close(self);
    close(quiet);
}

static void ending(void)
{
    int stop;
    pid_t child = sleeper(&stop);
    int fd = pidfd_open(child, 0), quiet = pidfd_open(child, O_NONBLOCK);
    say_poll("running", fd);
    say_wait("running, without waiting", fd, WEXITED | WNOHANG);
    say_wait("running, non-blocking", quiet, WEXITED);
    R(pidfd_send_signal(fd, 0, NULL, 0));
    close(stop);
    struct pollfd one = {fd, POLLIN, 0};
    R(poll(&one, 1, 10000));
    say_poll("ended", fd);
    R(pidfd_send_signal(fd, SIGTERM, NULL, 0));
    say_wait("ended, looked at", fd, WEXITED | WNOWAIT);
    say_wait("ended", quiet, WEXITED);
    say_wait("gone", fd, WEXITED);
    R(pidfd_send_signal(fd, 0, NULL, 0));
    T(pidfd_open(child, 0) == -1);
    close(fd);
    close(quiet);
    say_wait("closed", fd, WEXITED);
    say_wait("negative", -1, WEXITED);
    int file = open("/dev/null", O_RDONLY);
    say_wait("no process", file, WEXITED);
    R(pidfd_send_signal(file, 0, NULL, 0));
    close(file);
    R(pidfd_send_signal(-1, 0, NULL, 0));
}

static void signalling(void)
{
    int ready[2];
    pipe(ready);
    pid_t child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &action, NULL);
        sigset_t none, usr1;
        sigemptyset(&none);
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        sigprocmask(SIG_BLOCK, &usr1, NULL);
        write(ready[1], "x", 1);
        sigsuspend(&none);
        say("signal %d, from its parent %d", handled, sender_is_parent);
        write(ready[1], "x", 1);
        sigsuspend(&none);
        say("signal %d, value %d", handled, value);
        _exit(3);
    }
    char byte;
    read(ready[0], &byte, 1);
    int fd = pidfd_open(child, 0);
    R(pidfd_send_signal(fd, 65, NULL, 0));
    R(pidfd_send_signal(fd, -1, NULL, 0));
    R(pidfd_send_signal(fd, SIGUSR1, NULL, 0x100));
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_USER};
    R(pidfd_send_signal(fd, SIGUSR1, &info, 0));
    info.si_signo = SIGUSR2;
    info.si_code = SI_QUEUE;
    R(pidfd_send_signal(fd, SIGUSR1, &info, 0));
    R(pidfd_send_signal(fd, SIGUSR1, (siginfo_t *)8, 0));
    /* The child speaks first. */
    int sent = pidfd_send_signal(fd, SIGUSR1, NULL, 0);
    read(ready[0], &byte, 1);
    R(sent);
    info.si_signo = SIGUSR1;
    info.si_value.sival_int = 99;
    sent = pidfd_send_signal(fd, SIGUSR1, &info, 0);
    say_wait("signalled", fd, WEXITED);
    R(sent);
    close(fd);
}

/* Descriptors that come with their process. */
static void cloning(void)
{
    int fd = -1, old = -1;
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD};
    fflush(stdout);
    pid_t child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0)
        _exit(fcntl(3, F_GETFD) == -1 ? 21 : 22);
    T(fd >= 0);
    R(fcntl(fd, F_GETFD));
    say_wait("clone3", fd, WEXITED);
    close(fd);
    child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &old, 0, 0);
    if (child == 0)
        _exit(23);
    say_wait("clone", old, WEXITED);
    close(old);
    R(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &old, 0, 0));
    args.pidfd = 8;
    R(syscall(SYS_clone3, &args, sizeof args));
    R(waitpid(-1, NULL, 0));
    struct rlimit few = {3, 3};
    IN_CHILD("no room", {
        setrlimit(RLIMIT_NOFILE, &few);
        args.pidfd = (uintptr_t)&fd;
        R(syscall(SYS_clone3, &args, sizeof args));
        R(waitpid(-1, NULL, 0));
    });
}

/* epoll tells once more when a process has been waited for by another thread, and what a descriptor
 * means outlives its process. */
static void watching(void)
{
    int stop;
    pid_t child = sleeper(&stop);
    int fd = pidfd_open(child, 0), poll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5}, found = {0};
    R(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event));
    R(epoll_wait(poll_fd, &found, 1, 0));
    R(pidfd_send_signal(fd, SIGKILL, NULL, 0));
    R(epoll_wait(poll_fd, &found, 1, 10000));
    say("events %#x of %u", found.events, found.data.u32);
    close(stop);
    say_wait("killed", fd, WEXITED);
    IN_CHILD("inherited", say_wait("not its child", fd, WEXITED));
}

int main(void)
{
    opening();
    ending();
    signalling();
    cloning();
    watching();
    return 0;
}

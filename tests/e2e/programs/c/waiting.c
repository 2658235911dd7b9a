/* FIFOs in memory, waited for together with files of the host; SIGPIPE; waits that go on after a
 * stop. */
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static volatile int broken, own;

static void on_broken_pipe(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    broken++;
    own = info->si_pid == getpid();
}

static void on_alarm(int signal)
{
    (void)signal;
}

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Has a child write to `fd` in a moment. */
static pid_t write_later(int fd)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        usleep(30000);
        write(fd, "x", 1);
        _exit(0);
    }
    return child;
}

static int fifo_and_pipe(const char *path, int ends[2])
{
    char buffer[777];
    long total = 0, sum = 0, count;
    R(mkfifo(path, 0600));
    fflush(stdout);
    if (fork() == 0) {
        int writer = open(path, O_WRONLY);
        for (int i = 0; i < 1000; i++) {
            memset(buffer, 'a' + i % 26, 100);
            write(writer, buffer, 100);
        }
        _exit(0);
    }
    int reader = open(path, O_RDONLY);
    while ((count = read(reader, buffer, sizeof buffer)) > 0) {
        total += count;
        for (int i = 0; i < count; i++)
            sum += buffer[i];
    }
    wait(NULL);
    say("read %ld sum %ld", total, sum);
    close(reader);
    R(open(path, O_WRONLY | O_NONBLOCK));
    reader = open(path, O_RDONLY | O_NONBLOCK);
    R(read(reader, buffer, 1));
    int writer = open(path, O_WRONLY);
    R(read(reader, buffer, 1));

    struct pollfd both[2] = {{ends[0], POLLIN, 0}, {reader, POLLIN, 0}};
    R(poll(both, 2, 10));
    write_later(writer);
    R(poll(both, 2, 5000));
    say("ready %x %x", both[0].revents, both[1].revents);
    wait(NULL);
    read(reader, buffer, 10);
    int epoll = epoll_create1(0), outer = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u32 = 1}};
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    event.data.u32 = 2;
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event));
    event.data.u32 = 3;
    R(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event));
    R(epoll_wait(epoll, &event, 1, 10));
    int fds[] = {writer, ends[1]};
    for (int i = 0; i < 2; i++) {
        write_later(fds[i]);
        R(epoll_wait(outer, &event, 1, 5000));
        say("outer %u", event.data.u32);
        R(epoll_wait(epoll, &event, 1, 5000));
        say("told of %u", event.data.u32);
        wait(NULL);
        read(i == 0 ? reader : ends[0], buffer, 10);
    }
    close(writer);
    R(poll(both, 2, 1000));
    say("ready %x %x", both[0].revents, both[1].revents);
    writer = open(path, O_WRONLY);
    close(reader);
    R(unlink(path));
    return writer;
}

int main(void)
{
    int ends[2], sockets[2], status;
    pipe(ends);
    int fifo = fifo_and_pipe("/dev/shm/bannock-e2e-waiting", ends);

    struct sigaction action = {.sa_sigaction = on_broken_pipe, .sa_flags = SA_SIGINFO};
    sigaction(SIGPIPE, &action, NULL);
    close(ends[0]);
    R(write(ends[1], "x", 1));
    say("signals %d own %d", broken, own);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    close(sockets[0]);
    R(send(sockets[1], "x", 1, MSG_NOSIGNAL));
    say("signals %d", broken);
    R(send(sockets[1], "x", 1, 0));
    say("signals %d", broken);
    R(write(sockets[1], "x", 1));
    say("signals %d", broken);
    R(write(fifo, "x", 1));
    say("signals %d", broken);
    signal(SIGPIPE, SIG_IGN);
    R(write(ends[1], "x", 1));
    IN_CHILD("default", signal(SIGPIPE, SIG_DFL); write(ends[1], "x", 1));

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        long start = now();
        int ready = poll(NULL, 0, 300);
        _exit(ready == 0 && now() - start >= 300 ? 0 : 1);
    }
    usleep(100000);
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    say_status("poll", status);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    say_status("poll", status);
    action = (struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    R(poll(NULL, 0, 5000));
    return 0;
}

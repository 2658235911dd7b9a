/* Pipes and FIFOs. */
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

static char big[1 << 20];

int main(void)
{
    int p[2], q[2];
    char buffer[100];
    struct pollfd poll_one = {0};
    R(pipe2(p, O_NONBLOCK));
    R(read(p[0], buffer, 1));
    R(write(p[1], big, 65536));
    R(write(p[1], big, 1));
    int available;
    R(ioctl(p[0], FIONREAD, &available));
    R(available);
    R(fcntl(p[0], F_GETPIPE_SZ));
    for (int i = 0; i < 16; i++)
        read(p[0], big, 4096);
    R(fcntl(p[0], F_SETPIPE_SZ, 4096));
    R(write(p[1], big, 5000));
    R(read(p[0], big, 10000));
    R(write(p[0], "x", 1));
    R(read(p[1], buffer, 1));
    R(lseek(p[0], 0, SEEK_SET));
    R(pread(p[0], buffer, 1, 0));
    R(ftruncate(p[1], 0));
    poll_one = (struct pollfd){p[0], POLLIN, 0};
    R(poll(&poll_one, 1, 0));
    write(p[1], "abc", 3);
    R(poll(&poll_one, 1, 0));
    R(poll_one.revents);
    close(p[1]);
    R(poll(&poll_one, 1, 0));
    R(poll_one.revents);
    R(read(p[0], buffer, 10));
    R(read(p[0], buffer, 10));
    R(poll(&poll_one, 1, 0));
    R(poll_one.revents);
    close(p[0]);
    poll_one = (struct pollfd){99, POLLIN, 0};
    R(poll(&poll_one, 1, 0));
    R(poll_one.revents);

    /* A reader that is gone. */
    pipe(p);
    close(p[0]);
    poll_one = (struct pollfd){p[1], POLLOUT, 0};
    R(poll(&poll_one, 1, 0));
    R(poll_one.revents);
    signal(SIGPIPE, SIG_IGN);
    R(write(p[1], "x", 1));
    IN_CHILD("SIGPIPE", {
        signal(SIGPIPE, SIG_DFL);
        write(p[1], "x", 1);
    });
    close(p[1]);

    /* A blocking writer is woken by its reader, and learns of its end. */
    pipe(p);
    pipe(q);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(p[0]);
        R(write(p[1], big, sizeof big));
        _exit(0);
    }
    close(p[1]);
    long total = 0, got;
    while (total < (long)sizeof big && (got = read(p[0], buffer, 100)) > 0)
        total += got;
    T(total >= (long)sizeof big);
    close(p[0]);
    wait(NULL);

    /* Writes of at most PIPE_BUF bytes do not mix. */
    pipe(p);
    for (int writer = 0; writer < 4; writer++)
        if (fork() == 0) {
            char line[128];
            memset(line, 'a' + writer, sizeof line);
            for (int i = 0; i < 200; i++)
                write(p[1], line, sizeof line);
            _exit(0);
        }
    close(p[1]);
    long mixed = 0, lines = 0, have = 0;
    char line[128];
    while ((got = read(p[0], line + have, sizeof line - have)) > 0)
        if ((have += got) == sizeof line) {
            for (size_t i = 1; i < sizeof line; i++)
                mixed += line[i] != line[0];
            lines++;
            have = 0;
        }
    while (wait(NULL) > 0)
        ;
    say("%ld lines, %ld mixed", lines, mixed);
    close(p[0]);

    /* splice, tee, vmsplice. */
    pipe2(p, O_NONBLOCK);
    int file = open("spliced", O_RDWR | O_CREAT, 0644);
    write(file, "splice me", 9);
    loff_t at = 0;
    R(splice(file, &at, p[1], NULL, 6, 0));
    R(tee(p[0], q[1], 100, 0));
    fcntl(q[0], F_SETFL, O_NONBLOCK);
    R(read(q[0], buffer, 100));
    at = 20;
    R(splice(p[0], NULL, file, &at, 100, 0));
    struct iovec piece = {"vector", 6};
    R(vmsplice(p[1], &piece, 1, 0));
    R(read(p[0], buffer, 100));

    /* FIFOs. */
    R(mkfifo("fifo", 0622));
    R(open("fifo", O_WRONLY | O_NONBLOCK));
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    V(reader);
    int writer = open("fifo", O_WRONLY | O_NONBLOCK);
    V(writer);
    R(write(writer, "through a fifo", 14));
    R(read(reader, buffer, 100));
    close(writer);
    R(read(reader, buffer, 100));
    close(reader);
    /* select. */
    fd_set readable, writable;
    pipe(p);
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(p[0], &readable);
    FD_SET(p[1], &writable);
    struct timeval none = {0, 0};
    R(select(p[1] + 1, &readable, &writable, NULL, &none));
    say("%d %d", !!FD_ISSET(p[0], &readable), !!FD_ISSET(p[1], &writable));
    FD_ZERO(&readable);
    /* Linux looks at as many descriptors as its table has room for, at least at 64. */
    FD_SET(63, &readable);
    R(select(64, &readable, NULL, NULL, &none));
    none.tv_usec = 10000;
    R(select(0, NULL, NULL, NULL, &none));
    R(none.tv_usec);
    struct stat status;
    fstat(p[0], &status);
    T(S_ISFIFO(status.st_mode));
    say("%o", status.st_mode);
    return 0;
}

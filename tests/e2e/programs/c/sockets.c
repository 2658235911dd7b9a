/* Sockets: loopback, UNIX, passing of descriptors and credentials. */
#include "report.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

static char buffer[70000];

static int pass(int over, int fd)
{
    char byte = 'f', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(over, &message, 0);
}

static int take(int from, int *flags)
{
    char byte, control[100];
    int fd = -1;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    *flags = message.msg_flags;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(header), sizeof fd);
        else
            say("control message %d", header->cmsg_type);
    }
    return fd;
}

static void option(const char *what, int socket, int level, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(socket, level, name, &value, &length) == 0)
        say("%s %d", what, value);
    else
        say("%s %s", what, strerrorname_np(errno));
}

static void tcp(int family)
{
    struct sockaddr_storage storage = {.ss_family = family}, other;
    socklen_t length = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6), size;
    if (family == AF_INET)
        ((struct sockaddr_in *)&storage)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)&storage)->sin6_addr = in6addr_loopback;
    struct sockaddr *address = (struct sockaddr *)&storage;
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    V(listener);
    R(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    R(bind(listener, address, length));
    R(listen(listener, 5));
    size = sizeof storage;
    R(getsockname(listener, address, &size));
    R(size);
    T(((struct sockaddr_in *)&storage)->sin_port != 0);
    int client = socket(family, SOCK_STREAM, 0);
    R(getpeername(client, address, &size));
    R(send(client, "x", 1, MSG_NOSIGNAL));
    R(connect(client, address, size));
    R(connect(client, address, size));
    size = sizeof other;
    int server = accept4(listener, (struct sockaddr *)&other, &size, SOCK_NONBLOCK);
    V(server);
    R(size);
    R(recv(server, buffer, 10, 0));
    R(send(client, "hello world", 11, 0));
    struct pollfd one_poll = {server, POLLIN, 0};
    R(poll(&one_poll, 1, 1000));
    R(recv(server, buffer, 5, MSG_PEEK));
    R(recv(server, buffer, 5, 0));
    R(ioctl(server, FIONREAD, &one));
    R(one);
    R(recv(server, buffer, 100, 0));
    R(send(client, "!", 1, MSG_OOB));
    option("type", client, SOL_SOCKET, SO_TYPE);
    option("error", client, SOL_SOCKET, SO_ERROR);
    option("accepting", listener, SOL_SOCKET, SO_ACCEPTCONN);
    option("domain", client, SOL_SOCKET, SO_DOMAIN);
    option("protocol", client, SOL_SOCKET, SO_PROTOCOL);
    option("nodelay", client, IPPROTO_TCP, TCP_NODELAY);
    one = 1;
    R(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    option("nodelay", client, IPPROTO_TCP, TCP_NODELAY);
    R(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
    R(setsockopt(client, SOL_SOCKET, 9999, &one, sizeof one));
    struct timeval brief = {0, 10000};
    R(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief));
    R(recv(client, buffer, 1, 0));
    R(shutdown(client, SHUT_WR));
    one_poll.revents = 0;
    poll(&one_poll, 1, 1000);
    say("revents %#x", one_poll.revents & ~POLLPRI);
    R(recv(server, buffer, 100, 0));
    R(send(server, "still", 5, 0));
    R(recv(client, buffer, 100, 0));
    R(write(client, "x", 1));
    close(server);
    usleep(1000);
    R(recv(client, buffer, 100, 0));
    close(client);
    close(listener);
    client = socket(family, SOCK_STREAM, 0);
    R(connect(client, (struct sockaddr *)&storage, length));
    fcntl(client, F_SETFL, O_NONBLOCK);
    if (connect(client, (struct sockaddr *)&storage, length) == -1 && errno == EINPROGRESS) {
        one_poll = (struct pollfd){client, POLLOUT, 0};
        poll(&one_poll, 1, 1000);
    }
    close(client);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    tcp(AF_INET);
    tcp(AF_INET6);

    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof to;
    R(bind(a, (struct sockaddr *)&to, sizeof to));
    getsockname(a, (struct sockaddr *)&to, &size);
    R(sendto(b, "datagram", 8, 0, (struct sockaddr *)&to, size));
    R(sendto(b, "", 0, 0, (struct sockaddr *)&to, size));
    R(sendto(b, buffer, 66000, 0, (struct sockaddr *)&to, size));
    R(recv(a, buffer, 3, MSG_TRUNC));
    R(recv(a, buffer, 3, 0));
    R(recv(a, buffer, 3, MSG_DONTWAIT));
    struct iovec pieces[2] = {{"one", 3}, {"two", 3}};
    struct mmsghdr many[2] = {{.msg_hdr = {.msg_name = &to, .msg_namelen = size, .msg_iov = pieces, .msg_iovlen = 2}},
                              {.msg_hdr = {.msg_name = &to, .msg_namelen = size, .msg_iov = pieces, .msg_iovlen = 1}}};
    R(sendmmsg(b, many, 2, 0));
    struct iovec into[2] = {{buffer, 10}, {buffer + 10, 10}};
    struct mmsghdr got[2] = {{.msg_hdr = {.msg_iov = into, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = into + 1, .msg_iovlen = 1}}};
    R(recvmmsg(a, got, 2, 0, NULL));
    say("%u %u %.6s", got[0].msg_len, got[1].msg_len, buffer);

    int pair[2];
    R(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    R(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}));
    R(write(pair[0], "through", 7));
    R(read(pair[1], buffer, 100));
    struct ucred peer;
    size = sizeof peer;
    R(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size));
    say("own %d uid %d gid %d", peer.pid == getpid(), peer.uid, peer.gid);
    int file = open("passed", O_RDWR | O_CREAT, 0644), flags = 0;
    write(file, "content", 7);
    R(pass(pair[0], file));
    int taken = take(pair[1], &flags);
    V(taken);
    R(flags & ~MSG_CMSG_CLOEXEC);
    R(fcntl(taken, F_GETFD));
    R(pread(taken, buffer, 100, 0));
    R(lseek(taken, 0, SEEK_CUR));
    struct stat one, two;
    fstat(file, &one);
    fstat(taken, &two);
    T(one.st_ino == two.st_ino);
    int p[2];
    pipe(p);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int received = take(pair[1], &flags);
        write(received, "from the child", 14);
        _exit(0);
    }
    pass(pair[0], p[1]);
    close(p[1]);
    R(read(p[0], buffer, 100));
    waitpid(child, NULL, 0);
    R(read(p[0], buffer, 100));
    pass(pair[0], file);
    R(read(pair[1], buffer, 100));
    int on = 1;
    R(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    write(pair[0], "c", 1);
    R(take(pair[1], &flags));
    close(pair[0]);
    R(read(pair[1], buffer, 1));
    R(write(pair[1], "x", 1));
    R(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    write(pair[0], "first", 5);
    write(pair[0], "second", 6);
    R(read(pair[1], buffer, 3));
    R(read(pair[1], buffer, 100));
    R(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    R(write(pair[0], "datagram", 8));
    R(read(pair[1], buffer, 100));

    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"}, from;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    R(connect(client, (struct sockaddr *)&name, sizeof name));
    R(bind(listener, (struct sockaddr *)&name, sizeof name));
    R(connect(client, (struct sockaddr *)&name, sizeof name));
    R(listen(listener, 1));
    R(connect(client, (struct sockaddr *)&name, sizeof name));
    size = sizeof from;
    int server = accept(listener, (struct sockaddr *)&from, &size);
    V(server);
    R(size);
    size = sizeof from;
    R(getpeername(client, (struct sockaddr *)&from, &size));
    say("%.*s", (int)(size - 2), from.sun_path);
    size = sizeof peer;
    R(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    say("own %d uid %d", peer.pid == getpid(), peer.uid);
    R(pass(client, file));
    fcntl(server, F_SETFL, O_NONBLOCK);
    taken = take(server, &flags);
    V(taken);
    R(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof name));
    memcpy(name.sun_path, "\0abstract", 9);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    R(bind(listener, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 9));
    R(listen(listener, 1));
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    R(connect(client, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 9));
    R(connect(client, (struct sockaddr *)&name, 1));
    R(socket(AF_UNIX, SOCK_STREAM, 99));
    R(socket(99, SOCK_STREAM, 0));
    R(socket(AF_INET, 99, 0));
    R(recv(file, buffer, 1, 0));
    R(listen(a, 1));
    R(accept(client, NULL, NULL));
    R(send(client, buffer, sizeof buffer, MSG_DONTWAIT) > 0);
    R(fcntl(client, F_GETFL));
    R(lseek(client, 0, SEEK_SET));
    return 0;
}

/* Bytes that move between files without passing a program, in the folder that is named. */
#include "report.h"
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

static char buffer[5000];

static void say_bytes(const char *what, const char *bytes, int length)
{
    say("%s %.*s", what, length, bytes);
}

int main(int argc, char **argv)
{
    char folder[] = "splice-XXXXXX";
    if (argc != 2 || chdir(argv[1]) == -1 || mkdtemp(folder) == NULL || chdir(folder) == -1)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    int a = open("a", O_RDWR | O_CREAT, 0600), b = open("b", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 100000; i++)
        write(a, &"abcdefghijklmnopqrstuvwxyz"[i % 26], 1);
    lseek(a, 0, SEEK_SET);
    int in[2], out[2], ends[2];
    pipe(in);
    pipe(out);
    loff_t at = 10;
    R(splice(a, &at, in[1], NULL, 1000, 0));
    R(at);
    R(lseek(a, 0, SEEK_CUR));
    R(splice(a, NULL, in[1], NULL, 500, 0));
    R(lseek(a, 0, SEEK_CUR));
    R(tee(in[0], out[1], 700, 0));
    R(splice(in[0], NULL, out[1], NULL, 5000, 0));
    R(splice(in[0], NULL, out[1], NULL, 10, SPLICE_F_NONBLOCK));
    R(tee(in[0], out[1], 10, SPLICE_F_NONBLOCK));
    R(read(out[0], buffer, 700));
    say_bytes("copied", buffer, 10);
    at = 3;
    R(splice(out[0], NULL, b, &at, 5000, 0));
    R(at);
    R(lseek(b, 0, SEEK_END));
    R(splice(a, NULL, b, NULL, 10, 0));
    R(splice(in[0], &at, out[1], NULL, 1, 0));
    R(splice(in[0], NULL, in[1], NULL, 1, 0));
    R(splice(in[1], NULL, b, NULL, 1, 0));
    R(splice(in[0], NULL, b, NULL, 0, 0));
    R(splice(in[0], NULL, b, NULL, 1, 64));
    R(tee(a, out[1], 1, 0));
    R(tee(in[0], in[1], 1, 0));

    struct iovec parts[2] = {{"hello", 5}, {"world", 5}};
    R(vmsplice(in[1], parts, 2, 0));
    parts[0] = (struct iovec){buffer, 7};
    parts[1] = (struct iovec){buffer + 7, 7};
    R(vmsplice(in[0], parts, 2, 0));
    say_bytes("vmsplice", buffer, 10);
    R(vmsplice(a, parts, 1, 0));

    R(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    write(in[1], "through", 7);
    R(splice(in[0], NULL, ends[0], NULL, 100, 0));
    R(read(ends[1], buffer, 100));
    write(ends[1], "back", 4);
    R(splice(ends[0], NULL, in[1], NULL, 100, 0));
    R(read(in[0], buffer, 100));
    int null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
    write(in[1], "gone", 4);
    R(splice(in[0], NULL, null, NULL, 100, 0));
    R(splice(zero, NULL, in[1], NULL, 100, 0));
    R(read(in[0], buffer, 200));

    R(mkfifo("fifo", 0600));
    int fifo = open("fifo", O_RDWR);
    at = 0;
    R(splice(a, &at, fifo, NULL, 3000, 0));
    R(splice(fifo, NULL, in[1], NULL, 1000, 0));
    R(splice(in[0], NULL, fifo, NULL, 2000, 0));
    at = 0;
    R(splice(fifo, NULL, b, &at, 9000, 0));
    R(splice(fifo, NULL, b, NULL, 1, SPLICE_F_NONBLOCK));
    pread(b, buffer, sizeof buffer, 0);
    say_bytes("first", buffer, 5);
    say_bytes("last", buffer + 2000, 5);
    R(fcntl(fifo, F_GETPIPE_SZ));
    R(fcntl(fifo, F_SETPIPE_SZ, 100000));

    loff_t from = 100, to = 0;
    R(copy_file_range(a, &from, b, &to, 5000, 0));
    say("offsets %ld %ld", (long)from, (long)to);
    from = 0, to = 100;
    R(copy_file_range(a, &from, a, &to, 200, 0));
    to = 200000;
    R(copy_file_range(a, &from, a, &to, 200, 0));
    R(copy_file_range(a, NULL, b, NULL, 10, 1));
    R(copy_file_range(in[0], NULL, b, NULL, 10, 0));

    struct stat status;
    struct iovec part = {"xyz", 3};
    ftruncate(b, 0);
    lseek(b, 0, SEEK_SET);
    write(b, "12345", 5);
    R(pwritev2(b, &part, 1, 0, RWF_APPEND));
    R(lseek(b, 0, SEEK_CUR));
    R(pwritev2(b, &part, 1, -1, RWF_APPEND));
    R(lseek(b, 0, SEEK_CUR));
    R(pwritev2(b, &part, 1, 0, 0x10000));
    R(fcntl(b, F_SETFL, O_APPEND));
    R(pwrite(b, "zz", 2, 0));
    R(splice(in[0], NULL, b, NULL, 1, 0));
    fstat(b, &status);
    R(status.st_size);
    R(pread(b, buffer, 100, 0));
    say_bytes("all", buffer, 13);

    lseek(a, 0, SEEK_SET);
    R(sendfile(in[1], a, NULL, 100));
    close(in[0]);
    R(splice(a, NULL, in[1], NULL, 10, 0));
    R(sendfile(in[1], a, NULL, 10));
    unlink("a");
    unlink("b");
    unlink("fifo");
    chdir("..");
    R(rmdir(folder));
    return 0;
}

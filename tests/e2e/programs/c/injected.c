/* Prints what a session gave it: arguments, environment and a file. */
#include "report.h"
#include <fcntl.h>
#include <sys/stat.h>

extern char **environ;

int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        say("argument %s", argv[i]);
    for (char **variable = environ; *variable; variable++)
        say("variable %s", *variable);
    struct stat status;
    int fd = open(argv[1], O_RDONLY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        say("%s: %s", argv[1], strerrorname_np(errno));
        return 1;
    }
    char content[1000];
    long length = read(fd, content, sizeof content);
    say("mode %o, %ld bytes: %.*s", status.st_mode, length, (int)length, content);
    R(open("/etc/passwd", O_RDONLY));
    R(open(argv[1], O_WRONLY) >= 0);
    return 23;
}

/* A writer that waits for its reader in open(2), and a reader that waits for its writer. */
#include "report.h"
#include <fcntl.h>
#include <sys/stat.h>

int main(void)
{
    char buffer[100];
    R(mkfifo("fifo", 0600));
    for (int round = 0; round < 20; round++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (round % 2)
                usleep(10000);
            int writer = open("fifo", O_WRONLY);
            R(write(writer, "blocking", 8));
            _exit(0);
        }
        if (round % 2 == 0)
            usleep(10000);
        int reader = open("fifo", O_RDONLY);
        int status;
        waitpid(child, &status, 0);
        R(read(reader, buffer, 100));
        R(read(reader, buffer, 100));
        close(reader);
        say_status("writer", status);
    }
    return 0;
}

/* Pseudo-terminals: the line discipline, job control, hanging up, and a shell that uses them. */
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

static int master, slave;

/* Says what the terminal shows until it is quiet. */
static void show(const char *what)
{
    char bytes[400], text[1700] = "";
    int count = 0, got;
    struct pollfd poller = {master, POLLIN, 0};
    while (count < 390 && poll(&poller, 1, 150) > 0 && poller.revents & POLLIN &&
           (got = read(master, bytes + count, 390 - count)) > 0)
        count += got;
    for (int i = 0; i < count; i++)
        sprintf(text + strlen(text), bytes[i] < 32 || bytes[i] > 126 ? "<%02x>" : "%c",
                (unsigned char)bytes[i]);
    say("%s: %s", what, text);
}

/* Reads what the terminal shows until `text` comes. */
static void until(const char *text)
{
    static char bytes[4000];
    int count = 0, got;
    struct pollfd poller = {master, POLLIN, 0};
    bytes[0] = 0;
    while (poll(&poller, 1, 10000) > 0 && (got = read(master, bytes + count, 3990 - count)) > 0) {
        count += got;
        bytes[count] = 0;
        if (strstr(bytes, text)) {
            say("seen");
            return;
        }
    }
    say("not seen in %s", bytes);
}

static void type(const char *text)
{
    write(master, text, strlen(text));
}

static void say_child(const char *what, pid_t child)
{
    int status;
    waitpid(child, &status, WUNTRACED);
    say_status(what, status);
}

static void discipline(void)
{
    char buffer[100];
    struct stat status;
    struct termios settings;
    struct winsize size = {24, 80, 1, 2};
    R(grantpt(master));
    R(open(ptsname(master), O_RDWR | O_NOCTTY));
    R(unlockpt(master));
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    R(isatty(slave));
    R(strcmp(ttyname(slave), ptsname(master)));
    fstat(slave, &status);
    T(S_ISCHR(status.st_mode) && status.st_rdev >> 8 == 136);
    tcgetattr(slave, &settings);
    say("flags %x %x %x %x", settings.c_iflag, settings.c_oflag, settings.c_cflag & ~CBAUD,
        settings.c_lflag);
    for (int i = 0; i < 19; i++)
        R(settings.c_cc[i]);
    R(ioctl(master, TIOCSWINSZ, &size));
    R(ioctl(slave, TIOCGWINSZ, &size));
    say("size %d %d", size.ws_row, size.ws_col);
    type("hello\x7f!\r");
    show("echo");
    R(read(slave, buffer, 4));
    R(read(slave, buffer, 100));
    type("two words\x17x\x15kill\t\x7f\x7fl\x16\x03\n\x04");
    show("edited");
    R(read(slave, buffer, 100));
    R(read(slave, buffer, 100));
    write(slave, "a\tb\n", 4);
    show("out");
    int id;
    R(ioctl(slave, TIOCGPGRP, &id));

    cfmakeraw(&settings);
    R(tcsetattr(slave, TCSANOW, &settings));
    type("\x03\r");
    R(read(slave, buffer, 100));
    say("raw %02x %02x", buffer[0], buffer[1]);
    write(slave, "x\n", 2);
    show("raw out");
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 1;
    R(tcsetattr(slave, TCSADRAIN, &settings));
    R(read(slave, buffer, 100));
    type("typed");
    // Linux passes what the master types on when it comes to it.
    id = 0;
    for (int tries = 0; tries < 500 && id < 5; tries++) {
        usleep(10000);
        if (ioctl(slave, FIONREAD, &id)) break;
    }
    R(id);
    R(tcflush(slave, TCIFLUSH));
    R(read(slave, buffer, 100));
    close(slave);
    struct pollfd poller = {master, POLLIN, 0};
    R(poll(&poller, 1, 1000));
    R(poller.revents);
    R(read(master, buffer, 10));
    close(master);
}

static void open_both(void)
{
    master = posix_openpt(O_RDWR | O_NOCTTY);
    unlockpt(master);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
}

static void in_background(void)
{
    char buffer[10];
    signal(SIGTTOU, SIG_IGN);
    setsid();
    R(ioctl(slave, TIOCSCTTY, 0));
    int terminal = open("/dev/tty", O_RDWR);
    T(tcgetpgrp(terminal) == getpid() && tcgetsid(terminal) == getpid());
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        _exit(read(slave, buffer, 10));
    }
    say_child("reader", child);
    tcsetpgrp(slave, child);
    kill(-child, SIGCONT);
    write(slave, "ready", 5);
    say_child("reader", child);
    R(tcsetpgrp(slave, getpid()));
    fflush(stdout);
    child = fork();
    if (child == 0) {
        struct termios settings;
        setpgid(0, 0);
        signal(SIGTTOU, SIG_DFL);
        tcgetattr(slave, &settings);
        tcsetattr(slave, TCSANOW, &settings);
        _exit(7);
    }
    say_child("setter", child);
    kill(child, SIGKILL);
    say_child("setter", child);
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        child = fork();
        if (child == 0)
            for (;;)
                pause();
        setpgid(child, child);
        tcsetpgrp(slave, child);
        write(master, &"\x03\x1c\x1a"[i], 1);
        say_child("key", child);
    }
    R(tcsetpgrp(slave, 999999));
    say("the leader goes, and a stopped child stays");
}

static void hang_up(void)
{
    char buffer[10], name[50];
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(master);
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        for (;;)
            pause();
    }
    usleep(100000);
    strcpy(name, ptsname(master));
    close(master);
    struct pollfd poller = {slave, POLLIN, 0};
    R(poll(&poller, 1, 1000));
    R(poller.revents);
    say_child("hung up", child);
    R(read(slave, buffer, 10));
    R(write(slave, buffer, 1));
    close(slave);
    T(access(name, F_OK) == -1);
}

static void shell(void)
{
    setenv("PS1", "$ ", 1);
    setenv("TERM", "dumb", 1);
    setenv("HISTFILE", "", 1);
    fflush(stdout);
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    if (child == 0) {
        execl("/bin/bash", "bash", "--norc", "--noprofile", "-i", (char *)NULL);
        _exit(9);
    }
    until("$ ");
    type("echo A$((1+1))\n");
    until("A2\r\n");
    type("sleep 100\n");
    until("100\r\n");
    usleep(500000);
    type("\x1a");
    until("Stopped");
    usleep(100000);
    type("bg\n");
    until("sleep 100 &");
    type("kill %1; wait; echo E$?\n");
    until("E0");
    type("cat\n");
    usleep(500000);
    type("typed\n");
    until("typed\r\ntyped");
    type("\x04");
    usleep(200000);
    type("sleep 50\n");
    usleep(500000);
    type("\x03");
    usleep(200000);
    type("echo S$?\n");
    until("S130");
    type("tty; exit 5\n");
    until("/dev/pts/");
    say_child("shell", child);
    close(master);
}

int main(void)
{
    signal(SIGHUP, SIG_DFL);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    discipline();
    open_both();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        in_background();
        _exit(0);
    }
    until("ready");
    type("abc\n");
    say_child("leader", child);
    show("rest");
    close(slave);
    close(master);
    open_both();
    hang_up();
    shell();
    return 0;
}

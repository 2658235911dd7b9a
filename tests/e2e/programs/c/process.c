/* Processes: creation, replacement, waiting, groups, limits. */
#include "report.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>

extern char **environ;

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write(fd, text, strlen(text));
    close(fd);
    chmod(name, mode);
}

static void *exec_it(void *argument)
{
    (void)argument;
    execl("/bin/echo", "echo", "executed by a thread", NULL);
    return NULL;
}

static int cloned(void *argument)
{
    *(int *)argument = 12;
    return 34;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("%s %s:", argv[0], argv[1]);
        for (int fd = 0; fd < 20; fd++)
            if (fcntl(fd, F_GETFD) != -1)
                printf(" %d", fd);
        sigset_t set;
        sigprocmask(SIG_BLOCK, NULL, &set);
        printf("; usr1 blocked %d, pending ", sigismember(&set, SIGUSR1));
        sigpending(&set);
        struct sigaction action;
        sigaction(SIGUSR2, NULL, &action);
        printf("%d, usr2 ignored %d;", sigismember(&set, SIGUSR1), action.sa_handler == SIG_IGN);
        sigaction(SIGHUP, NULL, &action);
        printf(" hup default %d\n", action.sa_handler == SIG_DFL);
        return 42;
    }
    int status;
    IN_CHILD("exit code", exit(259));
    IN_CHILD("nothing to wait for", { R(wait(&status)); });
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    R(waitpid(child, &status, WNOHANG));
    kill(child, SIGSTOP);
    T(waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    kill(child, SIGCONT);
    T(waitpid(child, &status, WCONTINUED) == child);
    say_status("child", status);
    kill(child, SIGKILL);
    siginfo_t info;
    R(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    say("waitid: code %d status %d child %d", info.si_code, info.si_status, info.si_pid == child);
    T(waitpid(child, &status, 0) == child);
    say_status("child", status);
    R(waitpid(child, &status, 0));
    R(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
    R(waitid(P_ALL, 0, &info, 0));

    /* vfork: the child shares memory and the parent waits. */
    volatile int shared = 0;
    child = vfork();
    if (child == 0) {
        shared = 5;
        execl("/bin/sh", "sh", "-c", "exit 6", NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    say("vfork: %d", shared);
    say_status("vfork", status);

    /* What execve keeps and what it does not. */
    int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    say("descriptors %d %d", kept, closed);
    IN_CHILD("exec", {
        signal(SIGUSR2, SIG_IGN);
        signal(SIGHUP, exit);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGUSR1);
        execl("/proc/self/exe", "myself", "again", NULL);
    });
    IN_CHILD("exec by a thread", {
        pthread_t thread;
        pthread_create(&thread, NULL, exec_it, NULL);
        pause();
    });
    IN_CHILD("fexecve", {
        int fd = open("/bin/echo", O_RDONLY);
        char *args[] = {"echo", "by descriptor", NULL};
        fexecve(fd, args, environ);
    });

    /* Scripts. */
    write_file("script", "#!/bin/sh\necho \"$0 $# $1\"; exit 8\n", 0755);
    write_file("with-argument", "#! /bin/echo -n  two words  \n", 0755);
    write_file("nested", "#!./script inner\n", 0755);
    write_file("no-interpreter", "#!/nonexistent/sh\n", 0755);
    write_file("empty-interpreter", "#!\n", 0755);
    write_file("plain", "echo plain $1\n", 0755);
    write_file("not-executable", "#!/bin/sh\n", 0644);
    write_file("binary", "\177ELF not really", 0755);
    write_file("empty", "", 0755);
    mkdir("directory", 0755);
    static const char *const files[] = {"./script", "./with-argument", "./nested", "./no-interpreter", "./empty-interpreter", "./plain",
                                        "./not-executable", "./binary", "./empty", "./directory", "./missing", "./script/x", ""};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        say("execve %s", files[i]);
        IN_CHILD("execve", {
            char *args[] = {"zero", "one", NULL};
            execve(files[i], args, environ);
            R(-1);
        });
    }
    IN_CHILD("execvp falls back to the shell", execlp("./plain", "plain", "x", NULL));
    IN_CHILD("too long", {
        char *big = malloc(200000);
        memset(big, 'x', 199999);
        big[199999] = 0;
        char *args[] = {"x", big, NULL};
        R(execve("/bin/true", args, environ));
    });
    IN_CHILD("much", {
        char *args[20];
        for (int i = 0; i < 19; i++) {
            args[i] = malloc(50000);
            memset(args[i], 'x', 49999);
            args[i][49999] = 0;
        }
        args[19] = NULL;
        R(execve("/bin/true", args, environ));
    });

    /* posix_spawn, system, popen. */
    char *spawn_args[] = {"sh", "-c", "echo spawned; exit 3", NULL};
    int spawned = posix_spawn(&child, "/bin/sh", NULL, NULL, spawn_args, environ);
    waitpid(child, &status, 0);
    R(spawned);
    say_status("spawn", status);
    R(posix_spawn(&child, "/nonexistent", NULL, NULL, spawn_args, environ));
    say_status("system", system("exit 4"));
    FILE *pipe = popen("echo read me; exit 2", "r");
    char line[100];
    fgets(line, sizeof line, pipe);
    printf("popen: %s", line);
    say_status("popen", pclose(pipe));

    /* Groups and sessions. */
    IN_CHILD("session", {
        T(setsid() == getpid());
        T(getsid(0) == getpid());
        T(getpgrp() == getpid());
        R(setsid());
        R(setpgid(0, 0));
        pid_t member = fork();
        if (member == 0) {
            setpgid(0, 0);
            pause();
        }
        setpgid(member, member);
        T(getpgid(member) == member);
        R(kill(-member, SIGTERM));
        waitpid(-member, &status, 0);
        say_status("member", status);
        R(kill(-member, SIGTERM));
        R(tcgetpgrp(0));
    });
    IN_CHILD("orphan", {
        int pipes[2];
        pipe2(pipes, 0);
        R(prctl(PR_SET_CHILD_SUBREAPER, 1));
        pid_t middle = fork();
        if (middle == 0) {
            if (fork() == 0) {
                while (getppid() != 0 && kill(getppid(), 0) == 0 && read(pipes[0], line, 1) == 1)
                    _exit(33);
                _exit(1);
            }
            _exit(0);
        }
        waitpid(middle, &status, 0);
        write(pipes[1], "x", 1);
        T(wait(&status) > 0);
        say_status("adopted", status);
    });
    IN_CHILD("parent's death", {
        int pipes[2];
        pipe2(pipes, 0);
        if (fork() == 0) {
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                write(pipes[1], "r", 1);
                pause();
                _exit(0);
            }
            read(pipes[0], line, 1);
            _exit(0);
        }
        wait(NULL);
        close(pipes[1]);
        R(read(pipes[0], line, 1));
    });

    /* clone and its kin. */
    int value = 0;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    child = clone(cloned, stack + 65536, CLONE_VM | SIGCHLD, &value);
    V(child);
    if (child > 0 && waitpid(child, &status, 0) == child)
        say_status("clone", status);
    say("clone: %d", value);
    int pidfd = -1;
    child = fork();
    if (child == 0)
        pause();
    pidfd = syscall(SYS_pidfd_open, child, 0);
    V(pidfd);
    R(syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
    R(waitid(3 /* P_PIDFD */, pidfd, &info, WEXITED));
    if (pidfd == -1)
        kill(child, SIGTERM), waitpid(child, NULL, 0);
    else
        say("code %d status %d", info.si_code, info.si_status);
    R(unshare(CLONE_FILES));

    /* Limits and accounting. */
    struct rlimit limit = {50, 100};
    IN_CHILD("files", {
        R(setrlimit(RLIMIT_NOFILE, &limit));
        int opened = 0;
        while (dup(0) != -1)
            opened++;
        say("%s after descriptor %d", strerrorname_np(errno), dup2(0, 49));
        R(dup2(0, 50));
        R(dup2(0, 100));
    });
    IN_CHILD("file size", {
        limit.rlim_cur = limit.rlim_max = 10;
        R(setrlimit(RLIMIT_FSIZE, &limit));
        signal(SIGXFSZ, SIG_IGN);
        int fd = open("limited", O_RDWR | O_CREAT, 0600);
        R(write(fd, "123456789012345", 15));
        R(write(fd, "x", 1));
        R(ftruncate(fd, 11));
        signal(SIGXFSZ, SIG_DFL);
        write(fd, "x", 1);
    });
    IN_CHILD("address space", {
        limit.rlim_cur = limit.rlim_max = 64 << 20;
        R(setrlimit(RLIMIT_AS, &limit));
        T(mmap(NULL, 1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
        say("%s", strerrorname_np(errno));
    });
    IN_CHILD("works", {
        struct timespec used;
        do
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        while (used.tv_nsec < 100000000 && used.tv_sec == 0);
    });
    struct rusage usage;
    R(getrusage(RUSAGE_CHILDREN, &usage));
    T(usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 50000);
    struct tms tms;
    T(times(&tms) != -1 && tms.tms_cutime + tms.tms_cstime > 0);
    errno = 0;
    R(getpriority(PRIO_PROCESS, 0));
    R(nice(3));
    R(getpriority(PRIO_PROCESS, 0));
    R(sched_getscheduler(0));
    cpu_set_t cpus;
    T(sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) >= 1);
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    R(sched_setaffinity(0, sizeof cpus, &cpus));
    sched_getaffinity(0, sizeof cpus, &cpus);
    R(CPU_COUNT(&cpus));
    R(sched_getcpu());
    R(prctl(PR_SET_NAME, "a rather long name"));
    char name[16];
    R(prctl(PR_GET_NAME, name));
    say("name %s", name);
    R(prctl(PR_GET_DUMPABLE));
    R(prctl(PR_SET_DUMPABLE, 0));
    R(prctl(PR_GET_DUMPABLE));
    R(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    R(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    R(prctl(9999));

    /* Credentials. */
    IN_CHILD("credentials", {
        uid_t real;
        uid_t effective;
        uid_t saved;
        R(setgid(1000));
        R(setresuid(1000, 1000, 0));
        getresuid(&real, &effective, &saved);
        say("%d %d %d", real, effective, saved);
        R(setuid(0));
        R(geteuid());
        R(setresuid(1000, 1000, 1000));
        R(setuid(0));
        R(access("/root", R_OK));
        R(open("/etc/shadow", O_RDONLY));
        R(kill(getppid(), 0));
    });
    write_file("readable-by-root", "", 0600);
    return 0;
}

/* What a program finds about itself in /proc, and the usual devices. */
#include "report.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char text[1 << 20];

static long slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    long total = 0, got;
    while ((got = read(fd, text + total, sizeof text - 1 - total)) > 0)
        total += got;
    text[total] = 0;
    close(fd);
    return total;
}

static void has(const char *path, const char *word)
{
    if (slurp(path) < 0)
        say("%s: %s", path, strerrorname_np(errno));
    else
        say("%s: %s %s", path, word, strstr(text, word) ? "is there" : "is not there");
}

static void target(const char *path)
{
    char link[4096];
    long length = readlink(path, link, sizeof link - 1);
    if (length < 0) {
        say("%s: %s", path, strerrorname_np(errno));
        return;
    }
    link[length] = 0;
    /* Numbers of inodes differ from run to run. */
    char *number = strpbrk(link, "[");
    if (number)
        *number = 0;
    say("%s -> %s", path, link);
}

static void *wait_a_little(void *argument)
{
    (void)argument;
    pause();
    return NULL;
}

int main(int argc, char **argv)
{
    target("/proc/self/exe");
    target("/proc/self/cwd");
    target("/proc/self/root");
    long length = slurp("/proc/self/cmdline");
    say("cmdline %ld", length);
    for (char *word = text; word < text + length; word += strlen(word) + 1)
        say("  %s", word);
    T(length > 0 && strcmp(text, argv[0]) == 0 && argc == 3);
    slurp("/proc/self/comm");
    say("comm %s", text);
    length = slurp("/proc/self/environ");
    for (char *word = text; word < text + length; word += strlen(word) + 1)
        say("environ %s", word);
    static const char *const words[] = {"Name:\tproc\n", "State:\tR", "Tgid:", "Pid:", "PPid:", "TracerPid:\t0", "Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0",
                                        "FDSize:", "VmPeak:", "VmSize:", "VmRSS:", "Threads:\t1\n", "SigQ:", "SigPnd:", "SigBlk:\t0000000000000000",
                                        "SigIgn:", "SigCgt:", "CapEff:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:", "voluntary_ctxt_switches:"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        has("/proc/self/status", words[i]);
    slurp("/proc/self/stat");
    int fields = 1;
    for (char *c = text; *c; c++)
        fields += *c == ' ';
    R(fields);
    T(atoi(text) == getpid());
    slurp("/proc/self/statm");
    T(atoi(text) > 0);
    has("/proc/self/maps", "[heap]");
    malloc(100000);
    has("/proc/self/maps", "[heap]");
    has("/proc/self/maps", "[stack]");
    has("/proc/self/maps", "/proc\n");
    unsigned long at, end;
    int found = 0;
    for (char *line = text; line && sscanf(line, "%lx-%lx", &at, &end) == 2; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (at <= (unsigned long)&main && (unsigned long)&main < end)
            found |= 1;
        if (at <= (unsigned long)&at && (unsigned long)&at < end)
            found |= 2;
        if (at > end)
            found |= 4;
    }
    R(found);
    int file = open("a file", O_RDWR | O_CREAT, 0600), p[2];
    pipe(p);
    char path[64];
    sprintf(path, "/proc/self/fd/%d", file);
    target(path);
    unlink("a file");
    target(path);
    int again = open(path, O_RDWR);
    V(again);
    sprintf(path, "/proc/self/fd/%d", p[0]);
    target(path);
    int null = open("/dev/null", O_RDWR);
    sprintf(path, "/proc/self/fd/%d", null);
    target(path);
    sprintf(path, "/proc/self/fdinfo/%d", file);
    has(path, "pos:\t0");
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        count++;
    R(count);
    closedir(directory);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_a_little, NULL);
    has("/proc/self/status", "Threads:\t2\n");
    directory = opendir("/proc/self/task");
    count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count++;
    R(count);
    sprintf(path, "/proc/%d/cmdline", getpid());
    T(slurp(path) > 0);
    T(slurp("/proc/thread-self/comm") > 0);
    has("/proc/self/limits", "Max open files");
    has("/proc/self/mounts", "proc");
    has("/proc/self/mountinfo", "proc");
    has("/proc/self/oom_score_adj", "0");
    has("/proc/self/io", "rchar");
    has("/proc/self/auxv", "");
    has("/proc/self/smaps", "Rss:");
    has("/proc/self/cgroup", "/");
    has("/proc/self/wchan", "");
    has("/proc/self/loginuid", "");
    has("/proc/self/sched", "");
    has("/proc/cpuinfo", "processor\t: 0");
    has("/proc/meminfo", "MemTotal:");
    has("/proc/meminfo", "MemAvailable:");
    has("/proc/stat", "cpu0");
    has("/proc/uptime", ".");
    has("/proc/loadavg", "/");
    has("/proc/version", "Linux version");
    has("/proc/filesystems", "proc");
    has("/proc/mounts", "/");
    has("/proc/sys/kernel/pid_max", "");
    has("/proc/sys/kernel/osrelease", ".");
    has("/proc/sys/kernel/random/uuid", "-");
    has("/proc/sys/kernel/random/boot_id", "-");
    has("/proc/sys/vm/overcommit_memory", "");
    has("/proc/sys/fs/file-max", "");
    has("/proc/sys/net/core/somaxconn", "");
    has("/proc/net/tcp", "local_address");
    has("/proc/nowhere", "");
    has("/proc/1/comm", "");
    R(mkdir("/proc/x", 0755));
    R(open("/proc/self/mem", O_RDWR) >= 0);
    has("/sys/devices/system/cpu/online", "0");
    has("/sys/devices/system/cpu/possible", "0");
    has("/sys/kernel/mm/transparent_hugepage/enabled", "never");

    R(write(null, "x", 1));
    R(read(null, text, 10));
    int zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR), random = open("/dev/urandom", O_RDONLY);
    R(read(zero, text, 10));
    R(write(zero, text, 10));
    R(read(full, text, 10));
    R(write(full, text, 10));
    R(read(random, text, 10));
    R(lseek(null, 10, SEEK_SET));
    R(open("/dev/tty", O_RDWR));
    R(access("/dev/shm", W_OK));
    int shm = shm_open("/e2e", O_RDWR | O_CREAT, 0600);
    V(shm);
    R(shm_unlink("/e2e"));
    R(access("/dev/ptmx", R_OK));
    target("/dev/fd");
    target("/dev/stdin");
    struct stat status;
    stat("/dev/zero", &status);
    say("%o %#lx", status.st_mode, status.st_rdev);
    return 0;
}

/* What a program is given at its start: arguments, environment, auxiliary vector, limits, ids. */
#include "report.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

extern char **environ;

static int on_image(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    if (*(int *)data == 0)
        T(info->dlpi_phdr == (void *)getauxval(AT_PHDR));
    ++*(int *)data;
    return 0;
}

int main(int argc, char **argv)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    T(frame % 16 == 0);
    for (int i = 0; i <= argc; i++)
        say("argv[%d] = %s", i, argv[i] ? argv[i] : "NULL");
    for (char **e = environ; *e; e++)
        say("env %s", *e);
    say("name %s %s", program_invocation_name, program_invocation_short_name);
    static const struct {
        unsigned long kind;
        const char *name;
    } exact[] = {{AT_PAGESZ, "PAGESZ"}, {AT_CLKTCK, "CLKTCK"}, {AT_UID, "UID"},       {AT_EUID, "EUID"},
                 {AT_GID, "GID"},       {AT_EGID, "EGID"},     {AT_SECURE, "SECURE"}, {AT_PHENT, "PHENT"},
                 {AT_PHNUM, "PHNUM"},   {AT_FLAGS, "FLAGS"},   {AT_HWCAP, "HWCAP"},   {AT_HWCAP2, "HWCAP2"}};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        errno = 0;
        unsigned long value = getauxval(exact[i].kind);
        say("AT_%s = %#lx %s", exact[i].name, value, errno ? "absent" : "");
    }
    T(getauxval(AT_MINSIGSTKSZ) >= 2048); /* the processor's extended state decides */
    T(getauxval(AT_RANDOM) != 0);
    T(getauxval(AT_ENTRY) != 0);
    T(getauxval(AT_BASE) != 0);
    say("AT_EXECFN %s", (char *)getauxval(AT_EXECFN));
    say("AT_PLATFORM %s", (char *)getauxval(AT_PLATFORM));
    unsigned char *random = (void *)getauxval(AT_RANDOM);
    int zero = 0;
    for (int i = 0; i < 16; i++)
        zero += random[i] == 0;
    T(zero < 8);
    int images = 0;
    dl_iterate_phdr(on_image, &images);
    R(getuid());
    R(geteuid());
    R(getgid());
    R(getegid());
    R(getgroups(0, NULL));
    struct rlimit limit;
    for (int i = 0; i < RLIMIT_NLIMITS; i++) {
        if (i == RLIMIT_NPROC || i == RLIMIT_CORE || i == RLIMIT_SIGPENDING || i == RLIMIT_NOFILE || i == RLIMIT_MEMLOCK)
            continue; /* the machine's size decides */
        getrlimit(i, &limit);
        say("limit %d: %ld %ld", i, (long)limit.rlim_cur, (long)limit.rlim_max);
    }
    T(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 1024);
    T(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    R(sysconf(_SC_PAGESIZE));
    R(sysconf(_SC_CLK_TCK));
    R(sysconf(_SC_ARG_MAX) > 0);
    R(sysconf(_SC_NPROCESSORS_CONF) == sysconf(_SC_NPROCESSORS_ONLN));
    struct utsname name;
    uname(&name);
    say("uname %s %s", name.sysname, name.machine);
    for (int fd = 0; fd < 10; fd++)
        say("descriptor %d is %s", fd, fcntl(fd, 1) == -1 ? "closed" : "open");
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        if (sigismember(&mask, i) == 1)
            say("signal %d is blocked", i);
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            say("signal %d is not at its default", i);
    }
    mode_t old = umask(0);
    say("umask %03o", old);
    return 7;
}

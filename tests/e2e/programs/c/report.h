/* What every program prints: one line per observation, so that a difference names one call. */
#ifndef REPORT_H
#define REPORT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints a call's result, and the name of its error. */
static inline long report(const char *what, long result)
{
    int error = errno;
    if (result == -1)
        printf("%s = -1 %s\n", what, strerrorname_np(error));
    else
        printf("%s = %ld\n", what, result);
    fflush(stdout);
    errno = error;
    return result;
}

/* Prints only whether a call succeeded: for results that vary, such as addresses and ids. */
static inline long verdict(const char *what, long result)
{
    int error = errno;
    if (result == -1)
        printf("%s = -1 %s\n", what, strerrorname_np(error));
    else
        printf("%s: ok\n", what);
    fflush(stdout);
    errno = error;
    return result;
}

static inline void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* A wait status in words. */
static inline void say_status(const char *what, int status)
{
    if (WIFEXITED(status))
        say("%s: exited with %d", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        say("%s: ended by SIG%s", what, sigabbrev_np(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        say("%s: stopped by SIG%s", what, sigabbrev_np(WSTOPSIG(status)));
    else if (WIFCONTINUED(status))
        say("%s: continued", what);
    else
        say("%s: status %#x", what, status);
}

#define R(call) report(#call, (long)(call))
#define V(call) verdict(#call, (long)(call))
#define T(condition) say("%s: %s", #condition, (condition) ? "yes" : "no")

/* Runs a block in a child and reports how it ended. */
#define IN_CHILD(name, ...)                                                                        \
    do {                                                                                           \
        fflush(stdout);                                                                            \
        pid_t child_of_block = fork();                                                             \
        if (child_of_block == 0) {                                                                 \
            __VA_ARGS__;                                                                              \
            fflush(stdout);                                                                        \
            _exit(0);                                                                              \
        }                                                                                          \
        int status_of_block = 0;                                                                   \
        waitpid(child_of_block, &status_of_block, 0);                                              \
        say_status(name, status_of_block);                                                         \
    } while (0)

#endif

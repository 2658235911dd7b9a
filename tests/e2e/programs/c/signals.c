/* Signals: what is delivered, with what, in which order, on which stack. */
#include "report.h"
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <fcntl.h>
#include <time.h>
#include <ucontext.h>

static volatile int count;
static volatile siginfo_t last;
static int order[64], ordered;
static sigjmp_buf jump;
static char *alternate;

static void count_it(int signal)
{
    (void)signal;
    count++;
}

static void with_info(int signal, siginfo_t *info, void *context)
{
    (void)context;
    (void)signal;
    last = *info;
    if (ordered < 64)
        order[ordered++] = signal;
}

static void say_info(const char *what)
{
    siginfo_t info = last;
    say("%s: signo %d errno %d code %d own pid %d uid %d value %d", what, info.si_signo, info.si_errno, info.si_code,
        info.si_pid == getpid(), info.si_uid, info.si_value.sival_int);
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &action, NULL);
}

static void *fault_address;
static volatile int fault_code, fault_signal, on_alternate;
static long long fault_trap;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    char here;
    fault_signal = signal;
    ucontext_t *state = context;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    fault_trap = state->uc_mcontext.gregs[REG_TRAPNO];
    on_alternate = alternate && &here >= alternate && &here < alternate + 65536;
    siglongjmp(jump, signal);
}

static void skip_two(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void nested(int signal)
{
    static int depth;
    if (++depth < 5)
        raise(signal);
    count = depth;
}

static void set_alarm(long microseconds)
{
    struct itimerval timer = {.it_value = {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void)
{
    install(SIGUSR1, with_info, 0);
    kill(getpid(), SIGUSR1);
    say_info("kill");
    raise(SIGUSR1);
    say_info("raise");
    union sigval value = {.sival_int = 77};
    sigqueue(getpid(), SIGUSR1, value);
    say_info("sigqueue");

    /* Standard signals merge, real-time ones queue; lower numbers first. */
    sigset_t all, old, pending;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int i = 0; i < 3; i++) {
        install(SIGRTMIN + i, with_info, 0);
        for (int j = 0; j < 2; j++)
            value.sival_int = i * 10 + j, sigqueue(getpid(), SIGRTMIN + 2 - i, value);
    }
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    install(SIGUSR2, with_info, 0);
    kill(getpid(), SIGUSR2);
    sigpending(&pending);
    for (int i = 1; i < 65; i++)
        if (sigismember(&pending, i) == 1)
            say("pending %d", i);
    ordered = 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    say("%d delivered", ordered);
    for (int i = 0; i < ordered; i++)
        say("delivered %d", order[i]);

    /* Masks of handlers, SA_NODEFER, SA_RESETHAND. */
    struct sigaction action = {.sa_handler = nested, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    say("nested %d deep", count);
    action = (struct sigaction){.sa_handler = count_it, .sa_flags = SA_RESETHAND};
    sigaction(SIGUSR1, &action, NULL);
    count = 0;
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &action);
    say("count %d, default again: %d", count, action.sa_handler == SIG_DFL);
    R(sigaction(SIGKILL, &action, NULL));
    R(sigaction(65, &action, NULL));
    R(kill(getpid(), 0));
    R(kill(999999, 0));
    R(kill(getpid(), 65));

    /* Calls that are cut short, and calls that start again. */
    int pipes[2];
    char byte;
    pipe(pipes);
    action = (struct sigaction){.sa_handler = count_it};
    sigaction(SIGALRM, &action, NULL);
    set_alarm(20000);
    R(read(pipes[0], &byte, 1));
    set_alarm(20000);
    R(pause());
    struct timespec long_time = {5, 0}, left;
    set_alarm(20000);
    R(nanosleep(&long_time, &left));
    T(left.tv_sec == 4);
    set_alarm(20000);
    R(waitpid(-1, NULL, 0));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        usleep(60000);
        write(pipes[1], "x", 1);
        _exit(3);
    }
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    count = 0;
    set_alarm(20000);
    R(read(pipes[0], &byte, 1));
    int status;
    R(waitpid(child, &status, 0) == child);
    say_status("child", status);
    say("%d alarms", count);
    set_alarm(20000);
    R(nanosleep(&long_time, &left));
    set_alarm(20000);
    sigset_t none;
    sigemptyset(&none);
    R(sigsuspend(&none));

    /* Waiting for signals. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    value.sival_int = 5;
    sigqueue(getpid(), SIGRTMIN, value);
    siginfo_t info;
    T(sigwaitinfo(&set, &info) == SIGRTMIN);
    say("value %d code %d", info.si_value.sival_int, info.si_code);
    struct timespec zero = {0, 0};
    R(sigtimedwait(&set, &info, &zero));
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    V(fd);
    struct signalfd_siginfo read_info;
    R(read(fd, &read_info, sizeof read_info));
    kill(getpid(), SIGUSR2);
    if (R(read(fd, &read_info, sizeof read_info)) > 0)
        say("signalfd signo %u code %d", read_info.ssi_signo, read_info.ssi_code);
    close(fd);

    /* Children. */
    install(SIGCHLD, with_info, 0);
    child = fork();
    if (child == 0)
        _exit(9);
    waitpid(child, &status, 0);
    say("SIGCHLD code %d status %d from child %d", last.si_code, last.si_status, last.si_pid == child);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    say("SIGCHLD code %d status %d", last.si_code, last.si_status);
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (child == 0)
        _exit(0);
    R(waitpid(child, &status, 0));
    signal(SIGCHLD, SIG_DFL);

    /* Faults: exact addresses and codes, on an alternate stack. */
    alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = alternate, .ss_size = 65536};
    R(sigaltstack(&stack, NULL));
    install(SIGSEGV, on_fault, SA_ONSTACK);
    install(SIGBUS, on_fault, SA_ONSTACK);
    install(SIGFPE, on_fault, SA_ONSTACK);
    install(SIGILL, on_fault, SA_ONSTACK);
    char *hole = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole + 4096, 4096);
    for (volatile int i = 0; i < 100; i++)
        if (sigsetjmp(jump, 1) == 0)
            *(volatile char *)(hole + 4096 + 123 + i) = 1;
    say("unmapped: offset %ld code %d trap %lld alternate %d", (long)((char *)fault_address - hole), fault_code, fault_trap,
        on_alternate);
    if (sigsetjmp(jump, 1) == 0)
        *(volatile char *)(hole + 5) = 1;
    say("read-only: offset %ld code %d", (long)((char *)fault_address - hole), fault_code);
    if (sigsetjmp(jump, 1) == 0)
        ((void (*)(void))hole)();
    say("not executable: offset %ld code %d", (long)((char *)fault_address - hole), fault_code);
    if (sigsetjmp(jump, 1) == 0)
        *(volatile char *)0x10 = 1;
    say("null: address %p code %d", fault_address, fault_code);
    if (sigsetjmp(jump, 1) == 0)
        *(volatile char *)0x8000000000000000 = 1;
    say("non-canonical: address %p code %d trap %lld", fault_address, fault_code, fault_trap);
    int file = open("short", O_RDWR | O_CREAT, 0600);
    ftruncate(file, 100);
    char *beyond = mmap(NULL, 12288, PROT_READ, MAP_SHARED, file, 0);
    say("tail of the last page: %d", beyond[4000]);
    if (sigsetjmp(jump, 1) == 0)
        (void)*(volatile char *)(beyond + 8192 + 7);
    say("beyond the file: SIG%s offset %ld code %d", sigabbrev_np(fault_signal), (long)((char *)fault_address - beyond), fault_code);
    volatile int nothing = 0;
    if (sigsetjmp(jump, 1) == 0)
        __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; idivl %0" : : "m"(nothing) : "eax", "edx");
    say("division: SIG%s code %d", sigabbrev_np(fault_signal), fault_code);
    if (sigsetjmp(jump, 1) == 0)
        __asm__ volatile("ud2");
    say("ud2: SIG%s code %d", sigabbrev_np(fault_signal), fault_code);
    install(SIGILL, skip_two, 0);
    __asm__ volatile("ud2");
    say("ud2 was skipped, code %d", fault_code);
    if (sigsetjmp(jump, 1) == 0)
        __asm__ volatile("hlt");
    say("hlt: SIG%s code %d", sigabbrev_np(fault_signal), fault_code);
    install(SIGTRAP, with_info, 0);
    __asm__ volatile("int3");
    siginfo_t trap = last;
    say("int3: signo %d code %d", trap.si_signo, trap.si_code);
    R(sigaltstack(NULL, &stack));
    say("alternate: flags %d size %zu", stack.ss_flags, stack.ss_size);
    stack.ss_size = 100;
    stack.ss_flags = 0;
    R(sigaltstack(&stack, NULL));

    /* How processes end. */
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM, SIGKILL, SIGABRT, SIGPIPE, SIGHUP, SIGALRM, SIGUSR2, SIGQUIT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        IN_CHILD("default", {
            signal(fatal[i], SIG_DFL);
            sigfillset(&set);
            sigprocmask(SIG_UNBLOCK, &set, NULL);
            kill(getpid(), fatal[i]);
        });
    IN_CHILD("fault", {
        signal(SIGSEGV, SIG_DFL);
        *(volatile int *)1 = 1;
    });
    IN_CHILD("ignored fault", {
        signal(SIGSEGV, SIG_IGN);
        *(volatile int *)1 = 1;
    });
    IN_CHILD("blocked fault", {
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        *(volatile int *)1 = 1;
    });
    IN_CHILD("abort", abort());
    IN_CHILD("stack overflow", {
        signal(SIGSEGV, SIG_DFL);
        struct { int (*f)(void *, int); } self;
        int deep(void *s, int n) { char page[4096]; page[0] = (char)n; return ((struct { int (*f)(void *, int); } *)s)->f(s, n + 1) + page[0]; }
        self.f = deep;
        deep(&self, 0);
    });
    signal(SIGSEGV, SIG_DFL);
    *(volatile int *)2 = 1;
    return 0;
}

/* POSIX timers, interval timers, and signals that are read from a file. */
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static volatile int count, value, code, thread;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    count++;
    value = info->si_value.sival_int;
    code = info->si_code;
    thread = (int)syscall(SYS_gettid);
}

static void in_thread(union sigval given)
{
    count += given.sival_int;
}

static void sleep_ms(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) == -1)
        ;
}

static void *sleeper(void *id)
{
    __atomic_store_n((int *)id, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    sleep_ms(300);
    return NULL;
}

/* Arms `timer` for `first` ms from now and every `interval` ms. */
static void arm(timer_t timer, long first, long interval)
{
    struct itimerspec setting = {{0, interval * 1000000}, {0, first * 1000000}};
    count = 0;
    R(timer_settime(timer, 0, &setting, NULL));
}

static void posix_timers(void)
{
    timer_t timer;
    struct itimerspec setting;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN,
                             .sigev_value.sival_int = 77};
    V(timer_create(CLOCK_MONOTONIC, &event, &timer));
    R(timer_gettime(timer, &setting));
    say("not armed %ld %ld", setting.it_value.tv_sec, setting.it_value.tv_nsec);
    arm(timer, 10, 0);
    sleep_ms(60);
    say("once %d value %d code %d", count, value, code);
    arm(timer, 5, 5);
    sleep_ms(200);
    T(count > 10 && count <= 41);
    R(timer_gettime(timer, &setting));
    T(setting.it_value.tv_nsec > 0 && setting.it_value.tv_nsec <= 5000000);

    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    arm(timer, 5, 5);
    sleep_ms(103);
    T(sigwaitinfo(&set, &info) == SIGRTMIN);
    T(info.si_overrun >= 10 && info.si_overrun <= 40);
    T(timer_getoverrun(timer) == info.si_overrun);
    R(timer_delete(timer));
    R(timer_delete(timer));
    R(timer_getoverrun(timer));
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0)
        ;
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    pthread_t other;
    int id = 0;
    pthread_create(&other, NULL, sleeper, &id);
    while (!__atomic_load_n(&id, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    struct sigevent to_thread = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    to_thread._sigev_un._tid = id;
    V(timer_create(CLOCK_REALTIME, &to_thread, &timer));
    arm(timer, 10, 0);
    sleep_ms(80);
    say("for a thread %d", count);
    T(thread == id);
    pthread_join(other, NULL);
    R(timer_delete(timer));
    struct sigevent call = {.sigev_notify = SIGEV_THREAD,
                            .sigev_notify_function = in_thread,
                            .sigev_value.sival_int = 3};
    V(timer_create(CLOCK_MONOTONIC, &call, &timer));
    arm(timer, 10, 0);
    sleep_ms(100);
    say("called in a thread %d", count);
    R(timer_delete(timer));
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    V(timer_create(CLOCK_BOOTTIME, &none, &timer));
    arm(timer, 1, 0);
    sleep_ms(10);
    R(timer_gettime(timer, &setting));
    say("nobody is told %ld", setting.it_value.tv_nsec);
    R(timer_delete(timer));

    /* Processor time passes only where something is done. */
    V(timer_create(CLOCK_PROCESS_CPUTIME_ID, NULL, &timer));
    arm(timer, 30, 0);
    sleep_ms(60);
    say("asleep %d", count);
    while (!count)
        ;
    say("busy %d code %d", count, code);
    R(timer_delete(timer));

    /* Timers are not inherited. */
    V(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    arm(timer, 20, 0);
    IN_CHILD("child", sleep_ms(60); say("child %d", count); R(timer_delete(timer)));
    sleep_ms(1);
    say("parent %d", count);
    setting = (struct itimerspec){{0, 0}, {1, 0}};
    V(timer_settime(timer, TIMER_ABSTIME, &setting, NULL));
    say("a time that has passed %d", count);
    setting.it_value.tv_nsec = 1000000000;
    R(timer_settime(timer, 0, &setting, NULL));
    R(timer_create(99, NULL, &timer));
    event.sigev_signo = 65;
    R(timer_create(CLOCK_MONOTONIC, &event, &timer));

    clockid_t clock;
    struct timespec now;
    R(pthread_getcpuclockid(pthread_self(), &clock));
    R(clock_gettime(clock, &now));
    R(clock_getcpuclockid(0, &clock));
    R(clock_gettime(clock, &now));
    R(clock_getcpuclockid(getpid(), &clock));
    R(clock_gettime(clock, &now));
}

static void interval_timer(int which, const char *name)
{
    struct itimerval setting = {{0, 0}, {0, 10000}};
    count = 0;
    R(setitimer(which, &setting, NULL));
    while (!count)
        ;
    R(getitimer(which, &setting));
    say("%s %d left %ld", name, count, setting.it_value.tv_usec);
}

static void signals_from_a_file(void)
{
    sigset_t set, other;
    struct signalfd_siginfo told[3];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int file = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    V(file);
    R(read(file, told, sizeof told));
    R(read(file, told, 100));
    struct pollfd poller = {file, POLLIN, 0};
    R(poll(&poller, 1, 0));
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 9});
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10});
    R(poll(&poller, 1, 0));
    R(read(file, told, sizeof told));
    for (int i = 0; i < 3; i++) {
        say("signal %u code %d value %d", told[i].ssi_signo, told[i].ssi_code, told[i].ssi_int);
        T(told[i].ssi_pid == (unsigned)getpid());
    }
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u32 = 4}};
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event));
    R(epoll_wait(epoll, &event, 1, 0));
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(30);
        _exit(7);
    }
    R(epoll_wait(epoll, &event, 1, 5000));
    say("told of %u", event.data.u32);
    R(read(file, told, sizeof told));
    say("signal %u code %d status %d", told[0].ssi_signo, told[0].ssi_code, told[0].ssi_status);
    T(told[0].ssi_pid == (unsigned)child);
    R(epoll_wait(epoll, &event, 1, 0));
    R(fcntl(file, F_SETFL, 0));
    wait(NULL);
    child = fork();
    if (child == 0) {
        sleep_ms(30);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    R(read(file, told, sizeof told[0]));
    say("signal %u", told[0].ssi_signo);
    wait(NULL);
    R(read(file, told, sizeof told));
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    sigprocmask(SIG_BLOCK, &other, NULL);
    T(signalfd(file, &other, 0) == file);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    R(read(file, told, sizeof told));
    say("signal %u", told[0].ssi_signo);
    R(signalfd(0, &other, 0));
    R(signalfd(-1, &other, 1));
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    int signals[] = {SIGRTMIN, SIGALRM, SIGPROF, SIGVTALRM};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    posix_timers();
    interval_timer(ITIMER_REAL, "real");
    interval_timer(ITIMER_PROF, "profiling");
    interval_timer(ITIMER_VIRTUAL, "virtual");
    signals_from_a_file();
    return 0;
}

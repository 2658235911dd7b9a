/* Event descriptors, timers, epoll, and waiting with deadlines and masks. */
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

static volatile int alarms;
static void count(int signal)
{
    (void)signal;
    alarms++;
}

int main(void)
{
    uint64_t value;
    int event = eventfd(3, EFD_NONBLOCK);
    V(event);
    R(read(event, &value, 8));
    R(value);
    R(read(event, &value, 8));
    value = 5;
    R(write(event, &value, 8));
    R(write(event, &value, 4));
    R(read(event, &value, 4));
    R(read(event, &value, 8));
    R(value);
    value = UINT64_MAX;
    R(write(event, &value, 8));
    value = UINT64_MAX - 1;
    R(write(event, &value, 8));
    R(write(event, &value, 8));
    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 3; i++)
        R(read(semaphore, &value, 8));

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    V(timer);
    struct itimerspec when = {{0, 5000000}, {0, 5000000}}, now;
    R(read(timer, &value, 8));
    R(timerfd_settime(timer, 0, &when, NULL));
    R(timerfd_gettime(timer, &now));
    T(now.it_value.tv_nsec > 0 && now.it_interval.tv_nsec == 5000000);
    usleep(30000);
    R(read(timer, &value, 8));
    T(value >= 4);
    when = (struct itimerspec){{0, 0}, {0, 0}};
    R(timerfd_settime(timer, 0, &when, NULL));
    when.it_value.tv_sec = 1;
    R(timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL));
    struct pollfd one = {timer, POLLIN, 0};
    R(poll(&one, 1, 1000));

    int p[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    V(epoll);
    pipe(p);
    struct epoll_event events[10], wanted = {EPOLLIN, {.u64 = 0x123456789abcdef0}};
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &wanted));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &wanted));
    R(epoll_wait(epoll, events, 10, 0));
    write(p[1], "abc", 3);
    R(epoll_wait(epoll, events, 10, 0));
    T(events[0].data.u64 == 0x123456789abcdef0 && events[0].events == EPOLLIN);
    R(epoll_wait(epoll, events, 10, 0));
    wanted.events = EPOLLIN | EPOLLET;
    R(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &wanted));
    R(epoll_wait(epoll, events, 10, 0));
    R(epoll_wait(epoll, events, 10, 0));
    write(p[1], "d", 1);
    R(epoll_wait(epoll, events, 10, 0));
    wanted.events = EPOLLIN | EPOLLONESHOT;
    R(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &wanted));
    R(epoll_wait(epoll, events, 10, 0));
    write(p[1], "e", 1);
    R(epoll_wait(epoll, events, 10, 0));
    R(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL));
    R(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &wanted));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, 99, &wanted));
    R(epoll_ctl(epoll, 99, p[0], &wanted));
    int file = open("file", O_RDWR | O_CREAT, 0600);
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &wanted));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
    R(epoll_wait(epoll, events, 0, 0));
    R(epoll_wait(p[0], events, 1, 0));
    int outer = epoll_create1(0);
    wanted.events = EPOLLIN;
    R(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &wanted));
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, outer, &wanted));
    R(epoll_wait(outer, events, 10, 100));
    close(p[1]);
    wanted.events = 0;
    R(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &wanted));
    R(epoll_wait(epoll, events, 10, 0) >= 1);
    epoll_ctl(outer, EPOLL_CTL_DEL, epoll, NULL);
    /* A descriptor stays watched as long as any duplicate of it is open. */
    int q[2], watcher = epoll_create1(0);
    pipe(q);
    int duplicate = dup(q[0]);
    wanted.events = EPOLLIN;
    epoll_ctl(watcher, EPOLL_CTL_ADD, q[0], &wanted);
    close(q[0]);
    write(q[1], "x", 1);
    R(epoll_wait(watcher, events, 10, 0));
    close(duplicate);
    R(epoll_wait(watcher, events, 10, 0));
    /* Waking another process. */
    pipe(q);
    epoll_ctl(watcher, EPOLL_CTL_ADD, q[0], &wanted);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        usleep(20000);
        write(q[1], "x", 1);
        _exit(0);
    }
    R(epoll_wait(watcher, events, 10, 5000));
    waitpid(child, NULL, 0);

    int watch = inotify_init1(IN_NONBLOCK);
    V(watch);
    mkdir("watched", 0755);
    V(inotify_add_watch(watch, "watched", IN_CREATE | IN_DELETE));
    close(open("watched/new", O_CREAT | O_RDWR, 0600));
    struct inotify_event *told = malloc(1000);
    R(read(watch, told, 1000) > 0);

    struct sigaction action = {.sa_handler = count};
    sigaction(SIGALRM, &action, NULL);
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct itimerval soon = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec second = {1, 0}, zero = {0, 0};
    usleep(10000);
    R(alarms);
    R(ppoll(NULL, 0, &zero, &blocked));
    R(alarms);
    R(ppoll(NULL, 0, &second, &none));
    R(alarms);
    setitimer(ITIMER_REAL, &soon, NULL);
    R(pselect(0, NULL, NULL, NULL, &second, &none));
    R(alarms);
    setitimer(ITIMER_REAL, &soon, NULL);
    usleep(10000);
    R(epoll_pwait(outer, events, 10, 1000, &none));
    sigprocmask(SIG_SETMASK, &none, NULL);
    R(alarms);

    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct timespec until = start;
    until.tv_nsec += 20000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    R(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    clock_gettime(CLOCK_MONOTONIC, &end);
    T(end.tv_sec > until.tv_sec || (end.tv_sec == until.tv_sec && end.tv_nsec >= until.tv_nsec));
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                                 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, 99, -1};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        say("clock %d", clocks[i]);
        R(clock_gettime(clocks[i], &end));
    }
    R(clock_settime(CLOCK_MONOTONIC, &end));
    struct timespec bad = {0, 1000000000};
    R(nanosleep(&bad, NULL));
    timer_t posix;
    struct sigevent notify = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    R(timer_create(CLOCK_MONOTONIC, &notify, &posix));
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {100, 0}}, &soon);
    R(getitimer(ITIMER_REAL, &soon));
    T(soon.it_value.tv_sec >= 99);
    R(alarm(50));
    R(alarm(0));
    R(setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 0}, {0, 1000}}, NULL));
    return 0;
}

/* Threads: thread-local storage, contention, cancellation, robust locks, signals to threads. */
#include "report.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static __thread int local = 41;
static __thread char zeroed[5000];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_key_t key;
static long counter, turn;
static atomic_int destroyed;

static void destroy(void *value)
{
    atomic_fetch_add(&destroyed, (int)(long)value);
}

static void *contend(void *argument)
{
    int bad = local != 41;
    for (size_t i = 0; i < sizeof zeroed; i++)
        bad |= zeroed[i];
    local = (int)(long)argument;
    pthread_setspecific(key, (void *)1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 8 != (long)argument)
            pthread_cond_wait(&turned, &mutex);
        turn++;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)(long)(bad || local != (int)(long)argument);
}

static void cleanup(void *argument)
{
    say("cleanup %s", (char *)argument);
}

static void *cancelled(void *argument)
{
    (void)argument;
    pthread_cleanup_push(cleanup, "in sleep");
    sleep(100);
    pthread_cleanup_pop(0);
    return NULL;
}

static int pipes[2];

static void *cancelled_in_read(void *argument)
{
    (void)argument;
    char byte;
    pthread_cleanup_push(cleanup, "in read");
    read(pipes[0], &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_t expected;
static atomic_int on_expected;

static void handler(int signal)
{
    (void)signal;
    on_expected = pthread_equal(pthread_self(), expected) ? 1 : 2;
}

static sem_t ready, done;

static void *target(void *argument)
{
    (void)argument;
    expected = pthread_self();
    sem_post(&ready);
    while (sem_wait(&done) == -1)
        ;
    return NULL;
}

static void *short_lived(void *argument)
{
    return argument;
}

static void *exits(void *argument)
{
    (void)argument;
    usleep(20000);
    exit(5);
}

int main(void)
{
    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, NULL, 8);
    pthread_t threads[8];
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, contend, (void *)i);
    long bad = 0;
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        bad += (long)result;
    }
    say("counter %ld, turn %ld, bad %ld, destroyed %d", counter, turn, bad, destroyed);

    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, cancelled, NULL);
    int cancel = pthread_cancel(thread);
    pthread_join(thread, &result);
    R(cancel);
    T(result == PTHREAD_CANCELED);
    pipe(pipes);
    pthread_create(&thread, NULL, cancelled_in_read, NULL);
    usleep(10000);
    cancel = pthread_cancel(thread);
    pthread_join(thread, &result);
    R(cancel);
    T(result == PTHREAD_CANCELED);

    sem_init(&ready, 0, 0);
    sem_init(&done, 0, 0);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, target, NULL);
    sem_wait(&ready);
    R(pthread_kill(thread, SIGUSR1));
    while (!on_expected)
        usleep(1000);
    say("handler ran on %s thread", on_expected == 1 ? "the" : "another");
    sem_post(&done);
    pthread_join(thread, NULL);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    on_expected = 0;
    sem_init(&ready, 0, 0);
    kill(getpid(), SIGUSR1);
    usleep(10000);
    say("blocked: handler ran %d", on_expected);
    sigpending(&set);
    T(sigismember(&set, SIGUSR1) == 1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    T(on_expected != 0);

    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_nsec += 20000000;
    if (when.tv_nsec >= 1000000000)
        when.tv_sec++, when.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    say("timedwait %s", strerrorname_np(pthread_cond_timedwait(&turned, &mutex, &when)));
    say("timedlock %s", strerrorname_np(pthread_mutex_timedlock(&mutex, &when)));
    pthread_mutex_unlock(&mutex);

    struct {
        pthread_mutex_t robust;
        pthread_cond_t cond;
        int flag;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->robust, &attributes);
    pthread_condattr_t cond;
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->cond, &cond);
    IN_CHILD("dies with the lock", pthread_mutex_lock(&shared->robust));
    int lock = pthread_mutex_lock(&shared->robust);
    say("robust lock: %s", strerrorname_np(lock));
    R(pthread_mutex_consistent(&shared->robust));
    pthread_mutex_unlock(&shared->robust);
    IN_CHILD("killed with the lock", {
        pthread_mutex_lock(&shared->robust);
        kill(getpid(), SIGKILL);
    });
    say("robust lock: %s", strerrorname_np(pthread_mutex_lock(&shared->robust)));
    pthread_mutex_consistent(&shared->robust);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&shared->robust);
        shared->flag = 1;
        pthread_cond_signal(&shared->cond);
        pthread_mutex_unlock(&shared->robust);
        _exit(0);
    }
    while (!shared->flag)
        pthread_cond_wait(&shared->cond, &shared->robust);
    pthread_mutex_unlock(&shared->robust);
    waitpid(child, NULL, 0);
    say("shared condition was signalled");

    int failed = 0;
    for (int round = 0; round < 300; round++) {
        if (pthread_create(&thread, NULL, short_lived, (void *)(long)round))
            failed++;
        else if (pthread_join(thread, &result) || result != (void *)(long)round)
            failed++;
    }
    say("300 short-lived threads, %d failed", failed);
    T(syscall(SYS_gettid) == getpid());
    char name[16];
    pthread_setname_np(pthread_self(), "a-name");
    pthread_getname_np(pthread_self(), name, sizeof name);
    say("name %s", name);
    IN_CHILD("a thread exits the process", {
        pthread_create(&thread, NULL, exits, NULL);
        pause();
    });
    IN_CHILD("main leaves, another goes on", {
        pthread_create(&thread, NULL, exits, NULL);
        pthread_exit(NULL);
    });
    return 0;
}

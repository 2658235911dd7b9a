// Prints what system calls cost, in nanoseconds a call: one line "NAME NANOSECONDS" for each.
//
//   syscall_cost direct     calls from this program's text, as a C library makes them
//   syscall_cost generated  calls from code made at run time, which no rewriter has seen
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef long (*call_fn)(long number, long a, long b, long c, long d, long e, long f);

// mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; mov r10, r8; mov r8, r9;
// mov r9, [rsp+8]; syscall; ret
static const unsigned char CODE[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6,
                                     0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8,
                                     0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};

static long direct(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void fail(const char *what, long result) {
    fprintf(stderr, "syscall_cost: %s gave %ld\n", what, result);
    exit(1);
}

// The fastest of several batches: what the call costs when nothing else interferes.
static void measure(const char *name, call_fn call, long count, long expected, long number, long a, long b, long c,
                    long d, long e, long f) {
    double best = 0;
    for (int batch = 0; batch < 7; batch++) {
        double start = now();
        for (long i = 0; i < count; i++) {
            long result = call(number, a, b, c, d, e, f);
            if (result != expected) fail(name, result);
        }
        double each = (now() - start) / (double)count;
        if (batch == 0 || each < best) best = each;
    }
    printf("%s %.1f\n", name, best);
}

int main(int argc, char **argv) {
    call_fn call = direct;
    if (argc != 2) fail("the number of arguments", argc);
    if (strcmp(argv[1], "generated") == 0) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) fail("mmap", errno);
        memcpy(page, CODE, sizeof CODE);
        if (mprotect(page, 4096, PROT_READ | PROT_EXEC)) fail("mprotect", errno);
        call = (call_fn)(uintptr_t)page;
    }
    static char buffer[4096];
    char path[] = "syscall_cost.XXXXXX";
    int file = mkstemp(path);
    if (file < 0) fail("mkstemp", errno);
    unlink(path);
    if (write(file, buffer, sizeof buffer) != sizeof buffer) fail("write", errno);
    int local[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, local)) fail("socketpair", errno);
    static uint32_t word;
    struct pollfd ready = {.fd = local[0], .events = POLLOUT};

    // Cheaper calls are repeated more often, so that each takes a few milliseconds.
    measure("getppid", call, 20000, getppid(), SYS_getppid, 0, 0, 0, 0, 0, 0);
    measure("futex-wake", call, 20000, 0, SYS_futex, (long)&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
    measure("pread-4096", call, 10000, sizeof buffer, SYS_pread64, file, (long)buffer, sizeof buffer, 0, 0, 0);
    measure("pwrite-4096", call, 10000, sizeof buffer, SYS_pwrite64, file, (long)buffer, sizeof buffer, 0, 0, 0);
    measure("recv-would-block", call, 10000, -EAGAIN, SYS_recvfrom, local[0], (long)buffer, 64, MSG_DONTWAIT, 0, 0);
    measure("poll-ready", call, 10000, 1, SYS_poll, (long)&ready, 1, -1, 0, 0, 0);
    return 0;
}

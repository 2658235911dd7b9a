/* Memory: mappings of files and of nothing, protection, sharing, faults. */
#include "report.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static sigjmp_buf jump;
static void on_fault(int signal)
{
    siglongjmp(jump, signal);
}

static const char *touch(volatile char *address, int writing)
{
    int signal = sigsetjmp(jump, 1);
    if (signal)
        return sigabbrev_np(signal);
    if (writing)
        *address = 'w';
    else
        (void)*address;
    return "ok";
}

#define MAP(address, length, protection, flags, fd, offset)                                        \
    ({                                                                                             \
        void *at = mmap(address, length, protection, flags, fd, offset);                           \
        verdict("mmap(" #length ", " #protection ", " #flags ", " #fd ", " #offset ")", at == MAP_FAILED ? -1 : 0); \
        at;                                                                                        \
    })

int main(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    const int rw = PROT_READ | PROT_WRITE, page = 4096;
    int fd = open("mapped", O_RDWR | O_CREAT, 0644), read_only, write_only;
    for (int i = 0; i < 3; i++) {
        char text[4096];
        memset(text, 'a' + i, sizeof text);
        write(fd, text, i == 2 ? 100 : 4096);
    }
    read_only = open("mapped", O_RDONLY);
    write_only = open("mapped", O_WRONLY);
    char *shared = MAP(NULL, 3 * page, rw, MAP_SHARED, fd, 0);
    char *private = MAP(NULL, 3 * page, rw, MAP_PRIVATE, read_only, 0);
    shared[0] = 'S';
    private[1] = 'P';
    say("%c%c %c%c", shared[0], shared[1], private[0], private[1]);
    char buffer[8] = {0};
    pread(fd, buffer, 4, 0);
    say("file %s", buffer);
    pwrite(fd, "WW", 2, 2);
    say("%.4s %.4s", shared, private);
    R(msync(shared, page, MS_SYNC));
    R(msync(shared + 1, page, MS_SYNC));
    say("beyond the end: %d %s", shared[2 * page + 200], touch(shared + 2 * page + 4000, 1));
    ftruncate(fd, page);
    say("after truncation: %s", touch(shared + page, 0));
    ftruncate(fd, 3 * page);
    say("grown again: %s %d", touch(shared + page, 0), shared[page]);
    MAP(NULL, page, rw, MAP_SHARED, read_only, 0);
    MAP(NULL, page, PROT_READ, MAP_SHARED, write_only, 0);
    MAP(NULL, page, PROT_READ, MAP_PRIVATE, 99, 0);
    MAP(NULL, page, PROT_READ, MAP_PRIVATE, fd, 100);
    MAP(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0);
    MAP(NULL, page, PROT_READ, 0, fd, 0);
    int directory = open(".", O_RDONLY);
    MAP(NULL, page, PROT_READ, MAP_PRIVATE, directory, 0);
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    MAP(NULL, page, PROT_READ, MAP_PRIVATE, null, 0);
    char *zeroes = MAP(NULL, page, rw, MAP_PRIVATE, zero, 0);
    say("%d", zeroes == MAP_FAILED ? -1 : zeroes[100]);

    char *area = mmap(NULL, 16 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 'x', 16 * page);
    R(mprotect(area + page, page, PROT_READ));
    say("%s %s", touch(area + page, 0), touch(area + page, 1));
    R(mprotect(area + 2 * page, page, PROT_NONE));
    say("%s", touch(area + 2 * page, 0));
    R(mprotect(area + 2 * page, page, rw));
    say("%c", area[2 * page]);
    R(mprotect(area + 1, page, rw));
    R(munmap(area + 4 * page, page));
    say("%s %s %s", touch(area + 4 * page, 0), touch(area + 3 * page, 1), touch(area + 5 * page, 1));
    R(mprotect(area + 3 * page, 3 * page, rw));
    R(munmap(area + 1, page));
    R(munmap(area + 4 * page, page));
    R(munmap(area, 0));
    char *fixed = mmap(area + 4 * page, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    T(fixed == area + 4 * page);
    V(mmap(area + 4 * page, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    fixed = mmap(area + 5 * page, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    T(fixed == area + 5 * page && fixed[0] == 0 && area[6 * page] == 'x');
    V(mmap((void *)1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    V(mmap((void *)0x7ffffffff000, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    R(madvise(area, page, MADV_DONTNEED));
    say("%d", area[0]);
    R(madvise(area, page, MADV_WILLNEED));
    R(madvise(area, page, 9999));
    R(madvise(area + 1, page, MADV_DONTNEED));
    char *moved = mremap(area + 8 * page, 2 * page, 4 * page, 0);
    verdict("grow in place", moved == MAP_FAILED ? -1 : 0);
    area[8 * page] = 'm';
    moved = mremap(area + 8 * page, 2 * page, 32 * page, MREMAP_MAYMOVE);
    verdict("grow and move", moved == MAP_FAILED ? -1 : 0);
    say("%c %s %s", moved[0], touch(area + 8 * page, 0), touch(moved + 31 * page, 1));
    char *shrunk = mremap(moved, 32 * page, page, 0);
    T(shrunk == moved);
    say("%s", touch(moved + 2 * page, 0));
    unsigned char core[2];
    R(mincore(area, 2 * page, core));
    R(mincore(area + 1, page, core));
    R(mlock(area, page));
    R(munlock(area, page));

    char *both = mmap(NULL, page, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *own = mmap(NULL, page, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    IN_CHILD("writes", {
        both[0] = 'c';
        own[0] = 'c';
        shared[5] = 'c';
        private[5] = 'c';
        munmap(both, page);
    });
    say("%d %d %c %c", both[0], own[0], shared[5], private[5] ? private[5] : '0');

    char *brk = sbrk(0);
    R(sbrk(100000) == brk);
    brk[99999] = 1;
    R(sbrk(-100000) == brk + 100000);
    R(sbrk(0) == brk);

    int memory = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    V(memory);
    R(ftruncate(memory, 2 * page));
    char *of_memory = MAP(NULL, 2 * page, rw, MAP_SHARED, memory, 0);
    of_memory[page] = 'q';
    R(pread(memory, buffer, 1, page));
    R(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    R(fcntl(memory, F_GET_SEALS));
    R(ftruncate(memory, page));
    R(ftruncate(memory, 3 * page));
    R(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(of_memory, 2 * page);
    R(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    R(write(memory, "x", 1));
    R(fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL));
    R(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW));

    /* Code made at run time, with a system call in it: mov eax, 39 (getpid); syscall; ret. */
    unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    unsigned char *jit = mmap(NULL, page, rw | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(jit, code, sizeof code);
    R(((int (*)(void))jit)() == getpid());
    R(mprotect(jit, page, PROT_READ));
    R(mprotect(jit, page, PROT_READ | PROT_EXEC));
    R(((int (*)(void))jit)() == getpid());
    int file = open("code", O_RDWR | O_CREAT, 0755);
    write(file, code, sizeof code);
    jit = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    R(((int (*)(void))jit)() == getpid());
    /* mov eax, 39; mov r12, rcx preserved? flags, red zone and other registers survive a call. */
    long kept = 0;
    __asm__ volatile("mov $0x1111, %%rbx; mov $0x2222, %%r9; movq $77, -16(%%rsp); mov $39, %%eax; stc; syscall; sbb %%rax, %%rax;"
                     "add %%rbx, %%rax; add %%r9, %%rax; add -16(%%rsp), %%rax; mov %%rax, %0"
                     : "=m"(kept)
                     :
                     : "rax", "rbx", "rcx", "r9", "r11", "memory", "cc");
    say("kept %#lx", kept);
    int old;
    __asm__ volatile("int $0x80" : "=a"(old) : "a"(20) : "memory");
    say("int 0x80 %s", old == getpid() ? "getpid" : "refused");
    return 0;
}

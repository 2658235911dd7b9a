/* Files and directories of a host mount: what each call answers and leaves. */
#include "report.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static void make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write(fd, text, strlen(text));
    close(fd);
}

static void opening(void)
{
    struct stat status;
    make("file", "0123456789");
    mkdir("dir", 0755);
    symlink("file", "link");
    symlink("loop-b", "loop-a");
    symlink("loop-a", "loop-b");
    symlink("nowhere", "dangling");
    symlink("dir", "link-to-dir");
    R(open("file", O_RDONLY));
    R(open("missing", O_RDONLY));
    R(open("file", O_CREAT | O_EXCL | O_WRONLY, 0600));
    R(open("link", O_CREAT | O_EXCL | O_WRONLY, 0600));
    R(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600));
    R(open("link", O_NOFOLLOW));
    R(open("loop-a", O_RDONLY));
    R(open("dir", O_WRONLY));
    R(open("dir", O_RDWR | O_CREAT, 0600));
    R(open("file", O_DIRECTORY));
    R(open("file/", O_RDONLY));
    R(open("file/x", O_RDONLY));
    R(open("link/", O_RDONLY));
    R(open("link-to-dir/", O_RDONLY));
    R(open("dir/", O_RDONLY | O_CREAT, 0600));
    R(open("new/", O_RDONLY | O_CREAT, 0600));
    R(open("", O_RDONLY));
    R(open("dir/../file", O_RDONLY));
    R(open("./././file", O_RDONLY));
    R(open("missing/../file", O_RDONLY));
    R(open("dir/.", O_RDONLY | O_DIRECTORY));
    R(open(".", O_RDWR));
    R(open("dangling", O_CREAT | O_WRONLY, 0640));
    R(access("nowhere", F_OK));
    R(unlink("nowhere"));
    char name[5000];
    memset(name, 'n', 256);
    name[256] = 0;
    R(open(name, O_CREAT | O_RDWR, 0600));
    name[255] = 0;
    R(open(name, O_CREAT | O_RDWR, 0600));
    R(unlink(name));
    for (int i = 0; i < 4998; i += 2)
        name[i] = '.', name[i + 1] = '/';
    name[4998] = 0;
    R(open(name, O_RDONLY));
    R(open("file", O_RDONLY | O_TRUNC));
    stat("file", &status);
    say("size %ld", (long)status.st_size);
    make("file", "0123456789");
    int path = open("file", O_PATH);
    V(path);
    char byte;
    R(read(path, &byte, 1));
    R(fstat(path, &status));
    R(fchmod(path, 0600));
    R(ftruncate(path, 3));
    R(openat(path, "x", O_RDONLY));
    int link_path = open("link", O_PATH | O_NOFOLLOW);
    V(link_path);
    R(fstat(link_path, &status));
    T(S_ISLNK(status.st_mode));
    R(readlinkat(link_path, "", name, sizeof name));
    int directory = open("dir", O_RDONLY | O_DIRECTORY);
    R(openat(directory, "inside", O_CREAT | O_WRONLY, 0600));
    R(openat(directory, "../file", O_RDONLY));
    R(openat(99, "file", O_RDONLY));
    T(openat(99, "/dev/null", O_RDONLY) >= 0);
    R(read(directory, &byte, 1));
    R(write(directory, &byte, 1));
    R(creat("created", 0666));
    stat("created", &status);
    say("mode %o", status.st_mode);
    for (int fd = 3; fd < 100; fd++)
        close(fd);
}

static void offsets(void)
{
    char buffer[64] = {0};
    int fd = open("offsets", O_RDWR | O_CREAT | O_TRUNC, 0644);
    R(write(fd, "abcdefgh", 8));
    R(lseek(fd, 0, SEEK_CUR));
    R(lseek(fd, -3, SEEK_END));
    R(read(fd, buffer, 64));
    R(lseek(fd, -1, SEEK_SET));
    R(lseek(fd, 0, 99));
    R(pread(fd, buffer, 4, 6));
    R(pwrite(fd, "XY", 2, 2));
    R(pread(fd, buffer, 8, -1));
    R(lseek(fd, 1 << 20, SEEK_SET));
    R(write(fd, "end", 3));
    R(pread(fd, buffer, 10, 1000));
    say("hole reads %d", buffer[0]);
    R(lseek(fd, 0, SEEK_HOLE) <= 65536);
    R(lseek(fd, 65536, SEEK_DATA) >= 65536);
    R(lseek(fd, 2 << 20, SEEK_DATA));
    struct iovec vector[3] = {{buffer, 2}, {buffer + 10, 0}, {buffer + 2, 5}};
    R(preadv(fd, vector, 3, 0));
    say("%.7s", buffer);
    R(writev(fd, vector, 3));
    R(preadv2(fd, vector, 3, -1, 0));
    R(readv(fd, vector, -1));
    R(readv(fd, vector, 0));
    R(readv(fd, vector, 2000));
    R(ftruncate(fd, 5));
    R(lseek(fd, 0, SEEK_CUR));
    R(write(fd, "!", 1));
    R(ftruncate(fd, -1));
    R(truncate("offsets", 20));
    R(truncate("missing", 20));
    R(truncate("dir", 20));
    R(fallocate(fd, 0, 0, 8192));
    R(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 8192));
    R(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    R(fallocate(fd, 0, 0, 0));
    R(posix_fallocate(fd, 0, 10000));
    R(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    R(fsync(fd));
    R(fdatasync(fd));
    R(sync_file_range(fd, 0, 0, 0));
    R(syncfs(fd));
    int append = open("append", O_WRONLY | O_CREAT | O_APPEND, 0644), again = open("append", O_WRONLY | O_APPEND);
    R(write(append, "one", 3));
    R(write(again, "two", 3));
    R(lseek(append, 0, SEEK_SET));
    R(write(append, "three", 5));
    R(pwrite(append, "four", 4, 0));
    R(lseek(append, 0, SEEK_CUR));
    R(read(append, buffer, 1));
    R(fcntl(append, F_GETFL) & O_APPEND);
    R(fcntl(append, F_SETFL, 0));
    R(pwrite(append, "FIVE", 4, 0));
    int copy = dup(append);
    lseek(append, 7, SEEK_SET);
    R(lseek(copy, 0, SEEK_CUR));
    fflush(stdout);
    if (fork() == 0) {
        lseek(copy, 9, SEEK_SET);
        _exit(0);
    }
    wait(NULL);
    R(lseek(append, 0, SEEK_CUR));
    int from = open("offsets", O_RDONLY), to = open("copied", O_RDWR | O_CREAT, 0644);
    off_t at = 2;
    R(sendfile(to, from, &at, 4));
    say("at %ld", (long)at);
    R(sendfile(to, from, NULL, 3));
    R(lseek(from, 0, SEEK_CUR));
    off_t in = 0, out = 20;
    R(copy_file_range(from, &in, to, &out, 6, 0));
    R(copy_file_range(from, NULL, to, NULL, 5, 0));
    R(sendfile(to, to, NULL, 1));
    R(read(to, buffer, 0));
    R(dup2(from, from));
    R(dup3(from, from, 0));
    R(dup2(from, -1));
    R(dup2(99, 50));
    R(fcntl(from, F_DUPFD, 60));
    R(fcntl(from, F_DUPFD_CLOEXEC, 60));
    R(fcntl(61, F_GETFD));
    R(fcntl(60, F_GETFD));
    R(close_range(60, 61, 0));
    R(fcntl(60, F_GETFD));
    R(close(60));
    R(ioctl(from, FIONREAD, &in) == 0 && (int)in >= 0);
    R(ioctl(from, TIOCGWINSZ, buffer));
    R(isatty(from));
    for (int i = 3; i < 100; i++)
        close(i);
}

static void names(void)
{
    struct stat status;
    char buffer[200];
    make("a", "a");
    make("b", "b");
    mkdir("d1", 0755);
    mkdir("d2", 0755);
    make("d2/full", "x");
    R(link("a", "a2"));
    stat("a", &status);
    R(status.st_nlink);
    R(rename("a", "a2"));
    R(access("a", F_OK));
    R(rename("a", "b"));
    R(access("a", F_OK));
    R(rename("missing", "b"));
    R(rename("b", "d1"));
    R(rename("d1", "b"));
    R(rename("d1", "d2"));
    R(rename("d2", "d1"));
    R(rename("d1", "d1/inside"));
    R(rename("b", "d1/"));
    R(rename("b", "new/"));
    R(rename("d1", "d3/"));
    R(rename("d3", "d1"));
    R(rename(".", "x"));
    R(renameat2(AT_FDCWD, "b", AT_FDCWD, "a2", RENAME_NOREPLACE));
    R(renameat2(AT_FDCWD, "b", AT_FDCWD, "d1", RENAME_EXCHANGE));
    R(stat("d1", &status));
    T(S_ISREG(status.st_mode));
    R(renameat2(AT_FDCWD, "b", AT_FDCWD, "d1", RENAME_EXCHANGE));
    R(renameat2(AT_FDCWD, "b", AT_FDCWD, "d1", RENAME_EXCHANGE | RENAME_NOREPLACE));
    R(unlink("d1"));
    R(rmdir("d1"));
    R(rmdir("b"));
    R(rmdir("."));
    R(rmdir("d1/.."));
    R(unlinkat(AT_FDCWD, "d1/full", 0));
    R(unlinkat(AT_FDCWD, "d1", AT_REMOVEDIR));
    R(mkdir("a2", 0755));
    R(mkdir("x/y", 0755));
    R(mkdir("trailing/", 01777));
    R(symlink("b", "a2"));
    R(symlink("", "empty"));
    R(readlink("link", buffer, sizeof buffer));
    R(readlink("link", buffer, 2));
    R(readlink("a2", buffer, sizeof buffer));
    R(readlink("link", buffer, 0));
    R(link("link", "hard-to-link"));
    R(lstat("hard-to-link", &status));
    T(S_ISLNK(status.st_mode));
    R(linkat(AT_FDCWD, "link", AT_FDCWD, "hard-to-file", AT_SYMLINK_FOLLOW));
    R(lstat("hard-to-file", &status));
    T(S_ISREG(status.st_mode));
    R(link("dir", "hard-to-dir"));
    int fd = open("b", O_RDWR);
    R(unlink("b"));
    R(fstat(fd, &status));
    R(status.st_nlink);
    R(write(fd, "still there", 11));
    R(pread(fd, buffer, 20, 0));
    fd = open(".", O_TMPFILE | O_RDWR, 0640);
    V(fd);
    write(fd, "temporary", 9);
    sprintf(buffer, "/proc/self/fd/%d", fd);
    R(linkat(AT_FDCWD, buffer, AT_FDCWD, "was-temporary", AT_SYMLINK_FOLLOW));
    R(linkat(fd, "", AT_FDCWD, "was-temporary-2", AT_EMPTY_PATH));
    R(mknod("fifo", S_IFIFO | 0600, 0));
    R(mknod("regular", S_IFREG | 0600, 0));
    R(mkfifo("fifo", 0600));
    R(chdir("dir"));
    R(chdir("missing"));
    R(chdir("../file"));
    char *cwd = getcwd(buffer, sizeof buffer);
    say("%s", strrchr(cwd, '/'));
    T(getcwd(buffer, 3) == NULL && errno == ERANGE);
    mkdir("gone", 0755);
    IN_CHILD("a directory that is gone", {
        chdir("gone");
        R(rmdir("../gone"));
        T(getcwd(buffer, sizeof buffer) == NULL);
        R(errno);
        R(open("x", O_CREAT | O_RDWR, 0600));
        R(access(".", F_OK));
        R(stat(".", &status));
        R(chdir(".."));
    });
    R(chdir(".."));
    for (int i = 3; i < 100; i++)
        close(i);
}

static void attributes(void)
{
    struct stat status;
    struct statx extended;
    make("attributes", "12345");
    umask(027);
    R(open("masked", O_CREAT | O_WRONLY, 0777));
    stat("masked", &status);
    say("%o", status.st_mode);
    R(mkdir("masked-dir", 0777));
    stat("masked-dir", &status);
    say("%o", status.st_mode);
    umask(022);
    R(chmod("attributes", 06711));
    stat("attributes", &status);
    say("%o", status.st_mode);
    int fd = open("attributes", O_RDWR);
    R(write(fd, "x", 1));
    fstat(fd, &status);
    say("%o after writing", status.st_mode);
    R(fchmod(fd, 0604));
    R(fchmodat(AT_FDCWD, "missing", 0600, 0));
    R(chown("attributes", 5, 6));
    R(lchown("link", 7, 8));
    lstat("link", &status);
    say("owner %d %d", status.st_uid, status.st_gid);
    fstat(fd, &status);
    say("owner %d %d mode %o", status.st_uid, status.st_gid, status.st_mode);
    R(chown("attributes", -1, -1));
    struct timespec times[2] = {{1000, 500}, {2000, 600}};
    R(utimensat(AT_FDCWD, "attributes", times, 0));
    stat("attributes", &status);
    say("times %ld.%ld %ld.%ld", status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    R(futimens(fd, times));
    stat("attributes", &status);
    say("times %ld, now %d", status.st_atim.tv_sec, status.st_mtim.tv_sec > 1000000);
    times[0].tv_nsec = 2000000000;
    R(utimensat(AT_FDCWD, "attributes", times, 0));
    R(utimensat(AT_FDCWD, "link", NULL, AT_SYMLINK_NOFOLLOW));
    R(statx(AT_FDCWD, "attributes", 0, STATX_ALL, &extended));
    say("statx mask %#x size %ld mode %o links %u", extended.stx_mask & STATX_BASIC_STATS, (long)extended.stx_size, extended.stx_mode,
        extended.stx_nlink);
    R(statx(AT_FDCWD, "missing", 0, STATX_ALL, &extended));
    R(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &extended));
    R(statx(fd, "", 0, STATX_SIZE, &extended));
    R(fstatat(AT_FDCWD, "link", &status, AT_SYMLINK_NOFOLLOW));
    T(S_ISLNK(status.st_mode));
    R(fstatat(AT_FDCWD, "link", &status, 0x8000));
    stat("attributes", &status);
    say("blocks %ld block size %ld", (long)status.st_blocks, (long)status.st_blksize);
    struct stat other;
    stat("file", &other);
    T(status.st_dev == other.st_dev && status.st_ino != other.st_ino && status.st_ino != 0);
    struct statfs fs;
    R(statfs(".", &fs));
    T(fs.f_bsize > 0 && fs.f_blocks > 0 && fs.f_namelen == 255);
    R(access("attributes", X_OK));
    R(access("attributes", R_OK | W_OK));
    R(access("attributes", 9));
    R(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    R(setxattr("attributes", "user.name", "value", 5, 0));
    char value[20];
    R(getxattr("attributes", "user.name", value, sizeof value));
    R(getxattr("attributes", "user.name", value, 2));
    R(getxattr("attributes", "user.other", value, 2));
    R(setxattr("attributes", "user.name", "value", 5, XATTR_CREATE));
    R(listxattr("attributes", value, sizeof value));
    R(removexattr("attributes", "user.name"));
    stat("/dev/null", &status);
    say("null %o %u:%u", status.st_mode, major(status.st_rdev), minor(status.st_rdev));
    close(fd);
    for (int i = 3; i < 100; i++)
        close(i);
}

static void directories(void)
{
    char name[40];
    mkdir("big", 0755);
    for (int i = 0; i < 3000; i++) {
        sprintf(name, "big/an-entry-with-number-%04d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *directory = opendir("big");
    int count = 0, dots = 0;
    long sum = 0, middle = 0;
    struct dirent *entry;
    char at_middle[300] = "";
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            dots++;
        else
            count++, sum += atoi(entry->d_name + 21);
        if (count == 1500 && !middle)
            middle = telldir(directory);
        else if (middle && !*at_middle)
            strcpy(at_middle, entry->d_name);
    }
    say("%d entries, %d dots, sum %ld", count, dots, sum);
    seekdir(directory, middle);
    entry = readdir(directory);
    T(entry && strcmp(entry->d_name, at_middle) == 0);
    rewinddir(directory);
    count = 0;
    while ((entry = readdir(directory)))
        count++;
    R(count);
    /* Deleting while reading finds everything. */
    rewinddir(directory);
    count = 0;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.' && unlinkat(dirfd(directory), entry->d_name, 0) == 0)
            count++;
    R(count);
    closedir(directory);
    R(rmdir("big"));
    mkdir("kinds", 0755);
    make("kinds/file", "");
    symlink("x", "kinds/link");
    mkfifo("kinds/fifo", 0600);
    mkdir("kinds/dir", 0700);
    struct dirent **all;
    count = scandir("kinds", &all, NULL, alphasort);
    for (int i = 0; i < count; i++)
        say("%s %d", all[i]->d_name, all[i]->d_type);
    T(opendir("file") == NULL);
    R(errno == ENOTDIR);
}

static void locks(void)
{
    int fd = open("locked", O_RDWR | O_CREAT, 0600), other = open("locked", O_RDWR);
    R(flock(fd, LOCK_EX));
    R(flock(other, LOCK_SH | LOCK_NB));
    R(flock(fd, LOCK_SH));
    R(flock(other, LOCK_SH | LOCK_NB));
    R(flock(other, LOCK_EX | LOCK_NB));
    IN_CHILD("flock of a child", {
        R(flock(fd, LOCK_SH | LOCK_NB));
        int own = open("locked", O_RDWR);
        R(flock(own, LOCK_EX | LOCK_NB));
        R(flock(own, 99));
    });
    flock(fd, LOCK_UN);
    flock(other, LOCK_UN);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    R(fcntl(fd, F_SETLK, &lock));
    IN_CHILD("record locks of a child", {
        struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
        R(fcntl(fd, F_SETLK, &mine));
        R(fcntl(fd, F_GETLK, &mine));
        say("%d %ld %ld, held by the parent: %d", mine.l_type, (long)mine.l_start, (long)mine.l_len, mine.l_pid == getppid());
        mine = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 0};
        R(fcntl(fd, F_SETLK, &mine));
    });
    lock.l_start = 20;
    R(fcntl(fd, F_GETLK, &lock));
    R(lock.l_type == F_UNLCK);
    int pipes[2];
    char byte;
    pipe(pipes);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        write(pipes[1], "r", 1);
        R(fcntl(fd, F_SETLKW, &mine));
        _exit(0);
    }
    read(pipes[0], &byte, 1);
    usleep(20000);
    say("releasing");
    close(other); /* POSIX: closing any descriptor of the file drops the process's locks */
    int status;
    waitpid(child, &status, 0);
    say_status("waiter", status);
    other = open("locked", O_RDWR);
    struct flock own = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    R(fcntl(fd, F_OFD_SETLK, &own));
    R(fcntl(other, F_OFD_SETLK, &own));
    R(fcntl(other, F_OFD_GETLK, &own));
    say("%d pid %d", own.l_type, own.l_pid);
    R(lockf(fd, F_TLOCK, 5));
    int read_only = open("locked", O_RDONLY);
    own = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    R(fcntl(read_only, F_SETLK, &own));
    own.l_len = -5;
    R(fcntl(fd, F_SETLK, &own));
    R(fcntl(99, F_SETLK, &own));
}

int main(void)
{
    umask(022);
    opening();
    offsets();
    names();
    attributes();
    directories();
    locks();
    return 0;
}

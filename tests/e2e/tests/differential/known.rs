//! Differences that are known, with their reasons.

use bannock_e2e::differential::Known;

/// All of them.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        case: "process",
        reason: "clone(2) makes threads, fork and vfork; not yet a process that shares memory and goes on beside its creator",
        native: &[
            "out child: ok",
            "out clone: exited with 34",
            "out clone: 12",
        ],
        bannock: &["out child = -1 EINVAL", "out clone: 0"],
    },
    Known {
        case: "process",
        reason: "the container has no namespaces to leave: unshare(2) is refused whole, even for what threads share",
        native: &["out unshare(CLONE_FILES) = 0"],
        bannock: &["out unshare(CLONE_FILES) = -1 EPERM"],
    },
    Known {
        case: "sockets",
        reason: "a named socket on a host mount belongs to the host: its peer may be anybody, so it has no credentials and no descriptors are passed",
        native: &[
            "out own 1 uid 0",
            "out pass(client, file) = 1",
            "out taken: ok",
        ],
        bannock: &[
            "out own 0 uid 65534",
            "out pass(client, file) = -1 EPERM",
            "out taken = -1 EAGAIN",
        ],
    },
    Known {
        case: "sockets",
        reason: "a socket is made where open(2) would be used, with O_LARGEFILE",
        native: &["out fcntl(client, F_GETFL) = 2"],
        bannock: &["out fcntl(client, F_GETFL) = 32770"],
    },
    Known {
        case: "events",
        reason: "inotify is not there yet",
        native: &[
            "out watch: ok",
            "out inotify_add_watch(watch, \"watched\", IN_CREATE | IN_DELETE): ok",
            "out read(watch, told, 1000) > 0 = 1",
        ],
        bannock: &[
            "out watch = -1 ENOSYS",
            "out inotify_add_watch(watch, \"watched\", IN_CREATE | IN_DELETE) = -1 ENOSYS",
            "out read(watch, told, 1000) > 0 = 0",
        ],
    },
    Known {
        case: "proc",
        reason: "a file without a name is shown by its last one, without `(deleted)`, and is not opened through /proc",
        native: &[
            "out /proc/self/fd/3 -> FOLDER/a file (deleted)",
            "out again: ok",
        ],
        bannock: &[
            "out /proc/self/fd/3 -> FOLDER/a file",
            "out again = -1 ENOENT",
        ],
    },
    Known {
        case: "proc",
        reason: "follows from the one above: a descriptor less is open",
        native: &["out /proc/self/fd/7 -> /dev/null", "out count = 11"],
        bannock: &["out /proc/self/fd/6 -> /dev/null", "out count = 10"],
    },
    Known {
        case: "proc",
        reason: "not all files of a process are there yet",
        native: &[
            "out /proc/self/io: rchar is there",
            "out /proc/self/auxv:  is there",
            "out /proc/self/smaps: Rss: is there",
            "out /proc/self/sched:  is there",
        ],
        bannock: &[
            "out /proc/self/io: ENOENT",
            "out /proc/self/auxv: ENOENT",
            "out /proc/self/smaps: ENOENT",
            "out /proc/self/sched: ENOENT",
        ],
    },
    Known {
        case: "proc",
        reason: "what the host says about its network is not shown",
        native: &[
            "out /proc/sys/net/core/somaxconn:  is there",
            "out /proc/net/tcp: local_address is there",
        ],
        bannock: &[
            "out /proc/sys/net/core/somaxconn: ENOENT",
            "out /proc/net/tcp: ENOENT",
        ],
    },
    Known {
        case: "proc",
        reason: "/proc cannot be written to, which is said before the name is looked at",
        native: &["out mkdir(\"/proc/x\", 0755) = -1 ENOENT"],
        bannock: &["out mkdir(\"/proc/x\", 0755) = -1 EROFS"],
    },
    Known {
        case: "proc",
        reason: "memory cannot be written through /proc",
        native: &["out open(\"/proc/self/mem\", O_RDWR) >= 0 = 1"],
        bannock: &["out open(\"/proc/self/mem\", O_RDWR) >= 0 = 0"],
    },
    Known {
        case: "proc",
        reason: "what the host says about its memory is not shown",
        native: &["out /sys/kernel/mm/transparent_hugepage/enabled: never is there"],
        bannock: &["out /sys/kernel/mm/transparent_hugepage/enabled: ENOENT"],
    },
    Known {
        case: "files",
        reason: "a file without a name cannot be given one yet",
        native: &[
            "out linkat(AT_FDCWD, buffer, AT_FDCWD, \"was-temporary\", AT_SYMLINK_FOLLOW) = 0",
            "out linkat(fd, \"\", AT_FDCWD, \"was-temporary-2\", AT_EMPTY_PATH) = 0",
            "file was-temporary-2: mode 0640 owner 0:0 \"temporary\" links 2",
            "file was-temporary: mode 0640 owner 0:0 \"temporary\" links 2",
        ],
        bannock: &[
            "out linkat(AT_FDCWD, buffer, AT_FDCWD, \"was-temporary\", AT_SYMLINK_FOLLOW) = -1 EINVAL",
            "out linkat(fd, \"\", AT_FDCWD, \"was-temporary-2\", AT_EMPTY_PATH) = -1 ENOENT",
        ],
    },
    Known {
        case: "files",
        reason: "a directory that was removed on a host mount is known by its old path, and so not found",
        native: &[
            "out getcwd(buffer, sizeof buffer) == NULL: yes",
            "out errno = 2",
            "out access(\".\", F_OK) = 0",
            "out stat(\".\", &status) = 0",
            "out chdir(\"..\") = 0",
        ],
        bannock: &[
            "out getcwd(buffer, sizeof buffer) == NULL: no",
            "out errno = 34",
            "out access(\".\", F_OK) = -1 ENOENT",
            "out stat(\".\", &status) = -1 ENOENT",
            "out chdir(\"..\") = -1 ENOENT",
        ],
    },
    Known {
        case: "files",
        reason: "host mounts change no owners, so that the host needs no privileges",
        native: &[
            "out chown(\"attributes\", 5, 6) = 0",
            "out lchown(\"link\", 7, 8) = 0",
            "out owner 7 8",
            "out owner 5 6 mode 100604",
            "file attributes: mode 0604 owner 5:6 \"x2345\" links 1",
            "file hard-to-link: mode 0777 owner 7:8 link to file",
            "file link: mode 0777 owner 7:8 link to file",
        ],
        bannock: &[
            "out chown(\"attributes\", 5, 6) = -1 EPERM",
            "out lchown(\"link\", 7, 8) = -1 EPERM",
            "out owner 0 0",
            "out owner 0 0 mode 100604",
            "file attributes: mode 0604 owner 0:0 \"x2345\" links 1",
            "file hard-to-link: mode 0777 owner 0:0 link to file",
            "file link: mode 0777 owner 0:0 link to file",
        ],
    },
    Known {
        case: "files",
        reason: "host mounts have no extended attributes",
        native: &[
            "out setxattr(\"attributes\", \"user.name\", \"value\", 5, 0) = 0",
            "out getxattr(\"attributes\", \"user.name\", value, sizeof value) = 5",
            "out getxattr(\"attributes\", \"user.name\", value, 2) = -1 ERANGE",
            "out getxattr(\"attributes\", \"user.other\", value, 2) = -1 ENODATA",
            "out setxattr(\"attributes\", \"user.name\", \"value\", 5, XATTR_CREATE) = -1 EEXIST",
            "out listxattr(\"attributes\", value, sizeof value) = 10",
            "out removexattr(\"attributes\", \"user.name\") = 0",
        ],
        bannock: &[
            "out setxattr(\"attributes\", \"user.name\", \"value\", 5, 0) = -1 EOPNOTSUPP",
            "out getxattr(\"attributes\", \"user.name\", value, sizeof value) = -1 EOPNOTSUPP",
            "out getxattr(\"attributes\", \"user.name\", value, 2) = -1 EOPNOTSUPP",
            "out getxattr(\"attributes\", \"user.other\", value, 2) = -1 EOPNOTSUPP",
            "out setxattr(\"attributes\", \"user.name\", \"value\", 5, XATTR_CREATE) = -1 EOPNOTSUPP",
            "out listxattr(\"attributes\", value, sizeof value) = 0",
            "out removexattr(\"attributes\", \"user.name\") = -1 EOPNOTSUPP",
        ],
    },
    Known {
        case: "memory",
        reason: "32-bit system calls are refused",
        native: &["out int 0x80 getpid"],
        bannock: &["out int 0x80 refused"],
    },
    Known {
        case: "pointers",
        reason: "a path is read whole before it is looked at: what lies at the end of memory decides only then",
        native: &["out execve argument 0 at the edge = -1 EFAULT"],
        bannock: &["out execve argument 0 at the edge = -1 ENOENT"],
    },
    Known {
        case: "pointers",
        reason: "an alternate stack of no size is refused even where it changes nothing",
        native: &["out sigaltstack argument 0 read-only = 0"],
        bannock: &["out sigaltstack argument 0 read-only = -1 ENOMEM"],
    },
    Known {
        case: "perl",
        reason: "the command line in /proc is what exec was given; a program cannot rewrite it by overwriting its arguments",
        native: &["out renamed"],
        bannock: &["out /usr/bin/perl"],
    },
];

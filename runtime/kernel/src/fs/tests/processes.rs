//! `/proc` and devices.

use super::*;
use std::vec;

struct OneProcess {
    files: FileTable,
    fs: FsContext,
}

impl proc::ProcessView for OneProcess {
    fn files(&self) -> &FileTable {
        &self.files
    }
    fn fs(&self) -> &FsContext {
        &self.fs
    }
    fn parent(&self) -> i32 {
        1
    }
    fn group_and_session(&self) -> (i32, i32) {
        (7, 7)
    }
    fn state(&self) -> char {
        'R'
    }
    fn name(&self, _: i32) -> Vec<u8> {
        b"a) b".to_vec()
    }
    fn executable(&self) -> Vec<u8> {
        b"/bin/prog".to_vec()
    }
    fn arguments(&self) -> Vec<u8> {
        b"prog\0-x\0".to_vec()
    }
    fn environment(&self) -> Vec<u8> {
        b"KEY=value\0".to_vec()
    }
    fn threads(&self) -> Vec<i32> {
        vec![7]
    }
    fn maps(&self) -> Vec<u8> {
        Vec::new()
    }
    fn memory(&self) -> (u64, u64) {
        (8192, 4096)
    }
    fn users(&self) -> [u32; 4] {
        [0; 4]
    }
    fn groups(&self) -> [u32; 4] {
        [0; 4]
    }
    fn signals(&self, _: i32) -> [u64; 5] {
        [0; 5]
    }
    fn signal_limit(&self) -> u64 {
        8
    }
    fn no_new_privileges(&self) -> bool {
        false
    }
    fn times(&self) -> [u64; 3] {
        [1, 2, 3]
    }
    fn descriptor_limit(&self) -> usize {
        1024
    }
}

struct Source(std::sync::OnceLock<Arc<OneProcess>>);

impl proc::ProcessSource for Source {
    fn ids(&self) -> Vec<i32> {
        vec![7]
    }
    fn get(&self, id: i32) -> Option<Arc<dyn proc::ProcessView>> {
        let process: Arc<dyn proc::ProcessView> = self.0.get().filter(|_| id == 7)?.clone();
        Some(process)
    }
    fn of_thread(&self, id: i32) -> Option<(i32, Arc<dyn proc::ProcessView>)> {
        self.get(id).map(|process| (id, process))
    }
    fn caller(&self) -> (i32, i32) {
        (7, 7)
    }
    fn host_name(&self) -> Vec<u8> {
        b"inside".to_vec()
    }
}

fn with_proc() -> Arc<OneProcess> {
    let fs = memory();
    fs.inject(b"/bin/prog", 0o755, 0, 0, b"ELF").unwrap();
    let source = Arc::new(Source(std::sync::OnceLock::new()));
    let mut requests = device_mounts(&pool());
    requests.push(mount("/", fs, false));
    requests.push(system_mount());
    requests.push(proc::process_mount(Arc::<Source>::clone(&source)));
    let process = Arc::new(OneProcess {
        files: FileTable::new(0),
        fs: context(requests),
    });
    assert!(source.0.set(Arc::clone(&process)).is_ok());
    process
}

fn link_text(context: &FsContext, path: &str) -> Vec<u8> {
    match context
        .walk(None, path.as_bytes(), How::NO_FOLLOW, &root())
        .unwrap()
    {
        Target::Found(at, _) => at.fs().read_link(at.id()).unwrap(),
        Target::Open(_) => panic!("{path} was followed"),
    }
}

#[test]
fn proc_shows_the_container_and_not_the_host() {
    let process = with_proc();
    let context = &process.fs;
    assert_eq!(link_text(context, "/proc/self"), b"7");
    assert_eq!(link_text(context, "/proc/self/exe"), b"/bin/prog");
    assert_eq!(contents(context, "/proc/self/exe").unwrap(), b"ELF");
    assert_eq!(contents(context, "/proc/7/cmdline").unwrap(), b"prog\0-x\0");
    assert!(
        contents(context, "/proc/self/stat")
            .unwrap()
            .starts_with(b"7 (a) b) R 1 7 7 0 -1 ")
    );
    let fields = String::from_utf8(contents(context, "/proc/self/stat").unwrap()).unwrap();
    assert_eq!(
        fields
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .count(),
        50
    );
    assert_eq!(
        contents(context, "/proc/sys/kernel/hostname").unwrap(),
        b"inside\n"
    );
    let mounts = String::from_utf8(contents(context, "/proc/mounts").unwrap()).unwrap();
    assert!(
        mounts.lines().any(|l| l == "proc /proc proc rw 0 0"),
        "{mounts}"
    );
    for absent in [
        "/proc/1",
        "/proc/07",
        "/proc/kcore",
        "/proc/sys/kernel/core_pattern",
        "/proc/self/mem",
        "/sys/kernel",
    ] {
        assert_eq!(
            look(context, absent, How::empty()).err(),
            Some(Errno::ENOENT),
            "{absent}"
        );
    }
    assert_eq!(
        open(context, "/proc/self/cmdline", raw::O_RDWR).err(),
        Some(Errno::EACCES)
    );
    let uuid = contents(context, "/proc/sys/kernel/random/uuid").unwrap();
    assert_eq!((uuid.len(), uuid[14]), (37, b'4'));
    assert_ne!(
        uuid,
        contents(context, "/proc/sys/kernel/random/uuid").unwrap()
    );
    assert!(
        contents(context, "/sys/devices/system/cpu/online")
            .unwrap()
            .starts_with(b"0")
    );
}

#[test]
fn descriptors_can_be_opened_again_through_proc() {
    let process = with_proc();
    let context = &process.fs;
    let file = open(context, "/tmp-file", raw::O_RDWR | raw::O_CREAT).unwrap();
    write(&file, b"text").unwrap();
    assert_eq!(process.files.insert(file, 0, false, 10), Ok(0));
    assert_eq!(names(context, "/proc/self/fd"), [".", "..", "0"]);
    assert_eq!(link_text(context, "/proc/self/fd/0"), b"/tmp-file");
    assert_eq!(contents(context, "/dev/stdin").unwrap(), b"text");
    assert_eq!(contents(context, "/dev/fd/0").unwrap(), b"text");
    assert_eq!(contents(context, "/dev/fd/1").err(), Some(Errno::ENOENT));
    let at = place(context, "/");
    at.fs().remove(at.id(), b"tmp-file", false).unwrap();
    assert_eq!(
        link_text(context, "/proc/self/fd/0"),
        b"/tmp-file (deleted)"
    );
    assert_eq!(contents(context, "/dev/stdin").unwrap(), b"text");
    let confined = context
        .walk(None, b"/proc/self/fd/0", How::NO_MAGICLINKS, &root())
        .map(|_| ());
    assert_eq!(confined, Err(Errno::ELOOP));
}

#[test]
fn devices_do_what_they_are_known_for() {
    let process = with_proc();
    let context = &process.fs;
    let read = |name: &str, into: &mut [u8]| {
        open(context, name, raw::O_RDWR)
            .unwrap()
            .read(platform_host::Into::Kernel(into), None)
    };
    let mut bytes = [1u8; 64];
    assert_eq!(read("/dev/null", &mut bytes), Ok(0));
    assert_eq!(read("/dev/zero", &mut bytes), Ok(64));
    assert_eq!(bytes, [0; 64]);
    assert_eq!(read("/dev/urandom", &mut bytes), Ok(64));
    assert_ne!(bytes, [0; 64]);
    assert_eq!(
        write(&open(context, "/dev/full", raw::O_WRONLY).unwrap(), b"x"),
        Err(Errno::ENOSPC)
    );
    assert_eq!(
        write(
            &open(
                context,
                "/dev/null",
                raw::O_WRONLY | raw::O_TRUNC | raw::O_CREAT
            )
            .unwrap(),
            b"x"
        ),
        Ok(1)
    );
    assert_eq!(
        open(context, "/dev/tty", raw::O_RDWR).err(),
        Some(Errno::ENXIO)
    );
    assert_eq!(
        look(context, "/dev/null", How::empty()).unwrap().special,
        attributes::device_number(1, 3)
    );
    assert!(open(context, "/dev/shm/x", raw::O_RDWR | raw::O_CREAT).is_ok());
    assert_eq!(
        open(context, "/dev/x", raw::O_RDWR | raw::O_CREAT).err(),
        Some(Errno::EROFS)
    );
}

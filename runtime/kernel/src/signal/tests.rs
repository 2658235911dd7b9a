//! Queues, actions, sending, and frames that are built and read back.

use super::deliver::{Leave, attend};
use super::*;
use crate::fs::{FsContext, Mounts};
use crate::task::{Container, Process, Thread};
use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use bannock_platform::upcall::{Entry, ExtendedState};
use bannock_platform::{Errno, Registers, user};
use linux_raw_sys::general as raw;

/// Extended state of 832 bytes (AVX) that is a plain buffer.
struct Buffer {
    bytes: Vec<u8>,
    initial: bool,
}

impl ExtendedState for Buffer {
    fn len(&self) -> usize {
        self.bytes.len()
    }
    fn features(&self) -> u64 {
        7
    }
    fn store(&mut self, address: usize) -> Result<(), Errno> {
        user::UserSlice::new(address, self.bytes.len())?.write(&self.bytes)
    }
    fn load(&mut self, address: usize) -> Result<(), Errno> {
        if address == 0 {
            self.initial = true;
            return Ok(());
        }
        user::UserSlice::new(address, self.bytes.len())?.read(&mut self.bytes)
    }
}

fn thread() -> Arc<Thread> {
    bannock_platform::hosted::install();
    let container = Container::new();
    let mounts = Mounts::new(Vec::new(), &container.cache).unwrap();
    let process = Process::new(7, container, FsContext::new(mounts));
    let thread = Arc::new(Thread::new(7, Arc::clone(&process)));
    process.add_thread(&thread);
    thread
}

fn signal(number: i32) -> Signal {
    Signal::new(number).unwrap()
}

fn handler(flags: u32, mask: u64) -> Action {
    Action::from_words([0x1000, u64::from(flags | raw::SA_RESTORER), 0x2000, mask])
}

/// Registers that all differ, with a stack pointer into `stack`.
fn registers(stack: &[u8]) -> Registers {
    Registers {
        r15: 15,
        r14: 14,
        r13: 13,
        r12: 12,
        rbp: 105,
        rbx: 103,
        r11: 0x246,
        r10: 10,
        r9: 9,
        r8: 8,
        rcx: 0x4001,
        rdx: 102,
        rsi: 106,
        rdi: 107,
        rax: 100,
        rip: 0x4001,
        rflags: 0x246 | 0x400,
        rsp: stack.as_ptr() as usize + stack.len() - 64,
    }
}

struct Program {
    registers: Registers,
    extended: Buffer,
    stack: Box<[u8]>,
}

impl Program {
    fn new() -> Self {
        let stack = vec![0; 64 << 10].into_boxed_slice();
        let extended = Buffer {
            bytes: vec![0xa5; 832],
            initial: false,
        };
        Self {
            registers: registers(&stack),
            extended,
            stack,
        }
    }

    fn entry(&mut self) -> Entry<'_> {
        Entry {
            registers: &mut self.registers,
            extended: &mut self.extended,
            exact: false,
        }
    }
}

#[test]
fn standard_signals_wait_once_and_real_time_signals_queue() {
    let mut queue = Queue::new();
    for _ in 0..3 {
        queue.push(Info::kernel(signal(10)), 8).unwrap();
        queue.push(Info::kernel(signal(34)), 8).unwrap();
    }
    assert_eq!(
        queue.take(SignalSet(u64::MAX)).unwrap().signal(),
        signal(10)
    );
    for _ in 0..3 {
        assert_eq!(
            queue.take(SignalSet(u64::MAX)).unwrap().signal(),
            signal(34)
        );
    }
    assert!(queue.take(SignalSet(u64::MAX)).is_none());
    assert!(queue.set().is_empty());
}

#[test]
fn real_time_signals_have_a_limit_and_standard_ones_do_not() {
    let mut queue = Queue::new();
    queue.push(Info::kernel(signal(40)), 1).unwrap();
    assert_eq!(queue.push(Info::kernel(signal(40)), 1), Err(Errno::EAGAIN));
    queue.push(Info::kernel(Signal::SEGV), 1).unwrap();
    // Synchronous signals come first, and blocked ones stay.
    assert_eq!(
        queue.take(SignalSet(u64::MAX)).unwrap().signal(),
        Signal::SEGV
    );
    assert!(queue.take(SignalSet::EMPTY.with(Signal::TERM)).is_none());
}

#[test]
fn kill_and_stop_cannot_be_masked() {
    let thread = thread();
    set_mask(&thread, SignalSet(u64::MAX));
    assert!(
        !thread.blocks(Signal::KILL) && !thread.blocks(Signal::STOP) && thread.blocks(Signal::TERM)
    );
}

#[test]
fn a_signal_number_is_1_to_64() {
    for bad in [i32::MIN, -1, 0, 65, i32::MAX] {
        assert_eq!(Signal::new(bad), Err(Errno::EINVAL));
    }
    assert!(Signal::new(64).is_ok());
}

#[test]
fn a_frame_is_laid_out_as_linux_does_and_brings_everything_back() {
    let thread = thread();
    let before = SignalSet::EMPTY.with(Signal::CHLD);
    set_mask(&thread, before);
    thread
        .process
        .signals
        .lock()
        .actions
        .set(signal(10), handler(raw::SA_SIGINFO, 1 << 11));
    send_to_thread(
        &thread,
        Info::from_process(signal(10), raw::SI_TKILL, 7, 1000),
    )
    .unwrap();
    let mut program = Program::new();
    let original = program.registers;
    let mut entry = program.entry();
    assert_eq!(attend(&thread, &mut entry, None), Leave::Resume);
    assert!(entry.exact);

    let now = program.registers;
    assert_eq!((now.rip, now.rdi, now.rax), (0x1000, 10, 0));
    assert_eq!(now.rsp % 16, 8, "as after a call");
    assert!(now.rsp < original.rsp - 128, "the red zone stays");
    assert_eq!(
        now.rflags & 0x400,
        0,
        "a handler starts with the direction flag clear"
    );
    let word = |at: usize| user::get::<u64>(at).unwrap();
    assert_eq!(word(now.rsp), 0x2000, "the restorer");
    assert_eq!(now.rdx, now.rsp + 8);
    assert_eq!(now.rsi, now.rsp + 8 + 304, "siginfo follows the context");
    // Offsets from <asm/sigcontext.h>, <asm/ucontext.h> and <asm-generic/siginfo.h>.
    assert_eq!(word(now.rdx + 40), 8, "r8");
    assert_eq!(word(now.rdx + 40 + 15 * 8), original.rsp as u64);
    assert_eq!(word(now.rdx + 40 + 16 * 8), original.rip as u64);
    assert_eq!(word(now.rdx + 296), before.0, "uc_sigmask");
    assert_eq!(word(now.rsi) as u32, 10);
    assert_eq!(word(now.rsi + 16), 7 | 1000 << 32);
    let state = word(now.rdx + 224) as usize;
    assert_eq!(state % 64, 0);
    assert_eq!(
        user::get::<[u32; 2]>(state + 464).unwrap(),
        [0x4650_5853, 832 + 4]
    );
    assert_eq!(user::get::<u32>(state + 832).unwrap(), 0x4650_5845);
    assert!(thread.blocks(signal(10)) && thread.blocks(signal(12)));

    // The handler changes what it may, and what it may not.
    program.extended.bytes.fill(0);
    program.registers = Registers {
        rsp: now.rsp + 8,
        ..Registers::default()
    };
    user::put(now.rdx + 40 + 17 * 8, &(original.rflags as u64 | 0x3000)).unwrap();
    sigreturn(&thread, &mut program.entry()).unwrap();
    assert_eq!(
        program.registers, original,
        "the I/O privilege level is not the program's to choose"
    );
    assert!(program.extended.bytes[512..].iter().all(|b| *b == 0xa5));
    assert_eq!(thread.signals.lock().mask, before);
}

#[test]
fn sigreturn_refuses_what_it_cannot_read() {
    let thread = thread();
    let mut program = Program::new();
    program.registers.rsp = 8;
    assert_eq!(sigreturn(&thread, &mut program.entry()), Err(Errno::EFAULT));
    // A frame whose extended state claims another size than the processor's.
    let base = program.stack.as_ptr() as usize + 4096;
    let state = (base + 8192) & !63;
    user::put(base + 232, &(state as u64)).unwrap();
    user::put(
        state + 464,
        &[0x4650_5853u32, 9999, 7, 0, 9995, 0, 0, 0, 0, 0, 0, 0],
    )
    .unwrap();
    program.registers.rsp = base + 8;
    assert_eq!(sigreturn(&thread, &mut program.entry()), Err(Errno::EINVAL));
}

#[test]
fn interrupted_calls_restart_as_the_action_says() {
    for (flags, after_handler, restarts) in [
        (raw::SA_RESTART, true, true),
        (0, true, false),
        (raw::SA_RESTART, false, false),
    ] {
        let thread = thread();
        thread
            .process
            .signals
            .lock()
            .actions
            .set(signal(10), handler(flags, 0));
        send_to_process(&thread.process, Info::kernel(signal(10))).unwrap();
        let mut program = Program::new();
        let rip = program.registers.rip;
        let left = attend(
            &thread,
            &mut program.entry(),
            Some(Restart {
                number: 61,
                after_handler,
            }),
        );
        assert_eq!(left, Leave::Resume);
        let context = program.registers.rdx + 40;
        let saved_rax = user::get::<u64>(context + 13 * 8).unwrap() as usize;
        let saved_rip = user::get::<u64>(context + 16 * 8).unwrap() as usize;
        let expected = if restarts {
            (61, rip - 2)
        } else {
            (Errno::EINTR.to_return(), rip)
        };
        assert_eq!((saved_rax, saved_rip), expected);
    }
}

#[test]
fn without_a_handler_the_call_is_made_again() {
    let thread = thread();
    // SIGCHLD is ignored by default: nothing happens at all.
    send_to_process(&thread.process, Info::kernel(Signal::CHLD)).unwrap();
    let mut program = Program::new();
    let restart = Some(Restart {
        number: 0,
        after_handler: false,
    });
    assert_eq!(
        attend(&thread, &mut program.entry(), restart),
        Leave::CallAgain
    );
}

#[test]
fn the_alternate_stack_is_used_only_where_asked_for() {
    let thread = thread();
    let alternate = vec![0u8; 16 << 10];
    let start = alternate.as_ptr() as usize;
    let words = [start as u64, 0, alternate.len() as u64];
    thread.signals.lock().alt_stack = AltStack::from_words(words).unwrap();
    assert_eq!(
        AltStack::from_words([start as u64, 0, 100]),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        AltStack::from_words([start as u64, 4, 8192]),
        Err(Errno::EINVAL)
    );
    for (flags, expected) in [(raw::SA_ONSTACK, true), (0, false)] {
        thread
            .process
            .signals
            .lock()
            .actions
            .set(signal(10), handler(flags | raw::SA_NODEFER, 0));
        send_to_thread(&thread, Info::kernel(signal(10))).unwrap();
        let mut program = Program::new();
        assert_eq!(attend(&thread, &mut program.entry(), None), Leave::Resume);
        let on = (start..start + alternate.len()).contains(&program.registers.rsp);
        assert_eq!(on, expected);
    }
}

#[test]
fn an_action_without_restorer_ends_in_a_segmentation_fault() {
    let thread = thread();
    thread
        .process
        .signals
        .lock()
        .actions
        .set(signal(10), Action::from_words([0x1000, 0, 0, 0]));
    send_to_thread(&thread, Info::kernel(signal(10))).unwrap();
    let mut program = Program::new();
    assert_eq!(attend(&thread, &mut program.entry(), None), Leave::Exit);
}

#[test]
fn a_forced_signal_cannot_be_blocked_or_ignored() {
    let thread = thread();
    set_mask(&thread, SignalSet(u64::MAX));
    thread
        .process
        .signals
        .lock()
        .actions
        .set(Signal::SEGV, handler(0, 0));
    force(&thread, Info::fault(Signal::SEGV, 1, 0x1234));
    let mut program = Program::new();
    assert_eq!(attend(&thread, &mut program.entry(), None), Leave::Exit);
}

#[test]
fn a_temporary_mask_comes_back_after_delivery() {
    let thread = thread();
    let outer = SignalSet::EMPTY.with(signal(10));
    set_mask(&thread, outer);
    thread
        .process
        .signals
        .lock()
        .actions
        .set(signal(10), handler(0, 0));
    send_to_process(&thread.process, Info::kernel(signal(10))).unwrap();
    assert!(deliverable(&thread).is_empty());
    let waited: Result<(), Errno> =
        with_mask(&thread, Some(SignalSet::EMPTY), || panic!("a signal waits"));
    assert_eq!(waited, Err(Errno::RESTART_NO_HANDLER));
    let mut program = Program::new();
    let restart = Some(Restart {
        number: 271,
        after_handler: false,
    });
    assert_eq!(
        attend(&thread, &mut program.entry(), restart),
        Leave::Resume
    );
    assert_eq!(
        user::get::<u64>(program.registers.rdx + 296).unwrap(),
        outer.0
    );
    // And at once where nothing interrupted.
    set_mask(&thread, outer);
    assert_eq!(with_mask(&thread, Some(SignalSet::EMPTY), || Ok(5)), Ok(5));
    assert_eq!(thread.signals.lock().mask, outer);
}

#[test]
fn a_signal_finds_the_thread_that_does_not_block_it() {
    let first = thread();
    let second = Arc::new(Thread::new(8, Arc::clone(&first.process)));
    first.process.add_thread(&second);
    set_mask(&first, SignalSet::EMPTY.with(signal(10)));
    first
        .process
        .signals
        .lock()
        .actions
        .set(signal(10), handler(0, 0));
    send_to_process(&first.process, Info::kernel(signal(10))).unwrap();
    assert!(!first.has_attention());
    assert!(second.has_attention());
}

#[test]
fn a_continue_that_comes_between_a_stop_and_its_effect_undoes_it() {
    let thread = thread();
    let process = &thread.process;
    for signal in [Signal::CONT, Signal::KILL] {
        let before = process.continues();
        send_to_process(process, Info::kernel(signal)).unwrap();
        process.stop_unless_continued(Signal::TSTP, before);
        assert!(!process.is_stopped());
    }
    // SIGKILL is taken first, even before signals of the thread's own.
    send_to_thread(&thread, Info::kernel(Signal::HUP)).unwrap();
    let all = SignalSet(u64::MAX);
    assert_eq!(take(&thread, all).unwrap().signal(), Signal::KILL);
    assert_eq!(take(&thread, all).unwrap().signal(), Signal::HUP);
}

#[test]
fn stop_and_continue_cancel_each_other() {
    let thread = thread();
    set_mask(&thread, SignalSet(u64::MAX));
    send_to_process(&thread.process, Info::kernel(Signal::TSTP)).unwrap();
    send_to_process(&thread.process, Info::kernel(Signal::CONT)).unwrap();
    assert!(
        !thread
            .process
            .signals
            .lock()
            .pending
            .set()
            .contains(Signal::TSTP)
    );
    thread.process.stop(Signal::STOP);
    assert!(thread.process.is_stopped());
    send_to_process(&thread.process, Info::kernel(Signal::KILL)).unwrap();
    assert!(
        !thread.process.is_stopped(),
        "a stopped process can be killed"
    );
}

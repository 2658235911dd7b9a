//! Register state of a program.

/// General-purpose registers of a program in the kernel, as on entry from `syscall`.
///
/// The layout is shared with the entry code of platforms; extended state (SSE, AVX …) stays with
/// the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// r15
    pub r15: usize,
    /// r14
    pub r14: usize,
    /// r13
    pub r13: usize,
    /// r12
    pub r12: usize,
    /// rbp
    pub rbp: usize,
    /// rbx
    pub rbx: usize,
    /// r11
    pub r11: usize,
    /// r10
    pub r10: usize,
    /// r9
    pub r9: usize,
    /// r8
    pub r8: usize,
    /// rcx
    pub rcx: usize,
    /// rdx
    pub rdx: usize,
    /// rsi
    pub rsi: usize,
    /// rdi
    pub rdi: usize,
    /// rax: system-call number on entry, result on return.
    pub rax: usize,
    /// Where the program goes on.
    pub rip: usize,
    /// Flags.
    pub rflags: usize,
    /// Stack pointer.
    pub rsp: usize,
}

impl Registers {
    /// System-call arguments, in order (System V AMD64 ABI, appendix A.2).
    #[must_use]
    pub const fn arguments(&self) -> [usize; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

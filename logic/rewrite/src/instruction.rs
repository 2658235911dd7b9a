//! Instructions, reduced to what decides whether they can move.

use alloc::vec::Vec;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use crate::table::Fixup;

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the next instruction, and the instruction can move.
    Next,
    /// To the next instruction or to a direct target, and the instruction can move.
    Conditional,
    /// To a direct target only, and the instruction can move.
    Jump,
    /// Away (`ret`, `ud2`), and the instruction can move.
    Away,
    /// `syscall` without prefixes.
    Syscall,
    /// Through a register or memory.
    Indirect,
    /// Anything else; the instruction cannot move.
    Fixed,
}

/// An instruction at an address of the file's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insn {
    pub(crate) at: u64,
    pub(crate) len: u8,
    pub(crate) flow: Flow,
    pub(crate) fixup: Fixup,
    /// Target of a direct branch or call.
    pub(crate) target: Option<u64>,
    /// Whether it is `mov eax, imm32` in five bytes.
    pub(crate) is_mov_eax: bool,
    /// Whether it does nothing and stands between functions or before aligned labels.
    pub(crate) is_padding: bool,
    /// Whether it gives `rax` a value, as code does before a system call.
    pub(crate) sets_rax: bool,
    /// Whether it looks at `rax`, as code does after a system call.
    pub(crate) uses_rax: bool,
    /// Whether the bytes are no instruction at all.
    pub(crate) is_invalid: bool,
}

impl Insn {
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.len.into())
    }
}

/// Decodes all of `code`, the bytes at address `at`, in order; the last instruction may be cut off and is
/// then invalid.
pub(crate) fn decode(code: &[u8], at: u64, into: &mut Vec<Insn>) {
    into.clear();
    let mut decoder = Decoder::with_ip(64, code, at, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let start = usize::try_from(instruction.ip().wrapping_sub(at)).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(instruction.len())
            .and_then(|end| code.get(start..end))
            .unwrap_or_default();
        let displacement = decoder.get_constant_offsets(&instruction);
        let displacement = (displacement.displacement_size() == 4)
            .then(|| displacement.displacement_offset() as u8);
        into.push(reduce(&instruction, bytes, displacement));
    }
}

fn reduce(instruction: &Instruction, bytes: &[u8], displacement: Option<u8>) -> Insn {
    let code = instruction.code();
    let near = instruction.op0_kind() == OpKind::NearBranch64 && instruction.op_count() == 1;
    let (flow, fixup) = movement(instruction, bytes, displacement);
    let is_rax = |register| matches!(register, Register::RAX | Register::EAX);
    Insn {
        at: instruction.ip(),
        len: instruction.len() as u8,
        flow,
        fixup,
        target: near.then(|| instruction.near_branch_target()),
        is_mov_eax: bytes.len() == 5 && bytes.first() == Some(&0xb8) && code == Code::Mov_r32_imm32,
        is_padding: matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3),
        sets_rax: matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Xor)
            && is_rax(instruction.op0_register()),
        uses_rax: matches!(
            instruction.mnemonic(),
            Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Mov
        ) && (is_rax(instruction.op1_register())
            || (instruction.mnemonic() != Mnemonic::Mov && is_rax(instruction.op0_register()))),
        is_invalid: instruction.is_invalid(),
    }
}

fn movement(instruction: &Instruction, bytes: &[u8], displacement: Option<u8>) -> (Flow, Fixup) {
    if instruction.is_invalid() {
        return (Flow::Fixed, Fixup::None);
    }
    let fixup = if instruction.is_ip_rel_memory_operand() {
        match (instruction.memory_base(), displacement) {
            (Register::RIP, Some(displacement)) => Fixup::RipRelative { displacement },
            // An EIP-relative operand would wrap at 4 GiB.
            _ => return (Flow::Fixed, Fixup::None),
        }
    } else {
        Fixup::None
    };
    match instruction.flow_control() {
        FlowControl::Next => (Flow::Next, fixup),
        FlowControl::ConditionalBranch => match bytes {
            [0x70..=0x7f, _] | [0x0f, 0x80..=0x8f, _, _, _, _] => {
                (Flow::Conditional, Fixup::ConditionalJump)
            }
            // `loop` and `jrcxz` have no rel32 form.
            _ => (Flow::Fixed, Fixup::None),
        },
        FlowControl::UnconditionalBranch => match bytes {
            [0xeb, _] | [0xe9, _, _, _, _] => (Flow::Jump, Fixup::Jump),
            _ => (Flow::Fixed, Fixup::None),
        },
        FlowControl::Return if instruction.code() == Code::Retnq => (Flow::Away, Fixup::None),
        FlowControl::Exception if instruction.code() == Code::Ud2 => (Flow::Away, Fixup::None),
        FlowControl::IndirectBranch => (Flow::Indirect, Fixup::None),
        FlowControl::Call if bytes == [0x0f, 0x05] => (Flow::Syscall, Fixup::None),
        _ => (Flow::Fixed, Fixup::None),
    }
}

//! Symbols that a freestanding program must define itself.
//!
//! `rep movsb` and `rep stosb` run at full width on processors with ERMS (all that have FSGSBASE,
//! which the platform requires anyway), without touching vector registers.

core::arch::global_asm!(
    r#"
    .section .text.bannock_mem, "ax"
    .globl memcpy, memmove, memset, memcmp, bcmp, strlen, rust_eh_personality, _Unwind_Resume
    .p2align 4
memcpy:
    mov rax, rdi
    mov rcx, rdx
    rep movsb
    ret
    .p2align 4
memmove:
    mov rax, rdi
    mov rcx, rdx
    mov r8, rdi
    sub r8, rsi
    cmp r8, rdx
    jb 1f
    rep movsb
    ret
1:  lea rsi, [rsi + rdx - 1]
    lea rdi, [rdi + rdx - 1]
    std
    rep movsb
    cld
    ret
    .p2align 4
memset:
    mov r8, rdi
    mov eax, esi
    mov rcx, rdx
    rep stosb
    mov rax, r8
    ret
    .p2align 4
bcmp:
memcmp:
    xor ecx, ecx
1:  cmp rcx, rdx
    je 2f
    movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    inc rcx
    sub eax, r8d
    je 1b
    ret
2:  xor eax, eax
    ret
    .p2align 4
strlen:
    xor eax, eax
1:  cmp byte ptr [rdi + rax], 0
    je 2f
    inc rax
    jmp 1b
2:  ret
    # Referred to by the prebuilt `core`, never reached: panics abort.
rust_eh_personality:
_Unwind_Resume:
    ud2
"#
);

# Snippets around system calls, one per kind of window, and what a test needs to call them.
# Registers at the call are taken from a block of sixteen quadwords and put back into it:
# rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15 rflags

    .data
    .balign 8
    .globl entered, slot_rcx
entered:  .quad 0
slot_rcx: .quad 0
callee:   .quad 0
block:    .quad 0
nr_getppid: .long 110
message:  .ascii "hello, windows"

    .text
# The entry point of this test: makes the call that `syscall` would have made, counts it, and continues
# at rcx. Changes no flag and only the registers that `syscall` changes.
    .globl entry_point
    .type entry_point, @function
entry_point:
    movq %rcx, slot_rcx(%rip)
    movq entered(%rip), %r11
    leaq 1(%r11), %r11
    movq %r11, entered(%rip)
    syscall
    movq slot_rcx(%rip), %rcx
    jmpq *%rcx

# void call_with(void (*function)(void), uint64_t block[16])
    .globl call_with
    .type call_with, @function
call_with:
    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rdi, callee(%rip)
    movq %rsi, block(%rip)
    movq %rsi, %rax
    pushq 120(%rax)
    movq 8(%rax), %rbx;   movq 16(%rax), %rcx;  movq 24(%rax), %rdx
    movq 32(%rax), %rsi;  movq 40(%rax), %rdi;  movq 48(%rax), %rbp
    movq 56(%rax), %r8;   movq 64(%rax), %r9;   movq 72(%rax), %r10
    movq 80(%rax), %r11;  movq 88(%rax), %r12;  movq 96(%rax), %r13
    movq 104(%rax), %r14; movq 112(%rax), %r15; movq (%rax), %rax
    popfq
    callq *callee(%rip)
    pushfq
    pushq %rax
    movq block(%rip), %rax
    movq %rbx, 8(%rax);   movq %rcx, 16(%rax);  movq %rdx, 24(%rax)
    movq %rsi, 32(%rax);  movq %rdi, 40(%rax);  movq %rbp, 48(%rax)
    movq %r8, 56(%rax);   movq %r9, 64(%rax);   movq %r10, 72(%rax)
    movq %r11, 80(%rax);  movq %r12, 88(%rax);  movq %r13, 96(%rax)
    movq %r14, 104(%rax); movq %r15, 112(%rax)
    popq (%rax)
    popq 120(%rax)
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx
    ret

    .macro snippet name
    .balign 16
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
    .endm
    .macro finish name
    .cfi_endproc
    .size \name, . - \name
    .endm

snippet mov_eax
    movl $110, %eax
mov_eax_site: syscall
    ret
finish mov_eax

# A RIP-relative load moves.
snippet rip_load
    movl nr_getppid(%rip), %eax
rip_load_site: syscall
    ret
finish rip_load

# A RIP-relative address and short instructions move; control enters at the window's start.
snippet rip_address
    jmp 1f
    ud2
1:  leaq message(%rip), %rsi
    movl %edi, %eax
rip_address_site: syscall
    ret
finish rip_address

# Arithmetic before: its flags must be those that the code after the call sees.
snippet flags_before
    movl %edi, %eax
    cmpq $77, %rbx
flags_before_site: syscall
    sete %dl
    setb %sil
    ret
finish flags_before

# The call and a conditional jump, a backward loop and a RIP-relative load after it move.
snippet jump_after
    jmp 1f
    ud2
1:  movl %edi, %eax
2:
jump_after_site: syscall
    testl %ebx, %ebx
    jne 3f
    movl $1, %edx
    ret
3:  movl $2, %edx
    ret
finish jump_after

snippet jcc_directly_after
    pushq %rbp
    popq %rbp
    movl $0, %edx
    jmp 1f
1:
jcc_directly_after_site: syscall
    jc 2f
    movl nr_getppid(%rip), %edx
    ret
2:  movl $2, %edx
    ret
finish jcc_directly_after

# What follows never falls through; padding fills the window.
snippet return_after
    jmp 1f
    ud2
1:
return_after_site: syscall
    ret
    nop
    nop
finish return_after

# An unconditional short jump moves.
snippet jump_away_after
    jmp 1f
2:  leaq 5(%rax), %rdx
    ret
1:
jump_away_after_site: syscall
    nop
    jmp 2b
finish jump_away_after

# A branch enters between the instructions before and the one after: must stay as it is.
snippet entered_inside
    movl $110, %eax
    testl %ebx, %ebx
    je 1f
    movl $39, %eax
    movl %eax, %eax
1:  nop
entered_inside_site: syscall
2:  nop
    decl %ebx
    jns 2b
    ret
finish entered_inside

# A far jump out of another function enters the window.
snippet entered_from_afar
    movl $110, %ecx
    movl %ecx, %eax
middle: xchgl %ecx, %edx
    leal (%rdx), %ecx
entered_from_afar_site: syscall
    call nothing
    ret
finish entered_from_afar
snippet afar
    movl $110, %eax
    {disp32} jmp middle
finish afar
snippet nothing
    ret
finish nothing

# Looks like rt_sigreturn: must stay as it is; never called.
snippet signal_return
    movq $15, %rax
signal_return_site: syscall
finish signal_return

    .section .note.GNU-stack,"",@progbits

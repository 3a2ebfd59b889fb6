# The first instructions in M-mode, the switch between kernel stacks, and the page that lies in every table.

    .section .text.entry
    .globl _entry
_entry:
    la sp, boot_stacks
    csrr a0, mhartid
    addi a0, a0, 1
    slli a0, a0, 12
    add sp, sp, a0
    call start
1:  j 1b

# For traps in M-mode: the timer, which is passed on. mscratch: room for two registers, where the
# next time is set, how far it is, room for a third one, and where the time is.
    .section .text
    .globl timervec
    .balign 4
timervec:
    csrrw a0, mscratch, a0
    sd a1, 0(a0)
    sd a2, 8(a0)
    ld a1, 16(a0)
    sd a3, 32(a0)
    ld a3, 40(a0)
    ld a3, 0(a3)
    ld a2, 24(a0)
    add a3, a3, a2
    sd a3, 0(a1)
    li a1, 2
    csrw sip, a1
    ld a3, 32(a0)
    ld a2, 8(a0)
    ld a1, 0(a0)
    csrrw a0, mscratch, a0
    mret

    .altmacro
    .macro s_registers what, base
        .set n, 0
        .rept 12
            s_register \what, \base, %n
            .set n, n + 1
        .endr
    .endm
    .macro s_register what, base, number
        \what s\number, 16 + 8 * \number(\base)
    .endm

    .globl swtch
swtch:
    sd ra, 0(a0)
    sd sp, 8(a0)
    s_registers sd, a0
    ld ra, 0(a1)
    ld sp, 8(a1)
    s_registers ld, a1
    ret

# Traps in the kernel: an interrupt while it waits for work.
    .globl kernelvec
    .balign 4
kernelvec:
    addi sp, sp, -256
    .macro caller_saved what
        \what ra, 0(sp)
        \what t0, 8(sp)
        \what t1, 16(sp)
        \what t2, 24(sp)
        \what a0, 32(sp)
        \what a1, 40(sp)
        \what a2, 48(sp)
        \what a3, 56(sp)
        \what a4, 64(sp)
        \what a5, 72(sp)
        \what a6, 80(sp)
        \what a7, 88(sp)
        \what t3, 96(sp)
        \what t4, 104(sp)
        \what t5, 112(sp)
        \what t6, 120(sp)
    .endm
    caller_saved sd
    call kerneltrap
    caller_saved ld
    addi sp, sp, 256
    sret

    .macro x_registers what, base, first
        .set n, \first
        .rept 32 - \first
            x_register \what, \base, %n
            .set n, n + 1
        .endr
    .endm
    .macro x_register what, base, number
        .if \number != 10
            \what x\number, 32 + 8 * \number(\base)
        .endif
    .endm

# a trap frame: satp, sp, handler and hart of the kernel, epc between them; then x1 to x31.
    .section .trampoline, "ax"
    .globl uservec, userret
    .balign 4
uservec:
    csrw sscratch, a0
    li a0, 0x3fffffe000
    x_registers sd, a0, 1
    csrr t0, sscratch
    sd t0, 112(a0)
    ld sp, 8(a0)
    ld tp, 32(a0)
    ld t0, 16(a0)
    ld t1, 0(a0)
    sfence.vma
    csrw satp, t1
    sfence.vma
    jr t0

userret:
    sfence.vma
    csrw satp, a0
    sfence.vma
    li a0, 0x3fffffe000
    x_registers ld, a0, 1
    ld a0, 112(a0)
    sret

# The first program, in one piece: it makes children that end, sleep, and work.
    .section .data
    .globl init_start, init_end
    .macro call number
        li a7, \number
        ecall
    .endm
init_start:
    li s0, 3
1:  call 1                  # fork
    beqz a0, child
    addi s0, s0, -1
    bnez s0, 1b
    li s1, 5
2:  call 24                 # yields
    call 99
    addi s1, s1, -1
    bnez s1, 2b
3:  li a0, 0
    call 3                  # wait
    bgez a0, 3b
    call 99
    li a0, 0
    call 2
child:
    li t0, 3
    bne s0, t0, 4f
    li a0, 33
    call 2                  # exit
4:  li t0, 2
    bne s0, t0, 5f
    li a0, 3
    call 13                 # sleeps for so many ticks
    call 99
    li a0, -22
    call 2
5:  li s1, 5
6:  li t0, 1000000
7:  addi t0, t0, -1
    bnez t0, 7b
    call 99
    addi s1, s1, -1
    bnez s1, 6b
    li a0, 11
    call 2
init_end:

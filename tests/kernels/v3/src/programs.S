# For programs in U-mode.
    .macro syscall number
        li a7, \number
        ecall
    .endm

    .macro say text, size
        li a0, 1
        lla a1, \text
        li a2, \size
        syscall 64
    .endm

    .macro spin count
        li t0, \count
    again\@:
        addi t0, t0, -1
        bnez t0, again\@
    .endm


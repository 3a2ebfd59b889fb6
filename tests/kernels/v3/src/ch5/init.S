# The first process: children that end at once, end late, or leave a child of their own behind.
    .section .data
    .balign 8
    .globl app_0_start, app_0_end
app_0_start:
    li s0, 3
1:  syscall 220
    beqz a0, child
    addi s0, s0, -1
    bnez s0, 1b
    li s1, 4
2:  syscall 124
    syscall 2000
    addi s1, s1, -1
    bnez s1, 2b
3:  li a0, -1
    syscall 260
    li t0, -1
    beq a0, t0, nobody
    li t0, -2
    bne a0, t0, 3b
    syscall 124
    j 3b
nobody:
    syscall 2000
    li a0, 0
    syscall 93
child:
    li t0, 3
    bne s0, t0, 4f
    say ends, 8
    li a0, 33
    syscall 93
4:  li t0, 2
    bne s0, t0, 5f
    syscall 220
    beqz a0, 5f
    syscall 2000
    li a0, -22
    syscall 93
5:  li s1, 3
6:  spin 1000000
    syscall 2000
    addi s1, s1, -1
    bnez s1, 6b
    li a0, 11
    syscall 93
ends: .ascii "app ends"
    .balign 8
app_0_end:

# Programs for U-mode, each in one piece that runs wherever it is put.
    .section .data
    .globl app_0_start, app_1_start, app_2_start, app_3_start, app_3_end
    .balign 8
# Gives the hart away three times.
app_0_start:
    li s0, 3
1:  say yields, 10
    syscall 124
    syscall 2000
    addi s0, s0, -1
    bnez s0, 1b
    li a0, 0
    syscall 93
yields: .ascii "app yields"
    .balign 8
# Works for some time slices.
app_1_start:
    li s0, 4
1:  spin 1000000
    syscall 2000
    addi s0, s0, -1
    bnez s0, 1b
    li a0, 3
    syscall 93
    .balign 8
# Ends early.
app_2_start:
    syscall 2000
    say ends, 8
    li a0, -7
    syscall 93
ends: .ascii "app ends"
    .balign 8
# Yields for ever until it is alone with app 1.
app_3_start:
    li s0, 12
1:  syscall 124
    addi s0, s0, -1
    bnez s0, 1b
    syscall 2000
    li a0, 5
    syscall 93
    .balign 8
app_3_end:

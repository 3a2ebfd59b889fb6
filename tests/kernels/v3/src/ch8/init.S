# Threads that wait for each other: on a semaphore, a mutex, a condition and the clock; and a child process.
    .section .data
    .balign 8

    .macro thread entry, argument
        lla a0, \entry
        li a1, \argument
        syscall 1000
    .endm

    .globl app_0_start, app_0_end
app_0_start:
    syscall 220
    beqz a0, child
    li a0, 0
    syscall 1020            # semaphore 0, nothing in it
    syscall 1010            # mutex 0
    syscall 1030            # condition 0
    thread taker, 1
    thread owner, 2
    thread locker, 3
    thread waiter, 4
    thread brief, 5
    li s1, 6
1:  syscall 124
    syscall 2000
    addi s1, s1, -1
    bnez s1, 1b
    li a0, 0
    syscall 1031            # the waiter goes on, and waits for the mutex
    syscall 2000
    li a0, 0
    syscall 1021            # the taker goes on
    li s1, 1
2:  mv a0, s1
    syscall 1002            # waits for a thread's end
    li t0, -2
    bne a0, t0, 3f
    li a0, 0
    syscall 1031            # again, if nobody waited then
    syscall 124
    j 2b
3:  addi s1, s1, 1
    li t0, 6
    blt s1, t0, 2b
    syscall 2000
    li a0, -1
    syscall 260
    syscall 2000
    li a0, 0
    syscall 93
child:
    spin 2000000
    syscall 2000
    li a0, 9
    syscall 93
taker:
    li a0, 0
    syscall 1022
    syscall 2000
    li a0, 21
    syscall 93
owner:
    li a0, 0
    syscall 1011
    li a0, 40
    syscall 101             # sleeps with the mutex
    syscall 2000
    li a0, 0
    syscall 1012
    li a0, 22
    syscall 93
locker:
    li a0, 0
    syscall 1011
    syscall 2000
    li a0, 0
    syscall 1012
    li a0, 23
    syscall 93
waiter:
    li a0, 0
    li a1, 0
    syscall 1032
    syscall 2000
    li a0, 0
    syscall 1012
    li a0, 24
    syscall 93
brief:
    mv s0, a0               # its argument
    mv a0, s0
    syscall 93
    .balign 8
app_0_end:

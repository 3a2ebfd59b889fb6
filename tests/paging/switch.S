# A kernel that does nothing but to switch to the page table that `satp` below names, and to load a byte from each of
# the addresses in `probes`. Beside each byte, `results` has scause + 1 where the load trapped, else 0. Whoever boots
# it writes the three, and the tables, into memory before it starts; it is found at the same address before and after.

    .text               # nothing is .globl: then no place is left to a linker, which there is none
_start:
    la t0, trap
    csrw stvec, t0
    la t0, satp
    ld t1, 0(t0)
    sfence.vma
    csrw satp, t1
    sfence.vma
    la s0, probes
    la s1, results
    la t0, count
    ld s2, 0(t0)
next:
    beqz s2, done
    ld s3, 0(s0)
    li s4, 0                # scause + 1, set by the trap
    li s5, 0
    lbu s5, 0(s3)
    sd s5, 0(s1)
    sd s4, 8(s1)
    addi s0, s0, 8
    addi s1, s1, 16
    addi s2, s2, -1
    j next
done:
    wfi
    j done

    .balign 4
trap:
    csrr s4, scause
    addi s4, s4, 1
    csrr t0, sepc
    addi t0, t0, 4          # the load has four bytes
    csrw sepc, t0
    sret

    .balign 4096
data:
satp:
    .quad 0
count:
    .quad 0
probes:
    .zero 8 * 256
results:
    .zero 16 * 256
end:

# The first instructions. The firmware enters here at the physical address 0x80200000 with paging off,
# a0 = hart id and a1 = physical address of the device tree, while every symbol has a high-half address:
# until satp is written, only differences from the program counter or from KERNEL_MAP_OFFSET are right.

    .cfi_sections .debug_frame

    .section .text.entry, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .cfi_startproc
    # There is no caller: a debugger's backtrace ends here.
    .cfi_undefined ra

    # satp = Sv39 (mode 8), with the physical page number of boot_page_table.
    lui     t0, %hi(boot_page_table)
    li      t1, 0xffffffff00000000
    sub     t0, t0, t1
    srli    t0, t0, 12
    li      t1, (8 << 60)
    or      t0, t0, t1
    csrw    satp, t0
    sfence.vma

    # The table also maps this code where it runs now, so the jump to the high half can be an ordinary one.
    lui     t0, %hi(high_half)
    addi    t0, t0, %lo(high_half)
    jr      t0
high_half:

    # A raw image carries no .bss, and after a reset the memory holds what was there before.
    la      t0, bss_start
    la      t1, kernel_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:
    la      sp, boot_stack_top
    mv      s0, zero
    call    rust_main
    # rust_main does not return; trap if it ever does.
    unimp
    .cfi_endproc
    .size _start, . - _start

    .section .bss.stack, "aw", @nobits
    .balign 16
    .globl boot_stack
boot_stack:
    .space 4096 * 16
    .globl boot_stack_top
boot_stack_top:

    # One page of three gigapages; 0xcf = D A X W R V.
    .section .data, "aw", @progbits
    .balign 4096
    .globl boot_page_table
    .type boot_page_table, @object
boot_page_table:
    .quad 0
    .quad 0
    # entry 2: 0x8000_0000 -> 0x8000_0000, for the instructions between satp and the jump
    .quad (0x80000 << 10) | 0xcf
    .zero 505 * 8
    # entry 508: 0xffff_ffff_0000_0000 -> 0x0000_0000, the devices; readable and writable only
    .quad 0xc7
    .quad 0
    # entry 510: 0xffff_ffff_8000_0000 -> 0x8000_0000, the kernel and the memory after it
    .quad (0x80000 << 10) | 0xcf
    .quad 0
    .size boot_page_table, . - boot_page_table

# Entry to and return from a trap.
#
# Outside of a trap sscratch holds the top of the kernel stack; __interrupt swaps it with sp, pushes a
# Context (34 words: x0..x31, sstatus, sepc) and calls
#     handle_interrupt(context: *mut Context, scause, stval) -> *mut Context
# then falls into __restore, which resumes the Context given in a0: the same one, or another thread's.

.altmacro
.set    REG_SIZE, 8
.set    CONTEXT_SIZE, 34

.macro SAVE reg, offset
    sd  \reg, \offset*8(sp)
.endm

.macro SAVE_N n
    SAVE  x\n, \n
.endm

.macro LOAD reg, offset
    ld  \reg, \offset*8(sp)
.endm

.macro LOAD_N n
    LOAD  x\n, \n
.endm

    .section .text
    .globl __interrupt
    .type __interrupt, @function
    # stvec keeps its mode in the two lowest bits of the address.
    .balign 4
__interrupt:
    csrrw   sp, sscratch, sp
.Linterrupt_swapped:
    addi    sp, sp, -CONTEXT_SIZE*REG_SIZE
.Linterrupt_pushed:
    # x0 has its word too, so that x[n] is at word n; nothing else ever writes it.
    SAVE    x0, 0
    SAVE    x1, 1
    .set    n, 3
    .rept   29
        SAVE_N %n
        .set    n, n + 1
    .endr
.Linterrupt_x_saved:
    csrr    t0, sscratch
    csrr    t1, sstatus
    csrr    t2, sepc
    SAVE    t0, 2
    SAVE    t1, 32
    SAVE    t2, 33
.Linterrupt_saved:
    mv      a0, sp
    csrr    a1, scause
    csrr    a2, stval
    call    handle_interrupt
    # The return address is looked up as it is in a signal frame, so it has to belong to __interrupt.
    nop
    .size __interrupt, . - __interrupt

    .globl __restore
    .type __restore, @function
__restore:
    mv      sp, a0
.Lrestore_based_on_sp:
    LOAD    t0, 32
    LOAD    t1, 33
    csrw    sstatus, t0
    csrw    sepc, t1
    # The Context lies at the top of the kernel stack, so this is where the next one goes.
    addi    t0, sp, CONTEXT_SIZE*REG_SIZE
    csrw    sscratch, t0

    LOAD    x1, 1
    .set    n, 3
    .rept   29
        LOAD_N %n
        .set    n, n + 1
    .endr
    LOAD    x2, 2
.Lrestore_done:
    sret
.Lrestore_end:
    .size __restore, . - __restore

# Call frame information (DWARF, section 6.4), so that a debugger can unwind from the handler into the
# interrupted code, with all of its registers.
#
# It is written by hand because the two things that matter cannot be said with .cfi directives: LLVM makes one
# entry for all functions of .debug_frame, and it drops "signal frame" and the return column there.
#   * The caller's pc is not in ra, which is live in the interrupted code, but in column 64 (the RISC-V psABI's
#     alternate return column): first in the CSR sepc, then in the Context.
#   * A signal frame may have its caller on any other stack, and the caller's pc is an instruction that is still
#     to be executed, not one after a call.
# CSR n is DWARF register 4096 + n.

.set    DWARF_SP, 2
.set    DWARF_A0, 10
.set    DWARF_RETURN, 64
.set    DWARF_SSCRATCH, 4096 + 0x140
.set    DWARF_SEPC, 4096 + 0x141

.macro CFA_ADVANCE from, to         # DW_CFA_advance_loc4
    .byte   0x04
    .4byte  \to - \from
.endm

.macro CFA_IS reg, offset           # DW_CFA_def_cfa
    .byte   0x0c
    .uleb128 \reg
    .uleb128 \offset
.endm

.macro CFA_IN_REGISTER reg, where   # DW_CFA_register
    .byte   0x09
    .uleb128 \reg
    .uleb128 \where
.endm

.macro CFA_AT reg, words            # DW_CFA_offset_extended: that many words below the CFA
    .byte   0x05
    .uleb128 \reg
    .uleb128 \words
.endm

.macro CFA_X_IN_CONTEXT n
    CFA_AT \n, CONTEXT_SIZE-\n
.endm

.macro CFA_X_SAVED                  # all but sp
    CFA_X_IN_CONTEXT 1
    .set    n, 3
    .rept   29
        CFA_X_IN_CONTEXT %n
        .set    n, n + 1
    .endr
.endm

.macro CFA_SP_AND_PC_SAVED
    CFA_X_IN_CONTEXT DWARF_SP
    CFA_AT  DWARF_RETURN, 1
.endm

    .section .debug_frame, "", @progbits
    .balign 8
.Lcie:
    .4byte  .Lcie_end - .Lcie_start
.Lcie_start:
    .4byte  0xffffffff              # this is a CIE
    .byte   3                       # its version
    .asciz  "zS"                    # augmentation: a length follows; signal frame
    .uleb128 1                      # code alignment
    .sleb128 -REG_SIZE              # data alignment
    .uleb128 DWARF_RETURN
    .uleb128 0                      # length of the augmentation
    # At the first instruction nothing has changed yet but the pc.
    CFA_IS  DWARF_SP, 0
    CFA_IN_REGISTER DWARF_RETURN, DWARF_SEPC
    .balign 8
.Lcie_end:

    .4byte  .Linterrupt_fde_end - .Linterrupt_fde_start
.Linterrupt_fde_start:
    .4byte  .Lcie
    .8byte  __interrupt
    .8byte  __restore - __interrupt
    .uleb128 0
    CFA_ADVANCE __interrupt, .Linterrupt_swapped
    CFA_IN_REGISTER DWARF_SP, DWARF_SSCRATCH
    CFA_ADVANCE .Linterrupt_swapped, .Linterrupt_pushed
    CFA_IS  DWARF_SP, CONTEXT_SIZE*REG_SIZE
    CFA_ADVANCE .Linterrupt_pushed, .Linterrupt_x_saved
    CFA_X_SAVED
    CFA_ADVANCE .Linterrupt_x_saved, .Linterrupt_saved
    CFA_SP_AND_PC_SAVED
    .balign 8
.Linterrupt_fde_end:

    .4byte  .Lrestore_fde_end - .Lrestore_fde_start
.Lrestore_fde_start:
    .4byte  .Lcie
    .8byte  __restore
    .8byte  .Lrestore_end - __restore
    .uleb128 0
    .byte   0x0a                    # DW_CFA_remember_state
    CFA_IS  DWARF_A0, CONTEXT_SIZE*REG_SIZE
    CFA_X_SAVED
    CFA_SP_AND_PC_SAVED
    CFA_ADVANCE __restore, .Lrestore_based_on_sp
    CFA_IS  DWARF_SP, CONTEXT_SIZE*REG_SIZE
    CFA_ADVANCE .Lrestore_based_on_sp, .Lrestore_done
    .byte   0x0b                    # DW_CFA_restore_state
    .balign 8
.Lrestore_fde_end:

    .section .text

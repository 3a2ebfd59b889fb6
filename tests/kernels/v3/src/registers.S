# All general registers but x0 and sp: `each_x sd, sp, 3` saves them from x3 on, at their places behind sp.
    .altmacro
    .macro one_x what, base, number
        \what x\number, \number * 8(\base)
    .endm
    .macro each_x what, base, first
        .set n, \first
        .rept 32 - \first
            one_x \what, \base, %n
            .set n, n + 1
        .endr
    .endm

// A kernel in the shape of xv6-riscv: the same structures and way into a trap, nothing else.

typedef unsigned char uchar;
typedef unsigned int uint;
typedef unsigned long uint64;
typedef uint64 pte_t;
typedef uint64 *pagetable_t;

enum { NCPU = 8, NPROC = 16, PGSIZE = 4096, MAX_ACCOUNTS = 24 };
#define KERNBASE 0x80000000UL
#define PHYSTOP (KERNBASE + 4 * 1024 * 1024)
#define MAXVA (1UL << 38)
#define TRAMPOLINE (MAXVA - PGSIZE)
#define TRAPFRAME (TRAMPOLINE - PGSIZE)
#define KSTACK(p) (TRAMPOLINE - ((p) + 1) * 2 * PGSIZE)
#define UART 0x10000000UL
#define FINISHER 0x100000UL
#define CLINT 0x2000000UL
#define INTERVAL 100000
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16 };

#define read_csr(name) ({ uint64 value; __asm__ volatile("csrr %0, " #name : "=r"(value)); value; })
#define write_csr(name, value) __asm__ volatile("csrw " #name ", %0" : : "r"((uint64)(value)))

struct spinlock {
    uint locked;
    char *name;
    struct cpu *cpu;
};

struct context {
    uint64 ra;
    uint64 sp;
    uint64 s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
};

struct cpu {
    struct proc *proc;
    struct context context;
    int noff;
    int intena;
};

struct trapframe {
    uint64 kernel_satp;
    uint64 kernel_sp;
    uint64 kernel_trap;
    uint64 epc;
    uint64 kernel_hartid;
    uint64 ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
    uint64 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6;
};

enum procstate { UNUSED, USED, SLEEPING, RUNNABLE, RUNNING, ZOMBIE };

struct proc {
    struct spinlock lock;
#ifdef MOVED
    char name[16];
    struct trapframe *trapframe;
    int priority_not_used;
#endif
    enum procstate state;
    void *chan;
    int killed;
    int xstate;
    int pid;
    struct proc *parent;
    uint64 kstack;
    uint64 sz;
    pagetable_t pagetable;
#ifndef MOVED
    struct trapframe *trapframe;
#endif
    struct context context;
#ifndef MOVED
    char name[16];
#endif
};

struct run {
    struct run *next;
};

struct {
    struct spinlock lock;
    struct run *freelist;
} kmem;

struct cpu cpus[NCPU];
struct proc proc[NPROC];
struct proc *initproc;
struct spinlock wait_lock;
struct spinlock big_lock;
uint ticks;
pagetable_t kernel_pagetable;
int nextpid = 1;
__attribute__((aligned(4096))) char boot_stacks[PGSIZE * NCPU];
uint64 timer_scratch[NCPU][6];
static volatile int started;

extern char etext[], end[], trampoline[], uservec[], userret[], init_start[], init_end[];
void timervec(void);
void kernelvec(void);
void swtch(struct context *from, struct context *to);

static void put(char letter) {
    *(volatile uchar *)UART = (uchar)letter;
}

static void say(const char *text) {
    while (*text)
        put(*text++);
}

static void say_number(uint64 number, uint base) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
    } while ((number /= base) != 0);
    while (count > 0)
        put(digits[--count]);
}

static void say_hex(const char *before, uint64 number) {
    say(before);
    say("0x");
    say_number(number, 16);
}

static void say_int(const char *before, long number) {
    say(before);
    if (number < 0)
        put('-');
    say_number(number < 0 ? -number : number, 10);
}

static void halt(void) {
    *(volatile uint *)FINISHER = 0x5555;
    for (;;)
        ;
}

static void panic(const char *why) {
    say("panic: ");
    say(why);
    say("\n");
    halt();
}

// What the compiler may call.
void *memset(void *at, int byte, uint64 size) {
    uint64 word = (uchar)byte * 0x0101010101010101UL;
    uint64 words = ((uint64)at | size) % 8 ? 0 : size / 8;
    for (volatile uint64 *to = at; words > 0; words--, size -= 8)
        *to++ = word;
    for (volatile uchar *to = at; size > 0; size--)
        *to++ = (uchar)byte;
    return at;
}

void *memcpy(void *at, const void *from, uint64 size) {
    volatile uchar *to = at;
    const uchar *source = from;
    while (size-- > 0)
        *to++ = *source++;
    return at;
}

static int cpuid(void) {
    int id;
    __asm__ volatile("mv %0, tp" : "=r"(id));
    return id;
}

static struct cpu *mycpu(void) {
    return &cpus[cpuid()];
}

static struct proc *myproc(void) {
    return mycpu()->proc;
}

// The kernel is one hart's at a time: this lock is held wherever it is not waiting for work.
static void enter_kernel(void) {
    while (__sync_lock_test_and_set(&big_lock.locked, 1) != 0)
        ;
    __sync_synchronize();
    big_lock.cpu = mycpu();
}

static void leave_kernel(void) {
    big_lock.cpu = 0;
    __sync_synchronize();
    __sync_lock_release(&big_lock.locked);
}

void kfree(void *pa) {
    struct run *page = pa;
    memset(page, 1, PGSIZE);
    page->next = kmem.freelist;
    kmem.freelist = page;
}

void *kalloc(void) {
    struct run *page = kmem.freelist;
    if (page == 0)
        panic("no memory");
    kmem.freelist = page->next;
    return memset(page, 0, PGSIZE);
}

static pte_t *walk(pagetable_t table, uint64 va, int alloc) {
    for (int level = 2; level > 0; level--) {
        pte_t *pte = &table[va >> (12 + 9 * level) & 511];
        if ((*pte & PTE_V) == 0) {
            if (!alloc)
                return 0;
            *pte = ((uint64)kalloc() >> 12) << 10 | PTE_V;
        }
        table = (pagetable_t)(*pte >> 10 << 12);
    }
    return &table[va >> 12 & 511];
}

static void mappages(pagetable_t table, uint64 va, uint64 size, uint64 pa, int perm) {
    for (uint64 at = 0; at < size; at += PGSIZE) {
        pte_t *pte = walk(table, va + at, 1);
        if (*pte & PTE_V)
            panic("remap");
        *pte = (pa + at) >> 12 << 10 | perm | PTE_V;
    }
}

static void freetable(pagetable_t table) {
    for (int i = 0; i < 512; i++)
        if ((table[i] & PTE_V) && (table[i] & (PTE_R | PTE_W | PTE_X)) == 0)
            freetable((pagetable_t)(table[i] >> 10 << 12));
    kfree(table);
}

static void kvminit(void) {
    kernel_pagetable = kalloc();
    mappages(kernel_pagetable, UART, PGSIZE, UART, PTE_R | PTE_W);
    mappages(kernel_pagetable, FINISHER, PGSIZE, FINISHER, PTE_R | PTE_W);
    mappages(kernel_pagetable, KERNBASE, (uint64)etext - KERNBASE, KERNBASE, PTE_R | PTE_X);
    mappages(kernel_pagetable, (uint64)etext, PHYSTOP - (uint64)etext, (uint64)etext, PTE_R | PTE_W);
    mappages(kernel_pagetable, TRAMPOLINE, PGSIZE, (uint64)trampoline, PTE_R | PTE_X);
    for (int i = 0; i < NPROC; i++)
        mappages(kernel_pagetable, KSTACK(i), PGSIZE, (uint64)kalloc(), PTE_R | PTE_W);
}

static uint64 satp_of(pagetable_t table) {
    return 8UL << 60 | (uint64)table >> 12;
}

static void kvminithart(void) {
    __asm__ volatile("sfence.vma");
    write_csr(satp, satp_of(kernel_pagetable));
    __asm__ volatile("sfence.vma");
    write_csr(stvec, kernelvec);
}

void sched(void) {
    struct proc *p = myproc();
    swtch(&p->context, &mycpu()->context);
}

void yield(void) {
    myproc()->state = RUNNABLE;
    sched();
}

void sleep(void *chan) {
    struct proc *p = myproc();
    p->chan = chan;
    p->state = SLEEPING;
    sched();
    p->chan = 0;
}

void wakeup(void *chan) {
    for (struct proc *p = proc; p < &proc[NPROC]; p++)
        if (p->state == SLEEPING && p->chan == chan)
            p->state = RUNNABLE;
}

// Called after the kernel has told what it holds: the place for a test to stop and look.
__attribute__((noinline)) void accounted(uint number) {
    __asm__ volatile("" : : "r"(number) : "memory");
}

static void account(void) {
    static uint accounts;
    static const char *const states[] = {"UNUSED", "USED", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE"};
    if (++accounts > MAX_ACCOUNTS)
        return;
    uint64 pages = 0;
    for (struct run *page = kmem.freelist; page; page = page->next)
        pages++;
    say_int("account ", accounts);
    say_int("\nmemory free=", pages);
    say_hex("\nkernel root=", (uint64)kernel_pagetable);
    say_int("\ncurrent ", myproc()->pid);
    say("\n");
    for (struct proc *p = proc; p < &proc[NPROC]; p++) {
        if (p->state == UNUSED)
            continue;
        say_int("task ", p->pid);
        say(" state=");
        say(states[p->state]);
        say(" name=");
        say(p->name);
        say_hex(" ra=", p->context.ra);
        say_hex(" sp=", p->context.sp);
        say_hex(" kstack=", p->kstack);
        say_hex("..", p->kstack + PGSIZE);
        say_hex(" root=", (uint64)p->pagetable);
        say_hex(" cx=", (uint64)p->trapframe);
        say_int(" parent=", p->parent ? p->parent->pid : -1);
        say_int(" code=", p->xstate);
        say("\n");
    }
    say_int("accounted ", accounts);
    say("\n");
    accounted(accounts);
}

void usertrapret(void) {
    struct proc *p = myproc();
    uint64 page = (uint64)trampoline;
    write_csr(stvec, TRAMPOLINE + ((uint64)uservec - page));
    p->trapframe->kernel_satp = read_csr(satp);
    p->trapframe->kernel_sp = p->kstack + PGSIZE;
    extern void usertrap(void);
    p->trapframe->kernel_trap = (uint64)usertrap;
    p->trapframe->kernel_hartid = cpuid();
    write_csr(sstatus, (read_csr(sstatus) & ~(1UL << 8)) | 1UL << 5);
    write_csr(sepc, p->trapframe->epc);
    uint64 satp = satp_of(p->pagetable);
    leave_kernel();
    ((void (*)(uint64))(TRAMPOLINE + ((uint64)userret - page)))(satp);
}

static void forkret(void) {
    usertrapret();
}

static struct proc *allocproc(const char *name) {
    struct proc *p = proc;
    while (p < &proc[NPROC] && p->state != UNUSED)
        p++;
    if (p == &proc[NPROC])
        panic("too many");
    p->pid = nextpid++;
    p->state = USED;
    p->trapframe = kalloc();
    p->pagetable = kalloc();
    mappages(p->pagetable, TRAMPOLINE, PGSIZE, (uint64)trampoline, PTE_R | PTE_X);
    mappages(p->pagetable, TRAPFRAME, PGSIZE, (uint64)p->trapframe, PTE_R | PTE_W);
    memset(&p->context, 0, sizeof p->context);
    p->context.ra = (uint64)forkret;
    p->context.sp = p->kstack + PGSIZE;
    for (int i = 0; i < 15; i++)
        p->name[i] = name[i];
    p->sz = PGSIZE;
    mappages(p->pagetable, 0, PGSIZE, (uint64)kalloc(), PTE_R | PTE_W | PTE_X | PTE_U);
    return p;
}

static void *page_of(struct proc *p) {
    return (void *)(*walk(p->pagetable, 0, 0) >> 10 << 12);
}

static void freeproc(struct proc *p) {
    kfree(page_of(p));
    kfree(p->trapframe);
    freetable(p->pagetable);
    p->trapframe = 0;
    p->pagetable = 0;
    p->pid = 0;
    p->parent = 0;
    p->state = UNUSED;
}

static int fork(void) {
    struct proc *p = myproc(), *child = allocproc("child\0\0\0\0\0\0\0\0\0\0");
    memcpy(page_of(child), page_of(p), PGSIZE);
    *child->trapframe = *p->trapframe;
    child->trapframe->a0 = 0;
    child->parent = p;
    child->state = RUNNABLE;
    return child->pid;
}

static void exit(int status) {
    struct proc *p = myproc();
    if (p == initproc) {
        say("init has ended\n");
        halt();
    }
    for (struct proc *each = proc; each < &proc[NPROC]; each++)
        if (each->parent == p)
            each->parent = initproc;
    p->xstate = status;
    p->state = ZOMBIE;
    wakeup(p->parent);
    sched();
    panic("a zombie ran");
}

static int wait(void) {
    struct proc *p = myproc();
    for (;;) {
        int has_children = 0;
        for (struct proc *each = proc; each < &proc[NPROC]; each++) {
            if (each->parent != p)
                continue;
            has_children = 1;
            if (each->state == ZOMBIE) {
                int pid = each->pid;
                freeproc(each);
                return pid;
            }
        }
        if (!has_children)
            return -1;
        sleep(p);
    }
}

static uint64 syscall(struct trapframe *frame) {
    switch (frame->a7) {
    case 1:
        return fork();
    case 2:
        exit((int)frame->a0);
        return 0;
    case 3:
        return wait();
    case 13:
        for (uint until = ticks + (uint)frame->a0; (int)(until - ticks) > 0;)
            sleep(&ticks);
        return 0;
    case 24:
        yield();
        return 0;
    case 99:
        account();
        return 0;
    }
    panic("no such system call");
    return 0;
}

// Whether the interrupt was the timer's.
static int devintr(void) {
    if (read_csr(scause) != (1UL << 63 | 1))
        return 0;
    write_csr(sip, read_csr(sip) & ~2UL);
    if (cpuid() == 0) {
        ticks++;
        wakeup(&ticks);
    }
    return 1;
}

void usertrap(void) {
    write_csr(stvec, kernelvec);
    enter_kernel();
    struct proc *p = myproc();
    p->trapframe->epc = read_csr(sepc);
    if (read_csr(scause) == 8) {
        p->trapframe->epc += 4;
        p->trapframe->a0 = syscall(p->trapframe);
    } else if (devintr()) {
        yield();
    } else {
        say_hex("cause ", read_csr(scause));
        say_hex(" at ", read_csr(sepc));
        say("\n");
        exit(-1);
    }
    usertrapret();
}

void kerneltrap(void) {
    uint64 sepc = read_csr(sepc), sstatus = read_csr(sstatus);
    enter_kernel();
    if (!devintr()) {
        say_hex("cause ", read_csr(scause));
        say_hex(" at ", sepc);
        say_hex(" stval ", read_csr(stval));
        panic("trap in the kernel");
    }
    leave_kernel();
    write_csr(sepc, sepc);
    write_csr(sstatus, sstatus);
}

void scheduler(void) {
    struct cpu *c = mycpu();
    for (;;) {
        write_csr(sstatus, read_csr(sstatus) | 2);
        write_csr(sstatus, read_csr(sstatus) & ~2UL);
        for (struct proc *p = proc; p < &proc[NPROC]; p++) {
            enter_kernel();
            if (p->state == RUNNABLE) {
                p->state = RUNNING;
                c->proc = p;
                say_int("run ", p->pid);
                say("\n");
                swtch(&c->context, &p->context);
                c->proc = 0;
            }
            leave_kernel();
        }
    }
}

void main(void) {
    if (cpuid() == 0) {
        for (uint64 page = (uint64)end; page < PHYSTOP; page += PGSIZE)
            kfree((void *)page);
        kvminit();
        for (int i = 0; i < NPROC; i++)
            proc[i].kstack = KSTACK(i);
        kvminithart();
        initproc = allocproc("init\0\0\0\0\0\0\0\0\0\0\0");
        memcpy(page_of(initproc), init_start, init_end - init_start);
        initproc->trapframe->epc = 0;
        initproc->trapframe->sp = PGSIZE;
        initproc->state = RUNNABLE;
        __sync_synchronize();
        started = 1;
    } else {
        while (!started)
            ;
        __sync_synchronize();
        kvminithart();
    }
    scheduler();
}

// In M-mode: all that is for S-mode is handed to it, and the timer is set.
void start(void) {
    uint64 hart = read_csr(mhartid);
    write_csr(mstatus, (read_csr(mstatus) & ~(3UL << 11)) | 1UL << 11);
    write_csr(mepc, main);
    write_csr(satp, 0);
    write_csr(medeleg, 0xffff);
    write_csr(mideleg, 0xffff);
    write_csr(sie, read_csr(sie) | 0x222);
    write_csr(pmpaddr0, 0x3fffffffffffffUL);
    write_csr(pmpcfg0, 0xf);
    write_csr(mcounteren, 7);
    volatile uint64 *next = (uint64 *)(CLINT + 0x4000 + 8 * hart);
    *next = *(volatile uint64 *)(CLINT + 0xbff8) + INTERVAL;
    timer_scratch[hart][2] = (uint64)next;
    timer_scratch[hart][3] = INTERVAL;
    timer_scratch[hart][5] = CLINT + 0xbff8;
    write_csr(mscratch, &timer_scratch[hart][0]);
    write_csr(mtvec, timervec);
    write_csr(mstatus, read_csr(mstatus) | 1 << 7);
    write_csr(mie, read_csr(mie) | 1 << 7);
    __asm__ volatile("mv tp, %0\n mret" : : "r"(hart));
}

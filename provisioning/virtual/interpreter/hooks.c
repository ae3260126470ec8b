/* What the virtual board puts in front of a few functions of the MicroPython unix port, so that it behaves like the ESP32 port.
 *
 * MicroPython's shared object calls its own exported functions and libc through its global offset table (GOT); hooks.py
 * writes the addresses of the functions below into those slots. The compiled bytes are kept in machine_code.py, so no compiler is
 * needed to use the board. After a change here: `python -m provisioning.virtual.interpreter.build_hooks` writes machine_code.py anew.
 *
 * Rules: position independent, no libc, no string literals, no global data but `d`, which lies two pages behind the code.
 */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

struct page {               /* shared with the hardware process, one per board; see shared_page.py */
    int32_t interrupt_char; /* -1: none. Read by the UART before each byte, like mp_interrupt_char in the ESP32's interrupt handler */
    uint8_t starting;       /* the board's own start-up, which nothing interrupts; boot.py and what follows can be interrupted */
    uint8_t deferred;       /* an interrupt arrived while starting: the hardware sends it again */
    uint8_t reading;        /* the program waits for the flash: what arrives meanwhile nobody reads, see receive.py */
    uint8_t usb;            /* boot.py has ended: from here on a chip with USB-OTG is a USB device */
    int64_t clock_offset;   /* seconds from the host's clock to the board's RTC */
    uint64_t reads;         /* flash reads, which do not pass through the hardware */
    uint64_t read_bytes;
    uint64_t read_time;     /* ns that these reads cost */
    uint64_t waited;        /* ns of them that have passed so far */
    uint32_t read_cost;     /* what a read costs: ns, */
    uint32_t byte_cost;     /* and ps for each byte */
};

/* From py/obj.h, object representation A: small integers are odd, everything else is a pointer. */
typedef void *obj;
#define SMALL(x) ((obj)(((long)(x) << 1) | 1))
struct buffer { void *buf; unsigned long len; int typecode; };
#define BUFFER_READ 1
#define BUFFER_WRITE 2

struct map { unsigned long flags, alloc; struct { obj key, value; } *table; };  /* mp_map_t */

struct data {
    struct page *page;
    long (*write)(int, const void *, unsigned long);
    void (*keyboard_interrupt)(void);
    time_t (*time)(time_t *);
    int (*gettimeofday)(struct timeval *, void *);
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*friendly_repl)(void);
    int (*raw_repl)(void);
    int (*run_file)(const char *);
    int (*import_stat)(const char *);
    int *mode_kind;
    const char *banner;     /* "; linux [...] version" in the shared object */
    const char *machine;    /* what the board says instead */
    const char *crlf;
    const char *boot_py;
    const char *main_py;
    void (*handle_pending)(int);
    long (*read)(int, void *, unsigned long);
    int (*get_buffer)(obj, struct buffer *, unsigned);
    long (*get_int)(obj);
    const char *flash;      /* the flash image, mapped read-only */
    unsigned long flash_size;
    unsigned long start;    /* the file system's partition */
    unsigned long size;
    obj natives[16];        /* function objects for the shims, see h_native */
    void (*sweep_all)(void);
    void (*deinit)(void);
    int (*nanosleep)(const struct timespec *, struct timespec *);
    long owed;              /* ns of flash reads that are not yet waited for; negative: waited too long */
    const void *module_type;
    const void *type_type;
    int (*select)(int, void *, void *, void *, struct timeval *);
    int (*poll)(void *, unsigned long, int);
    int (*usleep)(unsigned);
    long (*recv)(int, void *, unsigned long, int);
    long (*recvfrom)(int, void *, unsigned long, int, void *, void *);
    long (*send)(int, const void *, unsigned long, int);
    long (*sendto)(int, const void *, unsigned long, int, const void *, unsigned);
    int (*accept)(int, void *, void *);
    int (*connect)(int, const void *, unsigned);
    int (*mutex_lock)(void *, int);
    void (*thread_start)(void);
    void (*thread_finish)(void);
    unsigned long (*thread_create)(void *(*)(void *), void *, unsigned long *);
    void (*thread_deinit)(void);
    int (*schedule)(obj, obj);
    short *sched_state;
    struct map *module_maps[3];  /* mp_builtin_module_map and the extensible one */
    /* From here on zero at the start. */
    long booted;
    long main_thread;       /* the kernel's number of it */
    unsigned ticket, served;  /* the interpreter's lock: whose ticket is served has it */
    int threads;            /* beside the main one */
    int irq_off;            /* machine.disable_irq(): no other thread runs */
    int jumps;
    int over;
    long since;             /* ns at which the thread that has the lock got it */
};

extern struct data d __attribute__((visibility("hidden")));

/* ---- the interpreter's lock, which ESP32's MicroPython has and the unix port has not: one thread runs Python at a time ----
 *
 * A thread leaves it for whatever may block, and after a millisecond when another one waits: at a backward jump, where the virtual machine
 * calls mp_handle_pending() if something is pending. So while there are threads, something always is. In turns: a thread that comes back
 * at once would keep the others out.
 */
#define FUTEX 202
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129
#define GETTID 186
#define GETPID 39
#define TGKILL 234
#define SIGUSR1_ 10
#define SCHED_IDLE 1
#define SCHED_PENDING 0
#define JUMPS 32  /* as MICROPY_PY_THREAD_GIL_VM_DIVISOR */
#define TURN 1000000  /* ns */

static long kernel(long n, long a, long b, long c, long e) {
    long r;
    register long r10 __asm__("r10") = e;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return r;
}

static long now(void) {
    struct timespec t;
    d.clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void gil_enter(void) {
    if (d.over) return;
    unsigned mine = __atomic_fetch_add(&d.ticket, 1, __ATOMIC_SEQ_CST), served;
    while ((served = __atomic_load_n(&d.served, __ATOMIC_SEQ_CST)) != mine)
        kernel(FUTEX, (long)&d.served, FUTEX_WAIT_PRIVATE, served, 0);
    if (d.threads) d.since = now();
}

static void gil_exit(void) {
    __atomic_fetch_add(&d.served, 1, __ATOMIC_SEQ_CST);
    if (d.threads) kernel(FUTEX, (long)&d.served, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0);
}

#define UNLOCKED(type, call) do { type r_; gil_exit(); r_ = (call); gil_enter(); return r_; } while (0)

int h_select(int n, void *r, void *w, void *e, struct timeval *t) { UNLOCKED(int, d.select(n, r, w, e, t)); }
int h_poll(void *p, unsigned long n, int t) { UNLOCKED(int, d.poll(p, n, t)); }
int h_usleep(unsigned us) { UNLOCKED(int, d.usleep(us)); }
long h_recv(int s, void *b, unsigned long n, int f) { UNLOCKED(long, d.recv(s, b, n, f)); }
long h_recvfrom(int s, void *b, unsigned long n, int f, void *a, void *l) { UNLOCKED(long, d.recvfrom(s, b, n, f, a, l)); }
long h_send(int s, const void *b, unsigned long n, int f) { UNLOCKED(long, d.send(s, b, n, f)); }
long h_sendto(int s, const void *b, unsigned long n, int f, const void *a, unsigned l) { UNLOCKED(long, d.sendto(s, b, n, f, a, l)); }
int h_accept(int s, void *a, void *l) { UNLOCKED(int, d.accept(s, a, l)); }
int h_connect(int s, const void *a, unsigned l) { UNLOCKED(int, d.connect(s, a, l)); }

static long unlocked_write(int fd, const void *b, unsigned long n) { UNLOCKED(long, d.write(fd, b, n)); }
static long unlocked_read(int fd, void *b, unsigned long n) { UNLOCKED(long, d.read(fd, b, n)); }

int h_mutex_lock(void *m, int wait) {
    int r = d.mutex_lock(m, 0);
    if (r || !wait) return r;
    UNLOCKED(int, d.mutex_lock(m, 1));
}

unsigned long h_thread_create(void *(*entry)(void *), void *arg, unsigned long *stack) {
    unsigned long id = d.thread_create(entry, arg, stack);  /* raises where it cannot */
    d.threads++;  /* the new one waits for the lock until this one leaves it */
    if (*d.sched_state == SCHED_IDLE) *d.sched_state = SCHED_PENDING;
    d.since = now();
    return id;
}

void h_thread_start(void) {
    gil_enter();
    d.thread_start();
}

void h_thread_finish(void) {
    d.threads--;
    d.thread_finish();
    __atomic_fetch_add(&d.served, 1, __ATOMIC_SEQ_CST);
    kernel(FUTEX, (long)&d.served, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0);
}

/* The main thread ends the others at a soft reset: who waits for the lock never comes. */
void h_thread_deinit(void) {
    d.over = 1;
    d.thread_deinit();
    d.threads = 0;
}

void h_handle_pending(int behaviour) {
    d.handle_pending(behaviour);
    if (!d.threads) return;
    if (*d.sched_state == SCHED_IDLE) *d.sched_state = SCHED_PENDING;
    if (++d.jumps < JUMPS || d.irq_off) return;
    d.jumps = 0;
    if (d.ticket == d.served + 1 || now() - d.since < TURN) return;
    gil_exit();
    gil_enter();
}

/* What another thread schedules, a timer's callback, runs at once although the main thread sleeps or waits for input. */
int h_schedule(obj function, obj arg) {
    int r = d.schedule(function, arg);
    if (d.main_thread && kernel(GETTID, 0, 0, 0, 0) != d.main_thread)
        kernel(TGKILL, kernel(GETPID, 0, 0, 0, 0), d.main_thread, SIGUSR1_, 0);
    return r;
}

void h_wake(int signum) { (void)signum; }

/* irq(off): machine.disable_irq() and enable_irq(); what it was. */
obj h_irq(obj off) {
    int was = d.irq_off;
    d.irq_off = (int)d.get_int(off);
    return SMALL(was);
}

#define FRIENDLY 0
#define FORCED_EXIT 0x100
#define STAT_FILE 2

void h_sigint(int signum) {
    (void)signum;
    if (d.page->interrupt_char < 0) return;
    if (d.page->starting) { d.page->deferred = 1; return; }
    d.keyboard_interrupt();
}

void h_set_interrupt_char(signed char c) { d.page->interrupt_char = c; }

#define STDIN 0
#define STDOUT 1
#define STDERR 2
#define CTRL_D 4

/* read(2) as MicroPython's files call it. A text that is typed has LF where the key sends CR; sys.stdin.buffer reads another descriptor. */
long h_read(int fd, char *s, unsigned long n) {
    long r = unlocked_read(fd, s, n);
    if (fd == STDIN)
        for (long i = 0; i < r; i++)
            if (s[i] == '\r') s[i] = '\n';
    return r;
}

/* mp_hal_stdin_rx_chr: the REPL's next byte, as it was sent. */
int h_rx(void) {
    unsigned char c;
    long r;
    while ((r = unlocked_read(STDIN, &c, 1)) < 0) h_handle_pending(1);
    return r ? c : CTRL_D;
}

/* write(2) as MicroPython's files call it. Standard output and error are cooked like an ESP32's: LF becomes CR LF. */
long h_write(int fd, const char *s, unsigned long n) {
    const char *start = s, *end = s + n, *p;
    if (fd != STDOUT && fd != STDERR) return unlocked_write(fd, s, n);
    while (s < end) {
        long r;
        for (p = s; p < end && *p != '\n'; p++) {}
        if (p > s) {
            r = unlocked_write(STDOUT, s, (unsigned long)(p - s));
            if (r < 0) return s > start ? s - start : r;
            s += r;
            if (s < p) return s - start;
        }
        if (p < end) {
            r = unlocked_write(STDOUT, d.crlf, 2);
            if (r < 0) return s > start ? s - start : r;
            if (r == 1) while (unlocked_write(STDOUT, d.crlf + 1, 1) != 1) {}
            s++;
        }
    }
    return (long)n;
}

/* mp_hal_stdout_tx_strn: the REPL's own bytes, sent as they are. */
unsigned long h_tx(const char *s, unsigned long n) {
    unsigned long done = 0;
    while (done < n) {
        long r = unlocked_write(STDOUT, s + done, n - done);
        if (r < 0) h_handle_pending(1);
        else done += (unsigned long)r;
    }
    return n;
}

unsigned long h_tx_cooked(const char *s, unsigned long n) {
    unsigned long done = 0;
    while (done < n) {
        long r = h_write(STDOUT, s + done, n - done);
        if (r < 0) h_handle_pending(1);
        else done += (unsigned long)r;
    }
    return n;
}

void h_tx_str(const char *s) {
    if (s == d.banner) s = d.machine;
    const char *e = s;
    while (*e) e++;
    h_tx(s, (unsigned long)(e - s));
}

time_t h_time(time_t *out) {
    time_t t = d.time(0) + d.page->clock_offset;
    if (out) *out = t;
    return t;
}

int h_gettimeofday(struct timeval *tv, void *tz) {
    int r = d.gettimeofday(tv, tz);
    tv->tv_sec += d.page->clock_offset;
    return r;
}

int h_clock_gettime(clockid_t id, struct timespec *ts) {
    int r = d.clock_gettime(id, ts);
    if (id == CLOCK_REALTIME) ts->tv_sec += d.page->clock_offset;
    return r;
}

/* boot.py, then main.py unless raw mode survived a soft reset: the order of ports/esp32/main.c. 0: go on to the REPL. */
static inline int boot(void) {
    int ok = 1, ret;
    if (d.booted) return 0;
    d.booted = 1;
    d.page->starting = 0;
    if (d.import_stat(d.boot_py) == STAT_FILE) {
        ret = d.run_file(d.boot_py);
        if (ret & FORCED_EXIT) return ret;
        ok = ret == 0;
    }
    d.page->usb = 1;  /* mp_usbd_init() in ports/esp32/main.c */
    if (ok && *d.mode_kind == FRIENDLY && d.import_stat(d.main_py) == STAT_FILE) {
        ret = d.run_file(d.main_py);
        if (ret & FORCED_EXIT) return ret;
    }
    return 0;
}

int h_friendly_repl(void) {
    int ret = boot();
    return ret ? ret : d.friendly_repl();
}

int h_raw_repl(void) {
    int ret = boot();
    return ret ? ret : d.raw_repl();
}

/* The end of a soft reset: finalisers close what is open, as gc_sweep_all() in ports/esp32/main.c does. */
void h_deinit(void) {
    d.page->starting = 1;
    d.sweep_all();
    d.deinit();
}

/* ---- native functions for the shims: no interrupt unwinds them, as none unwinds the ESP32's own flash functions ---- */

#define CONTROL 3
#define OP_PROGRAM 1
#define OP_ERASE 2
#define SECTOR 4096
#define EIO_ 5
#define EINVAL_ 22
#define LARGEST 65536

/* One request to the hardware, see requests.py. The answer's status, or the length of its data when it has some. */
static long request(unsigned op, unsigned a, unsigned b, const void *data, unsigned long n, void *reply, unsigned long room) {
    struct { uint8_t op, has_data; uint16_t pad; uint32_t a, b; } head;
    int32_t answer[2];
    long r;
    if (n > LARGEST) return -EINVAL_;
    head.op = (uint8_t)op;
    head.has_data = data != 0;
    head.pad = 0;
    head.a = a;
    head.b = b;
    while (d.write(CONTROL, &head, sizeof head) < 0) {}
    if (data) while (d.write(CONTROL, data, n) < 0) {}
    while ((r = d.read(CONTROL, answer, sizeof answer)) < 0) {}
    if (r != sizeof answer) return -EIO_;
    if (answer[1] > 0) {
        char rest[8];
        while ((r = d.read(CONTROL, room ? reply : rest, room ? room : sizeof rest)) < 0) {}
        return answer[0] < 0 ? answer[0] : answer[1];
    }
    return answer[0];
}

#define WORTH_A_SLEEP 50000  /* ns */
#define LONGEST_SLEEP 1000000  /* ns: receive.py sees the time pass */
#define MOST_CREDIT 1000000  /* ns: a sleep that this busy computer drew out longer does not make later reads free */

/* Lets the time of a flash read pass. Small debts add up until a sleep is worth it, and each sleep counts as long as it was, so that
   the sum is right. No interrupt ends it, as none ends a read of the flash. */
static void charge(unsigned long bytes) {
    struct page *page = d.page;
    long cost = page->read_cost + (long)(bytes * page->byte_cost / 1000), before, passed;
    if (!cost) return;
    page->read_time += (unsigned long)cost;
    d.owed += cost;
    if (d.owed < WORTH_A_SLEEP) return;
    page->reading = 1;
    do {
        struct timespec t = {0, d.owed < LONGEST_SLEEP ? d.owed : LONGEST_SLEEP};
        before = now();
        d.nanosleep(&t, 0);
        passed = now() - before;
        d.owed -= passed;
        page->waited += (unsigned long)(passed < t.tv_nsec ? passed : t.tv_nsec);
    } while (d.owed >= WORTH_A_SLEEP);
    if (d.owed < -MOST_CREDIT) d.owed = -MOST_CREDIT;
    page->reading = 0;
}

static int read_at(unsigned long at, obj into, unsigned long limit) {
    struct buffer b;
    if (!d.get_buffer(into, &b, BUFFER_WRITE) || at > limit || b.len > limit - at) return -EINVAL_;
    const char *from = d.flash + at;
    char *to = b.buf;
    for (unsigned long i = 0; i < b.len; i++) to[i] = from[i];
    d.page->reads++;
    d.page->read_bytes += b.len;
    charge(b.len);
    return 0;
}

/* readblocks(block, buf, offset=0) of the file system's partition */
obj h_readblocks(unsigned long n, const obj *args) {
    unsigned long at = (unsigned long)d.get_int(args[0]) * SECTOR + (n > 2 ? (unsigned long)d.get_int(args[2]) : 0);
    if (at > d.size) return SMALL(-EINVAL_);
    return SMALL(read_at(d.start + at, args[1], d.start + d.size));
}

/* writeblocks(block, buf, offset): programs; without offset it erases before */
obj h_writeblocks(unsigned long n, const obj *args) {
    struct buffer b;
    unsigned long at = (unsigned long)d.get_int(args[0]) * SECTOR + (n > 2 ? (unsigned long)d.get_int(args[2]) : 0);
    if (!d.get_buffer(args[1], &b, BUFFER_READ) || at > d.size || b.len > d.size - at) return SMALL(-EINVAL_);
    if (n == 2 && request(OP_ERASE, (unsigned)(d.start + at), (unsigned)b.len, 0, 0, 0, 0) < 0) return SMALL(-EIO_);
    for (unsigned long done = 0; done < b.len; done += SECTOR) {
        unsigned long part = b.len - done < SECTOR ? b.len - done : SECTOR;
        if (request(OP_PROGRAM, (unsigned)(d.start + at + done), (unsigned)part, (char *)b.buf + done, part, 0, 0) < 0) return SMALL(-EIO_);
    }
    return SMALL(0);
}

/* ioctl(op, arg): 4 block count, 5 block size, 6 erase a block */
obj h_ioctl(obj op, obj arg) {
    long which = d.get_int(op);
    if (which == 4) return SMALL(d.size / SECTOR);
    if (which == 5) return SMALL(SECTOR);
    if (which == 6) {
        unsigned long at = (unsigned long)d.get_int(arg) * SECTOR;
        if (at >= d.size) return SMALL(-EINVAL_);
        return SMALL(request(OP_ERASE, (unsigned)(d.start + at), SECTOR, 0, 0, 0, 0) < 0 ? -EIO_ : 0);
    }
    return SMALL(0);
}

/* read(address, buf): anywhere in the flash */
obj h_flash_read(obj address, obj into) { return SMALL(read_at((unsigned long)d.get_int(address), into, d.flash_size)); }

/* request(op, a, b, data or None, reply buffer or None) */
obj h_request(unsigned long n, const obj *args) {
    struct buffer data = {0, 0, 0}, reply = {0, 0, 0};
    (void)n;
    int has_data = d.get_buffer(args[3], &data, BUFFER_READ);
    if (!d.get_buffer(args[4], &reply, BUFFER_WRITE)) reply.len = 0;
    return SMALL(request((unsigned)d.get_int(args[0]), (unsigned)d.get_int(args[1]), (unsigned)d.get_int(args[2]),
        has_data ? data.buf : 0, data.len, reply.buf, reply.len));
}

/* partition(start, size): where readblocks and the others work */
obj h_partition(obj start, obj size) {
    unsigned long s = (unsigned long)d.get_int(start), z = (unsigned long)d.get_int(size);
    if (s > d.flash_size || z > d.flash_size - s) return SMALL(-EINVAL_);
    d.start = s;
    d.size = z;
    return SMALL(0);
}

/* ---- built-in modules as an ESP32 has them: the unix port's own objects, with other contents ---- */

struct module { const void *type; struct dict { const void *type; struct map map; } *globals; };  /* mp_obj_module_t */
struct type { const void *type; uint16_t flags, name; uint8_t slots[12]; void *slot[]; };  /* mp_obj_type_t; the last is locals_dict */
struct tuple { const void *type; unsigned long len; obj items[]; };  /* mp_obj_tuple_t */
#define LOCALS_DICT 11

/* put(owner, key, value): what a built-in module or type has under this name, or a tuple at this index. put(owner, key): has no longer. A
   name that it did not have takes the place of one that it has no longer. The caller keeps a reference to the value. */
obj h_put(unsigned long n, const obj *args) {
    obj value = n > 2 ? args[2] : 0;
    struct map *map;
    struct { obj key, value; } *found = 0, *free = 0;
    if (*(void **)args[0] == d.module_type) map = &((struct module *)args[0])->globals->map;
    else if (*(void **)args[0] == d.type_type) {
        struct type *type = args[0];
        map = &((struct dict *)type->slot[type->slots[LOCALS_DICT] - 1])->map;
    } else {
        struct tuple *tuple = args[0];
        unsigned long at = (unsigned long)d.get_int(args[1]);
        if (at >= tuple->len) return SMALL(-EINVAL_);
        tuple->items[at] = value;
        return SMALL(0);
    }
    for (unsigned long i = 0; i < map->alloc; i++) {
        void *entry = &map->table[i];
        if (map->table[i].key == args[1]) found = entry;
        else if (!map->table[i].key && !free) free = entry;
    }
    if (!found) found = free;
    if (!found) return SMALL(-EINVAL_);
    found->key = value ? args[1] : 0;
    found->value = value;
    return SMALL(0);
}

/* contents(module, dict): all that a built-in module has from now on. The caller keeps a reference to the dict. */
obj h_contents(obj module, obj dict) {
    ((struct module *)module)->globals = dict;
    return SMALL(0);
}

/* hide(name): there is no built-in module of this name. */
obj h_hide(obj name) {
    for (struct map **map = d.module_maps; *map; map++)
        for (unsigned long i = 0; i < (*map)->alloc; i++)
            if ((*map)->table[i].key == name) (*map)->table[i].key = 0;
    return SMALL(0);
}

/* The shims' only way to the objects above: it stands where machine.mem8 was. */
obj h_native(obj index) { return d.natives[d.get_int(index) & 15]; }

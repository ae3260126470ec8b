/* What the virtual board puts in front of a few functions of the MicroPython unix port, so that it behaves like the ESP32 port.
 *
 * MicroPython's shared object calls its own exported functions and libc through its global offset table (GOT); hooks.py
 * writes the addresses of the functions below into those slots. The compiled bytes are kept in hooks.py, so no compiler is
 * needed to use the board. After a change here: `python -m provisioning.virtual.interpreter.hooks FILE.c` prints new bytes.
 *
 * Rules: position independent, no libc, no string literals, no global data but `d`, which lies one page behind the code.
 */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

struct page {               /* shared with the hardware process, one per board; see shared_page.py */
    int32_t interrupt_char; /* -1: none. Read by the UART before each byte, like mp_interrupt_char in the ESP32's interrupt handler */
    uint8_t busy;           /* in a flash operation: an interrupt must not unwind littlefs, on hardware it cannot */
    uint8_t deferred;       /* an interrupt arrived while busy: the hardware sends it again */
    uint8_t pad[2];
    int64_t clock_offset;   /* seconds from the host's clock to the board's RTC */
};

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
    long booted;
};

extern struct data d __attribute__((visibility("hidden")));

#define FRIENDLY 0
#define FORCED_EXIT 0x100
#define STAT_FILE 2

void h_sigint(int signum) {
    (void)signum;
    if (d.page->interrupt_char < 0) return;
    if (d.page->busy) { d.page->deferred = 1; return; }
    d.keyboard_interrupt();
}

void h_set_interrupt_char(signed char c) { d.page->interrupt_char = c; }

#define STDOUT 1

/* write(2) as MicroPython's files call it. Standard output is cooked like an ESP32's: LF becomes CR LF. */
long h_write(int fd, const char *s, unsigned long n) {
    const char *start = s, *end = s + n, *p;
    if (fd != STDOUT) return d.write(fd, s, n);
    while (s < end) {
        long r;
        for (p = s; p < end && *p != '\n'; p++) {}
        if (p > s) {
            r = d.write(STDOUT, s, (unsigned long)(p - s));
            if (r < 0) return s > start ? s - start : r;
            s += r;
            if (s < p) return s - start;
        }
        if (p < end) {
            r = d.write(STDOUT, d.crlf, 2);
            if (r < 0) return s > start ? s - start : r;
            if (r == 1) while (d.write(STDOUT, d.crlf + 1, 1) != 1) {}
            s++;
        }
    }
    return (long)n;
}

/* mp_hal_stdout_tx_strn: the REPL's own bytes, sent as they are. */
unsigned long h_tx(const char *s, unsigned long n) {
    unsigned long done = 0;
    while (done < n) {
        long r = d.write(STDOUT, s + done, n - done);
        if (r < 0) d.handle_pending(1);
        else done += (unsigned long)r;
    }
    return n;
}

unsigned long h_tx_cooked(const char *s, unsigned long n) {
    unsigned long done = 0;
    while (done < n) {
        long r = h_write(STDOUT, s + done, n - done);
        if (r < 0) d.handle_pending(1);
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
    d.page->busy = 0; /* the board's own start-up cannot be interrupted, the user's boot.py can */
    if (d.import_stat(d.boot_py) == STAT_FILE) {
        ret = d.run_file(d.boot_py);
        if (ret & FORCED_EXIT) return ret;
        ok = ret == 0;
    }
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

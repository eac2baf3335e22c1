#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

/*
 * The real log is found through thread-local state: what a plugin prints from
 * a thread of its own does not reach it. Here it is printed and counted.
 */
static __thread struct host *this_host;
static struct host *the_host;

void thread_is_ours(struct host *host) {
    this_host = host;
    the_host = host;
}

/*
 * A line is at most as long as one of Fluent Bit's log and is written in one
 * call: its buffer counts as stack of the flush, and that of an unbuffered
 * stderr would count for twice as much.
 */
static void print(int level, const char *fmt, va_list args) {
    static const char *const names[] = {"", "error", " warn", " info", "debug"};
    char text[4096];

    if (level < LOG_ERROR || level > LOG_DEBUG) {
        level = LOG_DEBUG;
    }
    int n = snprintf(text, sizeof text, "[%s] ", names[level]);
    int m = vsnprintf(text + n, sizeof text - (size_t) n - 1, fmt, args);
    int most = (int) sizeof text - n - 2;
    n += m < 0 ? 0 : m < most ? m : most;
    text[n++] = '\n';
    if (write(STDERR_FILENO, text, (size_t) n) < 0) {
        return; /* nobody reads the log */
    }
}

void host_log(int level, const char *fmt, ...) {
    va_list args;

    if (!log_check(NULL, level)) {
        return;
    }
    va_start(args, fmt);
    print(level, fmt, args);
    va_end(args);
}

void log_print(int level, const char *file, int line, const char *fmt, ...) {
    va_list args;

    (void) file;
    (void) line;
    if (this_host == NULL) {
        __atomic_add_fetch(&the_host->stats.foreign_logs, 1, __ATOMIC_RELAXED);
    }
    va_start(args, fmt);
    print(level, fmt, args);
    va_end(args);
}

int log_check(void *instance, int level) {
    (void) instance;
    return level <= the_host->options.log_level;
}

int64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void *must_alloc(size_t size) {
    void *p = calloc(1, size ? size : 1);

    if (p == NULL) {
        fprintf(stderr, "flbhost: cannot allocate %zu bytes\n", size);
        exit(1);
    }
    return p;
}

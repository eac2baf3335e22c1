#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

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

static void print(int level, const char *fmt, va_list args) {
    static const char *const names[] = {"", "error", " warn", " info", "debug"};
    char text[8192];

    if (level < LOG_ERROR || level > LOG_DEBUG) {
        level = LOG_DEBUG;
    }
    vsnprintf(text, sizeof text, fmt, args);
    fprintf(stderr, "[%s] %s\n", names[level], text);
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

/*
 * A plugin that writes down every call it gets, one line each, to the file of
 * its option "record" (or $ECHO_RECORD before there are options), and answers
 * as its options say:
 *   retry_first=N   the first N flushes of the instance ask for a retry
 *   retry_until_hot=true  retries until a hot reload has begun
 *   answer=N        what flush returns otherwise (default 1)
 *   fail=true       Init fails
 *   keep=true       keeps the bytes of a flush and looks at them in the next
 *   stack=N         uses N bytes of stack in a flush
 *   slow_ms=N       a flush takes that long
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../abi.h"

struct instance {
    char name[64];
    int retry_first, answer, keep, retry_until_hot, slow_ms;
    size_t stack;
    const unsigned char *kept;
    struct flb_api *api;
    void *host_instance;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int hot;

static void note(const char *fmt, ...) {
    const char *path = getenv("ECHO_RECORD");
    va_list args;

    pthread_mutex_lock(&lock);
    FILE *f = fopen(path, "a");
    va_start(args, fmt);
    vfprintf(f, fmt, args);
    va_end(args);
    fputc('\n', f);
    fclose(f);
    pthread_mutex_unlock(&lock);
}

static const char *where(void) { return syscall(SYS_gettid) == getpid() ? "engine" : "worker"; }

int FLBPluginPreRegister(int hot_reload) {
    hot = hot_reload;
    note("PreRegister %d", hot_reload);
    return 0;
}

int FLBPluginRegister(struct flb_plugin_proxy_def *def) {
    note("Register");
    def->type = PLUGIN_OUTPUT;
    def->proxy = PROXY_GOLANG;
    def->name = strdup("echo");
    def->description = strdup("records its calls");
    if (getenv("ECHO_NEW_FIELD") != NULL) {
        def->event_type = 1;
    }
    return 0;
}

static int number(struct flb_go_plugin *p, const char *key, int otherwise) {
    const char *v = p->api->output_get_property(key, p->o_ins);

    return v == NULL ? otherwise : strcmp(v, "true") == 0 ? 1 : atoi(v);
}

static const char *shown(struct flb_go_plugin *p, const char *key) {
    const char *v = p->api->output_get_property(key, p->o_ins);

    return v == NULL ? "-" : v;
}

int FLBPluginInit(struct flb_go_plugin *p) {
    note("Init %s on %s: url=%s URL=%s host=%s workers=%s net.x=%s", shown(p, "id"), where(), shown(p, "url"), shown(p, "URL"),
         shown(p, "host"), shown(p, "workers"), shown(p, "net.x"));
    if (number(p, "fail", 0)) {
        return FLUSH_ERROR;
    }
    struct instance *i = calloc(1, sizeof *i);
    snprintf(i->name, sizeof i->name, "%s", shown(p, "id"));
    i->retry_first = number(p, "retry_first", 0);
    i->retry_until_hot = number(p, "retry_until_hot", 0);
    i->answer = number(p, "answer", FLUSH_OK);
    i->keep = number(p, "keep", 0);
    i->slow_ms = number(p, "slow_ms", 0);
    i->stack = (size_t) number(p, "stack", 0);
    i->api = p->api;
    i->host_instance = p->o_ins;
    p->context->remote_context = i;
    if (p->api->output_log_check(p->o_ins, LOG_INFO)) {
        p->api->log_print(LOG_INFO, __FILE__, __LINE__, "[echo] %s has %d options", i->name, 8);
    }
    return FLUSH_OK;
}

int FLBPluginOutputPreRun(int hot_reload) {
    note("PreRun %d", hot_reload);
    return 0;
}

static unsigned int sum(const unsigned char *p, size_t n) {
    unsigned int s = 0;

    while (n-- > 0) {
        s = s * 31 + *p++;
    }
    return s;
}

static void __attribute__((noinline)) use_stack(size_t n) {
    volatile unsigned char *p = __builtin_alloca(n);

    for (size_t i = 0; i < n; i++) {
        p[n - 1 - i] = (unsigned char) i;
    }
}

static void *log_from_elsewhere(void *arg) {
    struct instance *i = arg;

    i->api->log_print(LOG_WARN, NULL, 0, "%s", "from a thread of the plugin");
    return NULL;
}

int FLBPluginFlushCtx(void *ctx, const void *data, size_t size, char *tag) {
    struct instance *i = ctx;

    note("Flush %s on %s: %s %zu %08x", i->name, where(), tag, size, sum(data, size));
    if (strcmp(tag, "log") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, log_from_elsewhere, i);
        pthread_join(t, NULL);
    }
    if (i->keep) {
        if (i->kept != NULL) {
            note("Kept %02x", i->kept[100]);
        }
        i->kept = data;
    }
    if (i->stack > 0) {
        use_stack(i->stack);
    }
    if (i->slow_ms > 0) {
        struct timespec t = {i->slow_ms / 1000, i->slow_ms % 1000 * 1000000L};
        nanosleep(&t, NULL);
    }
    if (i->retry_until_hot && !hot) {
        return FLUSH_RETRY;
    }
    return __atomic_fetch_sub(&i->retry_first, 1, __ATOMIC_SEQ_CST) > 0 ? FLUSH_RETRY : i->answer;
}

int FLBPluginOutputPreExit(int by_reload) {
    note("PreExit %d", by_reload);
    return 0;
}

int FLBPluginExitCtx(void *ctx) {
    struct instance *i = ctx;

    note("ExitCtx %s", i == NULL ? "NULL" : i->name);
    free(i);
    return FLUSH_OK;
}

int FLBPluginExit(void) {
    note("Exit");
    return FLUSH_OK;
}

void FLBPluginUnregister(struct flb_plugin_proxy_def *def) {
    note("Unregister");
    free(def->name);
    free(def->description);
}

/*
 * The entry points that Fluent Bit's proxy looks up by name, in plain C.
 *
 * They stand in front of the Go functions of flb.go for the two things that
 * Go cannot do for itself: notice that the process was forked after the
 * plugin was loaded (the Go runtime's threads do not survive that; a call
 * into Go would hang for ever), and call the host's variadic log function.
 */
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "abi.h"
#include "_cgo_export.h"

#define EXPORT __attribute__((visibility("default")))

static pid_t loaded_in;

__attribute__((constructor)) static void remember_process(void) {
    loaded_in = getpid();
}

static int forked(void) {
    return getpid() != loaded_in;
}

EXPORT int FLBPluginPreRegister(int hot_reloading) {
    return forked() ? -1 : logscopePreRegister(hot_reloading);
}

EXPORT int FLBPluginRegister(void *def) {
    return forked() ? -1 : logscopeRegister(def);
}

EXPORT int FLBPluginInit(void *plugin) {
    if (forked()) {
        struct logscope_host host;

        /* The background process has no standard error any more, but it has the log file. */
        logscope_host_of(plugin, &host);
        logscope_log_print(&host, LOGSCOPE_LOG_ERROR, "[output:logscope] Fluent Bit went to the background after "
                           "loading logscope, which a Go plugin does not survive: remove 'Daemon On' (or --daemon) "
                           "and let systemd, a container or nohup do that");
        return LOGSCOPE_ERROR;
    }
    return logscopeInit(plugin, (long) syscall(SYS_gettid));
}

EXPORT int FLBPluginFlushCtx(void *ctx, const void *data, size_t size, char *tag) {
    if (forked() || ctx == NULL) {
        return LOGSCOPE_RETRY;
    }
    return logscopeFlush(ctx, (void *) data, size, tag, (long) syscall(SYS_gettid));
}

/* Hosts prefer FLBPluginFlushCtx; without a context there is no instance to ask. */
EXPORT int FLBPluginFlush(const void *data, size_t size, const char *tag) {
    (void) data;
    (void) size;
    (void) tag;
    return LOGSCOPE_ERROR;
}

EXPORT int FLBPluginOutputPreExit(int by_reload) {
    return forked() ? LOGSCOPE_OK : logscopePreExit(by_reload);
}

EXPORT int FLBPluginExitCtx(void *ctx) {
    return forked() || ctx == NULL ? LOGSCOPE_OK : logscopeExit(ctx);
}

EXPORT int FLBPluginExit(void) {
    return LOGSCOPE_OK;
}

EXPORT void FLBPluginUnregister(void *def) {
    if (!forked()) {
        logscopeUnregister(def);
    }
}

/*
 * The table behind output_get_property, as hosts from 3.0 on have it.
 */
struct host_api {
    const char *(*output_get_property)(const char *, void *);
    const char *(*input_get_property)(const char *, void *);
    void *(*output_get_cmt_instance)(void *);
    void *(*input_get_cmt_instance)(void *);
    void (*log_print)(int, const char *, int, const char *, ...);
    int (*input_log_check)(void *, int);
    int (*output_log_check)(void *, int);
};

struct host_plugin {
    char *name;
    struct host_api *api;
    void *instance;
};

void logscope_host_of(void *plugin, struct logscope_host *host) {
    struct host_plugin *p = plugin;

    host->api = p->api;
    host->instance = p->instance;
}

int logscope_log_check(struct logscope_host *host, int level) {
    struct host_api *api = host->api;

    return api->output_log_check == NULL || api->output_log_check(host->instance, level);
}

void logscope_log_print(struct logscope_host *host, int level, const char *text) {
    struct host_api *api = host->api;

    if (api->log_print == NULL) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    api->log_print(level, NULL, 0, "%s", text);
}

/*
 * The life of the plugin: found, registered, started for each instance,
 * stopped, unregistered. The order of the calls is Fluent Bit's.
 */
#include <dlfcn.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host.h"

/* ISO C has no conversion from the object pointer of dlsym to a function pointer. */
static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
}

/* Options that the core takes for itself: a plugin never sees them. */
static int is_hidden(const char *key) {
    static const char *const hidden[] = {
        "name",  "host",  "port",    "ipv6",    "match*",  "alias", "log_level", "log_suppress_interval", "retry_limit",
        "workers", "net.*", "oauth2*", "tls", "tls.*", "storage.total_limit_size",
    };

    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        char lower[64];
        size_t n = 0;

        for (; key[n] != 0 && n < sizeof lower - 1; n++) {
            lower[n] = key[n] >= 'A' && key[n] <= 'Z' ? key[n] + 32 : key[n];
        }
        lower[n] = 0;
        if (fnmatch(hidden[i], lower, 0) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *get_property(const char *key, void *p) {
    struct instance *instance = p;

    for (struct property *prop = instance->properties; prop != NULL; prop = prop->next) {
        if (strcasecmp(prop->key, key) == 0 && !is_hidden(prop->key)) {
            return prop->value;
        }
    }
    return NULL;
}

static void *get_metrics(void *instance) {
    (void) instance;
    return NULL;
}

void api_fill(struct flb_api *api) {
    api->output_get_property = get_property;
    api->input_get_property = get_property;
    api->custom_get_property = get_property;
    api->output_get_cmt_instance = get_metrics;
    api->input_get_cmt_instance = get_metrics;
    api->log_print = log_print;
    api->output_log_check = log_check;
    api->input_log_check = log_check;
    api->custom_log_check = log_check;
}

static int find_calls(struct host *host, struct proxy *proxy) {
    struct flb_go_plugin *plugin = proxy->plugin;

    plugin->name = proxy->def->name;
    plugin->api = &host->api;
    find(proxy->library, "FLBPluginInit", &plugin->cb_init);
    find(proxy->library, "FLBPluginFlush", &plugin->cb_flush);
    find(proxy->library, "FLBPluginFlushCtx", &plugin->cb_flush_ctx);
    find(proxy->library, "FLBPluginExit", &plugin->cb_exit);
    find(proxy->library, "FLBPluginExitCtx", &plugin->cb_exit_ctx);
    find(proxy->library, "FLBPluginOutputPreRun", &plugin->cb_pre_run);
    find(proxy->library, "FLBPluginOutputPreExit", &plugin->cb_pre_exit);
    find(proxy->library, "FLBPluginUnregister", &plugin->cb_unregister);
    if (plugin->cb_init == NULL || (plugin->cb_flush == NULL && plugin->cb_flush_ctx == NULL)) {
        host_log(LOG_ERROR, "plugin lacks FLBPluginInit or a flush");
        return -1;
    }
    return 0;
}

static int load(struct host *host, struct proxy *proxy, int hot_reload) {
    int (*pre_register)(int) = NULL;
    int (*do_register)(struct flb_plugin_proxy_def *) = NULL;

    proxy->library = dlopen(host->options.plugin, RTLD_LAZY);
    if (proxy->library == NULL) {
        host_log(LOG_ERROR, "cannot load plugin: %s", dlerror());
        return -1;
    }
    /* Of an older host the structure ends before event_type: under
     * AddressSanitizer a plugin that writes there is caught. */
    size_t size = host->options.old_def ? offsetof(struct flb_plugin_proxy_def, event_type) : sizeof *proxy->def;
    proxy->def = must_alloc(size);
    proxy->plugin = must_alloc(sizeof *proxy->plugin);
    find(proxy->library, "FLBPluginPreRegister", &pre_register);
    find(proxy->library, "FLBPluginRegister", &do_register);
    if (pre_register != NULL && pre_register(hot_reload) != 0) {
        host_log(LOG_ERROR, "FLBPluginPreRegister failed");
        return -1;
    }
    if (do_register == NULL || do_register(proxy->def) == -1) {
        host_log(LOG_ERROR, "FLBPluginRegister is missing or failed");
        return -1;
    }
    if (proxy->def->type != PLUGIN_OUTPUT || proxy->def->proxy != PROXY_GOLANG || proxy->def->name == NULL) {
        host_log(LOG_ERROR, "plugin registered as type %d, proxy %d; an output (%d) for Go (%d) is what this host serves",
                 proxy->def->type, proxy->def->proxy, PLUGIN_OUTPUT, PROXY_GOLANG);
        return -1;
    }
    return find_calls(host, proxy);
}

static void unload(struct proxy *proxy) {
    free(proxy->plugin);
    free(proxy->def);
    if (proxy->library != NULL) {
        dlclose(proxy->library);
    }
    memset(proxy, 0, sizeof *proxy);
}

/* Loads and registers the plugin. Returns 0, or -1 with the reason in the log. */
int proxy_load(struct host *host, struct proxy *proxy, int hot_reload) {
    int failed = load(host, proxy, hot_reload);

    if (failed) {
        unload(proxy);
    }
    return failed;
}

/* Starts every instance. Returns -1 if one fails; proxy_stop is due then too. */
int proxy_start(struct host *host, int hot_reload) {
    struct flb_go_plugin *plugin = host->proxy.plugin;

    for (int i = 0; i < host->instances; i++) {
        host->instance[i].context = must_alloc(sizeof *host->instance[i].context);
    }
    for (int i = 0; i < host->instances; i++) {
        struct instance *instance = &host->instance[i];

        plugin->o_ins = instance;
        plugin->context = instance->context;
        if (plugin->cb_init(plugin) != FLUSH_OK) {
            host_log(LOG_ERROR, "[output] failed to initialize '%s' plugin", plugin->name);
            return -1;
        }
        instance->initialised = 1;
    }
    for (int i = 0; i < host->instances; i++) {
        if (plugin->cb_pre_run != NULL && plugin->cb_pre_run(hot_reload) == -1) {
            host_log(LOG_ERROR, "FLBPluginOutputPreRun failed");
            return -1;
        }
        workers_start(&host->instance[i]);
    }
    return 0;
}

static void exit_instance(struct host *host, struct instance *instance, int by_reload) {
    struct flb_go_plugin *plugin = host->proxy.plugin;

    if (plugin->cb_pre_exit != NULL) {
        plugin->cb_pre_exit(by_reload);
    }
    if (plugin->cb_exit_ctx != NULL) {
        if (instance->context->remote_context != NULL || !host->options.skip_null_exit) {
            plugin->cb_exit_ctx(instance->context->remote_context);
        }
    } else if (plugin->cb_exit != NULL) {
        plugin->cb_exit();
    }
    free(instance->context);
    instance->context = NULL;
    instance->initialised = 0;
}

/* Stops every instance; their workers must have been started, or Init has failed. */
void proxy_stop(struct host *host, int by_reload) {
    for (int i = 0; i < host->instances; i++) {
        struct instance *instance = &host->instance[i];

        if (instance->worker[0].host != NULL) {
            workers_join(instance);
            memset(instance->worker, 0, sizeof instance->worker);
        }
        exit_instance(host, instance, by_reload);
    }
    if (host->proxy.plugin->cb_unregister != NULL) {
        host->proxy.plugin->cb_unregister(host->proxy.def);
    }
    unload(&host->proxy);
}

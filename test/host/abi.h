/*
 * What Fluent Bit shares with a plugin that its Go proxy loads: the memory
 * layout and the codes, as plugins are compiled against them.
 */
#ifndef FLBHOST_ABI_H
#define FLBHOST_ABI_H

#include <stddef.h>

enum { FLUSH_ERROR = 0, FLUSH_OK = 1, FLUSH_RETRY = 2 };
enum { LOG_ERROR = 1, LOG_WARN = 2, LOG_INFO = 3, LOG_DEBUG = 4 };
enum { PLUGIN_OUTPUT = 2, PROXY_GOLANG = 11 };

/* Filled in by FLBPluginRegister. Hosts before 5.0 end it after description. */
struct flb_plugin_proxy_def {
    int type;
    int proxy;
    int flags;
    char *name;
    char *description;
    int event_type;
    struct flb_config_map *config_map;
};

struct flb_api {
    const char *(*output_get_property)(const char *key, void *instance);
    const char *(*input_get_property)(const char *key, void *instance);
    void *(*output_get_cmt_instance)(void *instance);
    void *(*input_get_cmt_instance)(void *instance);
    void (*log_print)(int level, const char *file, int line, const char *fmt, ...);
    int (*input_log_check)(void *instance, int level);
    int (*output_log_check)(void *instance, int level);
    const char *(*custom_get_property)(const char *key, void *instance);
    int (*custom_log_check)(void *instance, int level);
};

/* The plugin puts its context here in FLBPluginInit. */
struct flb_plugin_proxy_context {
    void *remote_context;
    void *proxy;
};

/* Passed to FLBPluginInit: one for all instances, overwritten for each. */
struct flb_go_plugin {
    char *name;
    struct flb_api *api;
    void *o_ins;
    struct flb_plugin_proxy_context *context;

    int (*cb_init)(struct flb_go_plugin *);
    int (*cb_flush)(const void *, size_t, const char *);
    int (*cb_flush_ctx)(void *, const void *, size_t, char *);
    int (*cb_exit)(void);
    int (*cb_exit_ctx)(void *);
    int (*cb_pre_run)(int);
    int (*cb_pre_exit)(int);
    void (*cb_unregister)(void *);
};

#endif

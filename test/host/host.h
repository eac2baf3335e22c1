#ifndef FLBHOST_HOST_H
#define FLBHOST_HOST_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "abi.h"

#define INSTANCES_MAX 16
#define WORKERS_MAX 64
#define QUEUE_DEPTH 4

struct property {
    char *key;
    char *value;
    struct property *next;
};

/* One chunk in memory; every job that delivers it holds a reference. */
struct chunk {
    char *tag;
    unsigned char *data;
    size_t size;
    int references;
};

/* One chunk on its way to one instance. */
struct job {
    struct chunk *chunk;
    struct instance *instance;
    int attempts;
    int result;
    int64_t due_us;
    struct job *next;
};

struct stats {
    int64_t chunks, records, bytes;
    int64_t flushes, ok, retry, error, dropped;
    int64_t reloads, reloads_stuck;
    int64_t foreign_logs;
    int64_t flush_us_max;
    size_t stack_used_max;
};

struct worker {
    struct host *host;
    struct instance *instance;
    pthread_t thread;
    struct job *queue[QUEUE_DEPTH];
    int head, length;
    int stop;
};

/* One [OUTPUT] section. */
struct instance {
    int number;
    struct property *properties;
    int workers;
    int retries; /* after the first attempt; -1: no limit */
    int initialised;
    struct host *host;
    struct flb_plugin_proxy_context *context;
    struct worker worker[WORKERS_MAX];
    int next_worker;
};

/* The plugin as one configuration has loaded it. */
struct proxy {
    void *library;
    struct flb_plugin_proxy_def *def;
    struct flb_go_plugin *plugin;
};

struct options {
    const char *plugin;
    const char *chunks;
    const char *tag;
    const char *stop_file;
    int hold;
    int repeat;
    int reload_every;
    int retry_wait_ms;
    int reload_wait_ms;
    int grace_ms;
    int interval_ms;
    int log_level;
    int stats;
    int old_def;
    int guard;
    int skip_null_exit;
    int workers;
    int retries;
    size_t coroutine_stack;
};

struct host {
    struct options options;
    struct instance instance[INSTANCES_MAX];
    int instances;
    struct proxy proxy;
    struct flb_api api;
    struct stats stats;
    pthread_mutex_t lock; /* of what follows and of every worker's queue */
    pthread_cond_t changed;
    struct job *waiting; /* to be dispatched at their due time */
    struct job *finished;
    int outstanding; /* jobs that are not finished for good */
};

/* chunks.c */
struct chunk *chunk_read(FILE *file, const char *default_tag);
void chunk_release(struct chunk *chunk);
int64_t chunk_records(const unsigned char *data, size_t size);

/* proxy.c */
int proxy_load(struct host *host, struct proxy *proxy, int hot_reload);
int proxy_start(struct host *host, int hot_reload);
void proxy_stop(struct host *host, int by_reload);
void api_fill(struct flb_api *api);

/* deliver.c */
void workers_start(struct instance *instance);
void workers_join(struct instance *instance);
void submit(struct host *host, struct instance *instance, struct chunk *chunk);
void dispatch(struct host *host, int wait_ms);
int drain(struct host *host, int timeout_ms);
void drop_waiting(struct host *host);

/* flush.c */
int flush(struct host *host, struct instance *instance, const struct chunk *chunk);

/* log.c */
int64_t now_us(void);
void thread_is_ours(struct host *host);
void host_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_print(int level, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int log_check(void *instance, int level);
void *must_alloc(size_t size);

#endif

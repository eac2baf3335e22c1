/*
 * flbhost loads an output plugin as Fluent Bit's Go proxy does and flushes the
 * chunks of a file to it. README.md says what it is for.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host.h"

enum { EXIT_DELIVERED = 0, EXIT_START = 1, EXIT_USAGE = 2, EXIT_UNDELIVERED = 3 };

static volatile sig_atomic_t stop_asked;
static volatile sig_atomic_t reload_asked;

static void on_signal(int number) {
    if (number == SIGHUP) {
        reload_asked = 1;
    } else {
        stop_asked = 1;
    }
}

static void usage(FILE *out) {
    fputs("usage: flbhost --plugin FILE.so --chunks FILE [--instance [KEY=VALUE]] [-p KEY=VALUE]...\n"
          "  --plugin FILE            the plugin, e.g. ./out_logscope.so\n"
          "  --instance [KEY=VALUE]   starts another output section; -p before the first one starts it\n"
          "  -p KEY=VALUE             an option of the current section; workers and retry_limit are the host's\n"
          "  --chunks FILE            chunk file, - for standard input; none: start, hold if asked, stop\n"
          "  --tag TAG                tag of chunks without their own (default: host)\n"
          "  --workers N              threads per instance; 0: flush on the main thread (default 0)\n"
          "  --coroutine-stack BYTES  stack of a flush; 0: the thread's own (default 24576)\n"
          "  --repeat N               read the chunk file N times (default 1)\n"
          "  --interval MS            pause after each chunk (default 0)\n"
          "  --retries N              attempts after the first, -1: no limit (default 1)\n"
          "  --retry-wait MS          before an attempt is repeated (default 100)\n"
          "  --reload-every N         hot reload after every N chunks; SIGHUP does one, too\n"
          "  --reload-wait MS         how long a reload waits for chunks in retry (default 10000)\n"
          "  --grace MS               how long shutdown waits for chunks in retry (default 5000)\n"
          "  --hold                   stay after the last chunk, until SIGTERM or SIGINT\n"
          "  --stop-file FILE         stay after the last chunk, until FILE exists\n"
          "  --log-level LEVEL        error, warn, info or debug (default info)\n"
          "  --guard                  crash on reading data or tag behind their end or after the call\n"
          "  --old-def                registration structure as before Fluent Bit 5.0\n"
          "  --skip-null-exit         no ExitCtx for instances that were never started\n"
          "  --stats                  print figures as JSON on standard output\n",
          out);
}

static void add_instance(struct host *host) {
    if (host->instances == INSTANCES_MAX) {
        fprintf(stderr, "flbhost: more than %d instances\n", INSTANCES_MAX);
        exit(EXIT_USAGE);
    }
    struct instance *instance = &host->instance[host->instances];
    instance->number = host->instances++;
    instance->host = host;
    instance->workers = -1;
    instance->retries = -2;
}

static int number(const char *what, const char *text, int min, int max) {
    char *end;
    long n = strtol(text, &end, 10);

    if (*text == 0 || *end != 0 || n < min || n > max) {
        fprintf(stderr, "flbhost: %s %s: want a number from %d to %d\n", what, text, min, max);
        exit(EXIT_USAGE);
    }
    return (int) n;
}

static void add_property(struct host *host, const char *text) {
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        fprintf(stderr, "flbhost: property %s: want KEY=VALUE\n", text);
        exit(EXIT_USAGE);
    }
    if (host->instances == 0) {
        add_instance(host);
    }
    struct instance *instance = &host->instance[host->instances - 1];
    struct property *prop = must_alloc(sizeof *prop);
    struct property **end = &instance->properties;
    prop->key = strndup(text, (size_t) (equals - text));
    prop->value = strdup(equals + 1);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = prop;
    if (strcasecmp(prop->key, "workers") == 0) {
        instance->workers = number("workers", prop->value, 0, WORKERS_MAX);
    } else if (strcasecmp(prop->key, "retry_limit") == 0) {
        int unlimited = strcasecmp(prop->value, "no_limits") == 0 || strcasecmp(prop->value, "false") == 0;
        instance->retries = unlimited ? -1 : number("retry_limit", prop->value, 0, 1 << 30);
    }
}

static int log_level(const char *name) {
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0) {
            return i + 1;
        }
    }
    fprintf(stderr, "flbhost: log level %s: want error, warn, info or debug\n", name);
    exit(EXIT_USAGE);
}

static void defaults(struct options *o) {
    o->tag = "host";
    o->repeat = 1;
    o->retries = 1;
    o->retry_wait_ms = 100;
    o->reload_wait_ms = 10000;
    o->grace_ms = 5000;
    o->log_level = LOG_INFO;
    o->coroutine_stack = 24576;
}

enum { OPT_PLUGIN = 256, OPT_INSTANCE, OPT_CHUNKS, OPT_TAG, OPT_WORKERS, OPT_STACK, OPT_REPEAT, OPT_INTERVAL, OPT_RETRIES,
       OPT_RETRY_WAIT, OPT_RELOAD_EVERY, OPT_RELOAD_WAIT, OPT_GRACE, OPT_STOP_FILE, OPT_LOG_LEVEL, OPT_HELP };

static void option(struct host *host, int c, char **argv) {
    struct options *o = &host->options;
    const int most = 1 << 30;

    switch (c) {
    case 'p': add_property(host, optarg); break;
    case OPT_INSTANCE:
        add_instance(host);
        if (argv[optind] != NULL && argv[optind][0] != '-') {
            add_property(host, argv[optind++]);
        }
        break;
    case OPT_PLUGIN: o->plugin = optarg; break;
    case OPT_CHUNKS: o->chunks = optarg; break;
    case OPT_TAG: o->tag = optarg; break;
    case OPT_STOP_FILE: o->stop_file = optarg; break;
    case OPT_LOG_LEVEL: o->log_level = log_level(optarg); break;
    case OPT_WORKERS: o->workers = number("--workers", optarg, 0, WORKERS_MAX); break;
    case OPT_STACK: o->coroutine_stack = (size_t) number("--coroutine-stack", optarg, 0, most); break;
    case OPT_REPEAT: o->repeat = number("--repeat", optarg, 0, most); break;
    case OPT_INTERVAL: o->interval_ms = number("--interval", optarg, 0, most); break;
    case OPT_RETRIES: o->retries = number("--retries", optarg, -1, most); break;
    case OPT_RETRY_WAIT: o->retry_wait_ms = number("--retry-wait", optarg, 0, most); break;
    case OPT_RELOAD_EVERY: o->reload_every = number("--reload-every", optarg, 0, most); break;
    case OPT_RELOAD_WAIT: o->reload_wait_ms = number("--reload-wait", optarg, 0, most); break;
    case OPT_GRACE: o->grace_ms = number("--grace", optarg, 0, most); break;
    case OPT_HELP: usage(stdout); exit(0);
    case 0: break; /* a switch, set by getopt_long */
    default: usage(stderr); exit(EXIT_USAGE);
    }
}

static void parse(struct host *host, int argc, char **argv) {
    struct options *o = &host->options;
    const struct option known[] = {
        {"plugin", 1, NULL, OPT_PLUGIN}, {"instance", 0, NULL, OPT_INSTANCE}, {"chunks", 1, NULL, OPT_CHUNKS},
        {"tag", 1, NULL, OPT_TAG}, {"workers", 1, NULL, OPT_WORKERS}, {"coroutine-stack", 1, NULL, OPT_STACK},
        {"repeat", 1, NULL, OPT_REPEAT}, {"interval", 1, NULL, OPT_INTERVAL}, {"retries", 1, NULL, OPT_RETRIES},
        {"retry-wait", 1, NULL, OPT_RETRY_WAIT}, {"reload-every", 1, NULL, OPT_RELOAD_EVERY},
        {"reload-wait", 1, NULL, OPT_RELOAD_WAIT}, {"grace", 1, NULL, OPT_GRACE}, {"stop-file", 1, NULL, OPT_STOP_FILE},
        {"log-level", 1, NULL, OPT_LOG_LEVEL}, {"help", 0, NULL, OPT_HELP}, {"hold", 0, &o->hold, 1},
        {"stats", 0, &o->stats, 1}, {"guard", 0, &o->guard, 1}, {"old-def", 0, &o->old_def, 1}, {"skip-null-exit", 0, &o->skip_null_exit, 1}, {0},
    };
    int c;

    defaults(o);
    while ((c = getopt_long(argc, argv, "+p:", known, NULL)) != -1) {
        option(host, c, argv);
    }
    if (optind < argc || o->plugin == NULL) {
        usage(stderr);
        exit(EXIT_USAGE);
    }
    if (host->instances == 0) {
        add_instance(host);
    }
    for (int i = 0; i < host->instances; i++) {
        struct instance *instance = &host->instance[i];
        instance->workers = instance->workers < 0 ? o->workers : instance->workers;
        instance->retries = instance->retries < -1 ? o->retries : instance->retries;
    }
}

/* Hot reload: the new plugin registers while the old one still runs. */
static int reload(struct host *host) {
    struct proxy next = {0};

    reload_asked = 0;
    if (proxy_load(host, &next, 1) != 0) {
        return -1;
    }
    /* The real one waits for ever here. */
    if (!drain(host, host->options.reload_wait_ms)) {
        host->stats.reloads_stuck++;
        host_log(LOG_ERROR, "reload is stuck: %d chunks are still in retry", host->outstanding);
    }
    proxy_stop(host, 1);
    host->proxy = next;
    host->stats.reloads++;
    return proxy_start(host, 1);
}

static void pause_ms(struct host *host, int ms) {
    int64_t end = now_us() + (int64_t) ms * 1000;

    while (!stop_asked && now_us() < end) {
        int64_t left = (end - now_us()) / 1000 + 1;
        dispatch(host, left < 20 ? (int) left : 20);
    }
}

static int deliver_file(struct host *host, FILE *file) {
    struct options *o = &host->options;
    struct chunk *chunk;

    while (!stop_asked && (chunk = chunk_read(file, o->tag)) != NULL) {
        host->stats.chunks++;
        host->stats.bytes += (int64_t) chunk->size;
        host->stats.records += chunk_records(chunk->data, chunk->size);
        pthread_mutex_lock(&host->lock);
        for (int i = 0; i < host->instances; i++) {
            submit(host, &host->instance[i], chunk);
        }
        chunk_release(chunk);
        pthread_mutex_unlock(&host->lock);
        dispatch(host, 0);
        while (!stop_asked && host->outstanding >= host->instances * (WORKERS_MAX + QUEUE_DEPTH)) {
            dispatch(host, 20); /* bounds the memory of a large file */
        }
        pause_ms(host, o->interval_ms);
        int due = o->reload_every > 0 && host->stats.chunks % o->reload_every == 0;
        if ((due || reload_asked) && reload(host) != 0) {
            return -1;
        }
    }
    return 0;
}

static int deliver(struct host *host) {
    struct options *o = &host->options;

    for (int i = 0; o->chunks != NULL && i < o->repeat && !stop_asked; i++) {
        FILE *file = strcmp(o->chunks, "-") == 0 ? stdin : fopen(o->chunks, "rb");
        if (file == NULL) {
            host_log(LOG_ERROR, "cannot open chunk file %s", o->chunks);
            return -1;
        }
        int failed = deliver_file(host, file);
        fclose(file);
        if (failed) {
            return -1;
        }
    }
    while (host->outstanding > 0 && !stop_asked) {
        dispatch(host, 20);
        if (reload_asked && reload(host) != 0) {
            return -1;
        }
    }
    while ((o->hold || o->stop_file != NULL) && !stop_asked) {
        if (o->stop_file != NULL && access(o->stop_file, F_OK) == 0) {
            break;
        }
        dispatch(host, 20);
        if (reload_asked && reload(host) != 0) {
            return -1;
        }
    }
    drain(host, o->grace_ms);
    return 0;
}

/* The most memory this process had. ru_maxrss is no use: it starts with that of whoever started it. */
static long peak_kb(void) {
    char line[256];
    long kb = 0;
    FILE *status = fopen("/proc/self/status", "r");

    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) {
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kb;
}

static void print_stats(struct host *host, int64_t start_us) {
    struct stats *s = &host->stats;
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    printf("{\"chunks\":%lld,\"records\":%lld,\"bytes\":%lld,\"flushes\":%lld,\"ok\":%lld,\"retry\":%lld,\"error\":%lld,"
           "\"dropped\":%lld,\"reloads\":%lld,\"reloads_stuck\":%lld,\"foreign_logs\":%lld,\"flush_us_max\":%lld,"
           "\"stack_used_max\":%zu,\"wall_ms\":%lld,\"user_ms\":%lld,\"sys_ms\":%lld,\"max_rss_kb\":%ld}\n",
           (long long) s->chunks, (long long) s->records, (long long) s->bytes, (long long) s->flushes, (long long) s->ok,
           (long long) s->retry, (long long) s->error, (long long) s->dropped, (long long) s->reloads,
           (long long) s->reloads_stuck, (long long) s->foreign_logs, (long long) s->flush_us_max, s->stack_used_max,
           (long long) (now_us() - start_us) / 1000, (long long) use.ru_utime.tv_sec * 1000 + use.ru_utime.tv_usec / 1000,
           (long long) use.ru_stime.tv_sec * 1000 + use.ru_stime.tv_usec / 1000, peak_kb());
}

static void free_properties(struct host *host) {
    for (int i = 0; i < host->instances; i++) {
        struct property *next;

        for (struct property *p = host->instance[i].properties; p != NULL; p = next) {
            next = p->next;
            free(p->key);
            free(p->value);
            free(p);
        }
    }
}

static int run(struct host *host) {
    int64_t start = now_us();

    if (proxy_load(host, &host->proxy, 0) != 0) {
        return EXIT_START;
    }
    int failed = proxy_start(host, 0) != 0 || deliver(host) != 0;
    if (host->proxy.plugin != NULL) {
        proxy_stop(host, 0);
    }
    drop_waiting(host);
    if (host->options.stats) {
        print_stats(host, start);
    }
    if (failed) {
        return EXIT_START;
    }
    return host->stats.dropped > 0 || host->stats.reloads_stuck > 0 ? EXIT_UNDELIVERED : EXIT_DELIVERED;
}

int main(int argc, char **argv) {
    struct host *host = must_alloc(sizeof *host);
    /* On the alternate stack: the signal may reach a thread of the Go runtime. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
    pthread_condattr_t attr;

    thread_is_ours(host);
    parse(host, argc, argv);
    api_fill(&host->api);
    pthread_mutex_init(&host->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&host->changed, &attr);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    int status = run(host);
    free_properties(host);
    free(host);
    return status;
}

/*
 * One call of the plugin's flush, on a stack as small as Fluent Bit gives it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "host.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define POISON 0xDD
#define PAINT 0xA5

struct call {
    struct flb_go_plugin *plugin;
    void *context;
    void *data;
    size_t size;
    char *tag;
    int result;
    ucontext_t caller, coroutine;
#ifdef __SANITIZE_ADDRESS__
    const void *caller_stack;
    size_t caller_stack_size;
#endif
};

static void call_plugin(struct call *call) {
    if (call->plugin->cb_flush_ctx != NULL) {
        call->result = call->plugin->cb_flush_ctx(call->context, call->data, call->size, call->tag);
    } else {
        call->result = call->plugin->cb_flush(call->data, call->size, call->tag);
    }
}

/* makecontext passes ints only: a pointer comes in two halves. */
static void coroutine_main(unsigned int high, unsigned int low) {
    struct call *call = (struct call *) ((uintptr_t) high << 32 | low);

#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &call->caller_stack, &call->caller_stack_size);
#endif
    call_plugin(call);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(NULL, call->caller_stack, call->caller_stack_size);
#endif
    swapcontext(&call->coroutine, &call->caller);
}

static void stack_used(struct host *host, const unsigned char *stack, size_t size) {
    size_t untouched = 0;

    while (untouched < size && stack[untouched] == PAINT) {
        untouched++;
    }
    pthread_mutex_lock(&host->lock);
    if (size - untouched > host->stats.stack_used_max) {
        host->stats.stack_used_max = size - untouched;
    }
    pthread_mutex_unlock(&host->lock);
}

/*
 * Runs the call on a coroutine. Below its stack lies a page that may not be
 * touched: where Fluent Bit would silently overwrite its heap, this crashes.
 */
static void call_on_coroutine(struct host *host, struct call *call) {
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t size = (host->options.coroutine_stack + page - 1) / page * page;
    unsigned char *area = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (area == MAP_FAILED || mprotect(area, page, PROT_NONE) != 0) {
        fprintf(stderr, "flbhost: cannot map a stack of %zu bytes\n", size);
        exit(1);
    }
    unsigned char *stack = area + page;
    memset(stack, PAINT, size);
    getcontext(&call->coroutine);
    call->coroutine.uc_stack.ss_sp = stack;
    call->coroutine.uc_stack.ss_size = size;
    call->coroutine.uc_link = NULL;
    uintptr_t p = (uintptr_t) call;
    makecontext(&call->coroutine, (void (*)(void)) coroutine_main, 2, (unsigned int) (p >> 32), (unsigned int) p);
#ifdef __SANITIZE_ADDRESS__
    void *fake;
    __sanitizer_start_switch_fiber(&fake, stack, size);
#endif
    swapcontext(&call->caller, &call->coroutine);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
    stack_used(host, stack, size);
    munmap(area, page + size);
}

/*
 * Data and tag are the plugin's during the call only, and it shall notice: after
 * it they are overwritten and freed. With --guard they end at the end of a page,
 * before one that cannot be read, and cannot be read either after the call;
 * their addresses are not used again.
 */
static void *copy(struct host *host, const void *p, size_t size) {
    if (!host->options.guard) {
        void *c = must_alloc(size);
        return size > 0 ? memcpy(c, p, size) : c;
    }
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page * page;
    unsigned char *area = mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || mprotect(area + pages, page, PROT_NONE) != 0) {
        fprintf(stderr, "flbhost: cannot map %zu bytes\n", pages);
        exit(1);
    }
    return memcpy(area + pages - size, p, size);
}

static void take_back(struct host *host, void *p, size_t size) {
    memset(p, POISON, size);
    if (!host->options.guard) {
        __asm__ volatile("" : : "r"(p) : "memory"); /* or it would be optimised away before free */
        free(p);
        return;
    }
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page * page;
    unsigned char *area = (unsigned char *) p + size - pages;
    if (madvise(area, pages, MADV_DONTNEED) != 0 || mprotect(area, pages, PROT_NONE) != 0) {
        fprintf(stderr, "flbhost: cannot take back %zu bytes\n", pages);
        exit(1);
    }
}

int flush(struct host *host, struct instance *instance, const struct chunk *chunk) {
    struct call *call = must_alloc(sizeof *call);
    int64_t start = now_us();

    call->plugin = host->proxy.plugin;
    call->context = instance->context->remote_context;
    call->size = chunk->size;
    call->data = copy(host, chunk->data, chunk->size);
    call->tag = copy(host, chunk->tag, strlen(chunk->tag) + 1);
    if (host->options.coroutine_stack > 0) {
        call_on_coroutine(host, call);
    } else {
        call_plugin(call);
    }
    take_back(host, call->data, call->size);
    take_back(host, call->tag, strlen(chunk->tag) + 1);
    int result = call->result;
    free(call);

    int64_t took = now_us() - start;
    pthread_mutex_lock(&host->lock);
    host->stats.flushes++;
    if (took > host->stats.flush_us_max) {
        host->stats.flush_us_max = took;
    }
    pthread_mutex_unlock(&host->lock);
    return result;
}

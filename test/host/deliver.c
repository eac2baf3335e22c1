/*
 * Who flushes what, and when again. The main thread plays Fluent Bit's engine:
 * it hands jobs to the workers in turn, or flushes itself where an instance has
 * none, and brings back what the plugin asked to retry.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host.h"

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct host *host = w->host;

    thread_is_ours(host);
    pthread_mutex_lock(&host->lock);
    for (;;) {
        while (w->length == 0 && !w->stop) {
            pthread_cond_wait(&host->changed, &host->lock);
        }
        if (w->length == 0) {
            break;
        }
        struct job *job = w->queue[w->head];
        pthread_mutex_unlock(&host->lock);
        int result = flush(host, w->instance, job->chunk);
        pthread_mutex_lock(&host->lock);
        w->head = (w->head + 1) % QUEUE_DEPTH;
        w->length--;
        job->result = result;
        job->next = host->finished;
        host->finished = job;
        pthread_cond_broadcast(&host->changed);
    }
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

void workers_start(struct instance *instance) {
    for (int i = 0; i < instance->workers; i++) {
        struct worker *w = &instance->worker[i];

        memset(w, 0, sizeof *w);
        w->host = instance->host;
        w->instance = instance;
        int err = pthread_create(&w->thread, NULL, worker_main, w);
        if (err != 0) {
            fprintf(stderr, "flbhost: cannot start worker %d: %s\n", i, strerror(err));
            exit(1);
        }
    }
}

/* Without a timeout, like the real one: a flush that hangs holds the process. */
void workers_join(struct instance *instance) {
    struct host *host = instance->host;

    pthread_mutex_lock(&host->lock);
    for (int i = 0; i < instance->workers; i++) {
        instance->worker[i].stop = 1;
    }
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    for (int i = 0; i < instance->workers; i++) {
        pthread_join(instance->worker[i].thread, NULL);
    }
}

void submit(struct host *host, struct instance *instance, struct chunk *chunk) {
    struct job *job = must_alloc(sizeof *job);
    struct job **end = &host->waiting;

    chunk->references++;
    job->chunk = chunk;
    job->instance = instance;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = job;
    host->outstanding++;
}

static void forget(struct host *host, struct job *job) {
    chunk_release(job->chunk);
    free(job);
    host->outstanding--;
}

/* What the core does with a plugin's answer. */
static void settle(struct host *host, struct job *job) {
    int retries = job->instance->retries;

    job->attempts++;
    switch (job->result) {
    case FLUSH_OK:
        host->stats.ok++;
        forget(host, job);
        return;
    case FLUSH_RETRY:
        host->stats.retry++;
        if (retries < 0 || job->attempts <= retries) {
            job->due_us = now_us() + (int64_t) host->options.retry_wait_ms * 1000;
            job->next = host->waiting;
            host->waiting = job;
            return;
        }
        host_log(LOG_WARN, "chunk of %zu bytes cannot be retried: tag=%s output=%d, %d attempts", job->chunk->size,
                 job->chunk->tag, job->instance->number, job->attempts);
        break;
    default:
        host->stats.error++;
        host_log(LOG_ERROR, "chunk of %zu bytes refused with %d: tag=%s output=%d", job->chunk->size, job->result,
                 job->chunk->tag, job->instance->number);
    }
    host->stats.dropped++;
    forget(host, job);
}

static void settle_finished(struct host *host) {
    while (host->finished != NULL) {
        struct job *job = host->finished;

        host->finished = job->next;
        settle(host, job);
    }
}

/* Hands job to the next worker in turn, or returns 0 if its queue is full. */
static int hand_over(struct host *host, struct job *job) {
    struct instance *instance = job->instance;

    if (instance->workers == 0) {
        pthread_mutex_unlock(&host->lock);
        job->result = flush(host, instance, job->chunk);
        pthread_mutex_lock(&host->lock);
        job->next = host->finished;
        host->finished = job;
        return 1;
    }
    struct worker *w = &instance->worker[instance->next_worker];
    if (w->length == QUEUE_DEPTH) {
        return 0;
    }
    instance->next_worker = (instance->next_worker + 1) % instance->workers;
    w->queue[(w->head + w->length) % QUEUE_DEPTH] = job;
    w->length++;
    pthread_cond_broadcast(&host->changed);
    return 1;
}

/* Hands over one job that is due. Returns 0 if there is none that can be. */
static int hand_over_one(struct host *host) {
    int64_t now = now_us();

    for (struct job **p = &host->waiting; *p != NULL; p = &(*p)->next) {
        struct job *job = *p, *next = job->next;

        if (job->due_us > now) {
            continue;
        }
        *p = next; /* before the lock is let go: the list may change in there */
        if (hand_over(host, job)) {
            return 1;
        }
        *p = job;
        job->next = next;
    }
    return 0;
}

static void wait_for_change(struct host *host, int64_t us) {
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += us / 1000000;
    until.tv_nsec += us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&host->changed, &host->lock, &until);
}

/* Dispatches what is due and settles what has finished; waits for more if there was nothing. */
void dispatch(struct host *host, int wait_ms) {
    int moved = 0;

    pthread_mutex_lock(&host->lock);
    settle_finished(host);
    while (hand_over_one(host)) {
        moved = 1;
        settle_finished(host);
    }
    if (!moved && wait_ms > 0 && host->finished == NULL) {
        int64_t wait = (int64_t) wait_ms * 1000;
        for (struct job *job = host->waiting; job != NULL; job = job->next) {
            int64_t left = job->due_us - now_us();
            if (left > 0 && left < wait) {
                wait = left;
            }
        }
        wait_for_change(host, wait);
        settle_finished(host);
    }
    pthread_mutex_unlock(&host->lock);
}

/* Returns 1 when every job is done, 0 on timeout. A negative timeout waits on. */
int drain(struct host *host, int timeout_ms) {
    int64_t end = now_us() + (int64_t) timeout_ms * 1000;

    while (host->outstanding > 0) {
        if (timeout_ms >= 0 && now_us() >= end) {
            return 0;
        }
        dispatch(host, 20);
    }
    return 1;
}

/* Gives up what waits for another attempt, at shutdown. */
void drop_waiting(struct host *host) {
    pthread_mutex_lock(&host->lock);
    settle_finished(host);
    while (host->waiting != NULL) {
        struct job *job = host->waiting;

        host->waiting = job->next;
        host->stats.dropped++;
        forget(host, job);
    }
    pthread_mutex_unlock(&host->lock);
}

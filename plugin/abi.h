#ifndef LOGSCOPE_ABI_H
#define LOGSCOPE_ABI_H

/* What a plugin answers to its host. */
#define LOGSCOPE_ERROR 0
#define LOGSCOPE_OK 1
#define LOGSCOPE_RETRY 2

/* Where an instance's log lines go. */
struct logscope_host {
    void *api;
    void *instance;
};

/* Reads what is needed of the struct that the host passes to Init. */
void logscope_host_of(void *plugin, struct logscope_host *host);

/* Levels: 1 error, 2 warn, 3 info, 4 debug. */
#define LOGSCOPE_LOG_ERROR 1

int logscope_log_check(struct logscope_host *host, int level);
void logscope_log_print(struct logscope_host *host, int level, const char *text);

#endif

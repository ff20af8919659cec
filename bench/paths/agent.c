// A host of Linux's: a network namespace of its own, which is gone when this program ends, and it ends with its input.
// Commands come by lines, answers go by lines of JSON.
//   write PATH VALUE ...               into /proc/sys of the namespace
//   sink ID PORT SECONDS               take one connection, count what it brings within SECONDS
//   send ID ADDRESS PORT SECONDS CC    fill a connection for SECONDS
//   dropped ID DEVICE                  packets that the device's own queue dropped
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

struct task {
    char id[64], address[64], congestion[16];
    int port;
    double seconds;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void *failed(struct task *task, const char *what) {
    printf("{\"id\":\"%s\",\"error\":\"%s: %s\"}\n", task->id, what, strerror(errno));
    free(task);
    return NULL;
}

/** Wait for `events` until `end`; whether they came. */
static int await(int fd, short events, double end) {
    double left = end - now();
    struct pollfd wanted = {fd, events, 0};
    return left > 0 && poll(&wanted, 1, (int)(left * 1000) + 1) > 0 && now() < end;
}

static void *sink(void *argument) {
    struct task *task = argument;
    static char bin[CHUNK];
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(task->port)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1) < 0)
        return failed(task, "listen");
    printf("{\"id\":\"%s\",\"listening\":true}\n", task->id);
    if (!await(listener, POLLIN, now() + 30)) return failed(task, "nobody connects");
    int peer = accept(listener, NULL, NULL);
    close(listener);
    fcntl(peer, F_SETFL, O_NONBLOCK);
    double start = now(), end = start + task->seconds;
    uint64_t octets = 0, marks[10] = {0};
    while (await(peer, POLLIN, end)) {
        ssize_t got = read(peer, bin, sizeof bin);
        if (got == 0 || (got < 0 && errno != EAGAIN)) break;
        if (got > 0) octets += got;
        int tenth = (int)((now() - start) / task->seconds * 10);
        if (tenth < 10) marks[tenth] = octets;
    }
    double seconds = now() - start;
    close(peer);
    flockfile(stdout);
    printf("{\"id\":\"%s\",\"octets\":%lu,\"seconds\":%f,\"marks\":[", task->id, octets, seconds);
    for (int i = 0; i < 10; i++) printf(i ? ",%lu" : "%lu", marks[i]);
    printf("]}\n");
    funlockfile(stdout);
    free(task);
    return NULL;
}

static void *fill(void *argument) {
    struct task *task = argument;
    static const char text[CHUNK];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(task->port)};
    inet_pton(AF_INET, task->address, &to.sin_addr);
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, task->congestion, strlen(task->congestion)) < 0)
        return failed(task, task->congestion);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return failed(task, "connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    double start = now(), end = start + task->seconds;
    while (await(fd, POLLOUT, end))
        if (send(fd, text, sizeof text, MSG_NOSIGNAL) < 0 && errno != EAGAIN) break;
    // A receiver that has had enough may have been quicker; what this is about has been counted.
    struct tcp_info info;
    socklen_t length = sizeof info;
    memset(&info, 0, sizeof info);
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    struct linger none = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
    printf("{\"id\":\"%s\",\"bytesSent\":%llu,\"bytesRetrans\":%llu,\"bytesAcked\":%llu,\"totalRetrans\":%u,"
           "\"rtt\":%u,\"minRtt\":%u,\"sndCwnd\":%u,\"sndSsthresh\":%u,\"reordering\":%u,\"dsackDups\":%u}\n",
           task->id, info.tcpi_bytes_sent, info.tcpi_bytes_retrans, info.tcpi_bytes_acked, info.tcpi_total_retrans,
           info.tcpi_rtt, info.tcpi_min_rtt, info.tcpi_snd_cwnd, info.tcpi_snd_ssthresh, info.tcpi_reordering,
           info.tcpi_dsack_dups);
    free(task);
    return NULL;
}

static void write_setting(const char *path, const char *value) {
    char whole[256];
    snprintf(whole, sizeof whole, "/proc/sys/%s", path);
    FILE *file = fopen(whole, "w");
    if (file == NULL || fprintf(file, "%s", value) < 0 || fclose(file) != 0)
        printf("{\"id\":\"%s\",\"error\":\"cannot write %s\"}\n", path, whole);
    else
        printf("{\"id\":\"%s\"}\n", path);
}

static void dropped(const char *id, const char *device) {
    char line[512], name[64];
    unsigned long count = 0, found;
    FILE *file = fopen("/proc/thread-self/net/dev", "r");
    while (file != NULL && fgets(line, sizeof line, file))
        if (sscanf(line, " %63[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", name, &found) == 2 &&
            strcmp(name, device) == 0)
            count = found;
    if (file != NULL) fclose(file);
    printf("{\"id\":\"%s\",\"dropped\":%lu}\n", id, count);
}

int main(void) {
    char line[512];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (unshare(CLONE_NEWNET) < 0) {
        perror("unshare");
        return 1;
    }
    printf("{\"id\":\"ready\"}\n");
    while (fgets(line, sizeof line, stdin)) {
        struct task *task = calloc(1, sizeof *task);
        char path[128], value[128];
        pthread_t thread;
        void *(*work)(void *) = NULL;
        if (sscanf(line, "sink %63s %d %lf", task->id, &task->port, &task->seconds) == 3)
            work = sink;
        else if (sscanf(line, "send %63s %63s %d %lf %15s", task->id, task->address, &task->port, &task->seconds,
                        task->congestion) == 5)
            work = fill;
        else if (sscanf(line, "write %127s %127[^\n]", path, value) == 2)
            write_setting(path, value);
        else if (sscanf(line, "dropped %127s %127s", path, value) == 2)
            dropped(path, value);
        else
            fprintf(stderr, "what is %s", line);
        if (work != NULL && pthread_create(&thread, NULL, work, task) == 0)
            pthread_detach(thread);
        else
            free(task);
    }
    return 0;
}

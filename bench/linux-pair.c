/*
 * Linux's own TCP, asked for what the benchmarks ask of Synwave: one thread, epoll, no buffering, no Nagle.
 *
 *   linux-pair serve FIRST_PORT PORTS
 *       answers requests on so many ports, until stdin ends; each line of stdin is answered by the nanoseconds of
 *       processor time used so far.
 *   linux-pair connect ADDRESS FIRST_PORT PORTS COUNT AT_ONCE
 *       COUNT connections, AT_ONCE at a time, each of one request and one response; prints nanoseconds of processor time.
 *   linux-pair ping ADDRESS PORT COUNT
 *       one octet there and back, COUNT times; prints nanoseconds of processor time, and then of real time, sorted, each.
 *
 * Ends with 1 and a message when anything fails or ten seconds pass without an event.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST 64
#define RESPONSE 512
#define EVENTS 256
#define PATIENCE_MS 10000

static void fail(const char *what) {
  fprintf(stderr, "linux-pair: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t used(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

static void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void watch(int poll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static int ready(int poll, struct epoll_event *events) {
  int count = epoll_wait(poll, events, EVENTS, PATIENCE_MS);
  if (count == 0) errno = ETIMEDOUT;
  if (count <= 0) fail("epoll_wait");
  return count;
}

static uint8_t request[REQUEST], response[RESPONSE];

static void serve(int first, int ports) {
  enum { LISTENER = 1, INPUT = 2 };
  int poll = epoll_create1(0);
  for (int port = first; port < first + ports; port++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0) fail("listen");
    watch(poll, fd, EPOLLIN, (uint64_t)fd << 2 | LISTENER);
  }
  watch(poll, 0, EPOLLIN, INPUT);
  printf("ready\n");
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int kind = events[i].data.u64 & 3, fd = (int)(events[i].data.u64 >> 2);
      if (kind == INPUT) {
        char line[64];
        if (read(0, line, sizeof line) <= 0) return;
        printf("%lld\n", (long long)used());
      } else if (kind == LISTENER) {
        int peer;
        while ((peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          no_delay(peer);
          watch(poll, peer, EPOLLIN, (uint64_t)peer << 2);
        }
      } else {
        uint8_t text[4096];
        ssize_t got = read(fd, text, sizeof text);
        if (got == 1) {
          if (write(fd, text, 1) != 1) fail("write");
        } else if (got > 0) {
          if (write(fd, response, RESPONSE) != RESPONSE) fail("write");
        } else if (got == 0 || errno != EAGAIN)
          close(fd);
      }
    }
  }
}

static int start(int poll, const char *address, int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  no_delay(fd);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, address, &to.sin_addr);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
  watch(poll, fd, EPOLLOUT, (uint64_t)fd);
  return fd;
}

static void connect_many(const char *address, int first, int ports, int count, int at_once) {
  int poll = epoll_create1(0), started = 0, done = 0;
  static int got[65536];
  int64_t begin = used();
  while (started < count && started < at_once) start(poll, address, first + started++ % ports);
  while (done < count) {
    struct epoll_event events[EVENTS];
    int ready_count = ready(poll, events);
    for (int i = 0; i < ready_count; i++) {
      int fd = (int)events[i].data.u64;
      if (events[i].events & EPOLLOUT) {
        if (write(fd, request, REQUEST) != REQUEST) fail("write");
        got[fd] = 0;
        struct epoll_event in = {.events = EPOLLIN, .data.u64 = (uint64_t)fd};
        epoll_ctl(poll, EPOLL_CTL_MOD, fd, &in);
        continue;
      }
      uint8_t text[4096];
      ssize_t octets = read(fd, text, sizeof text);
      if (octets <= 0) fail("read");
      if ((got[fd] += (int)octets) < RESPONSE) continue;
      close(fd);
      done++;
      if (started < count) start(poll, address, first + started++ % ports);
    }
  }
  printf("%lld\n", (long long)(used() - begin));
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void ping(const char *address, int port, int count) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, address, &to.sin_addr);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  no_delay(fd);
  int64_t *times = malloc(sizeof *times * (size_t)count), begin = used();
  for (int i = 0; i < count; i++) {
    uint8_t octet = (uint8_t)i;
    int64_t sent = clock_ns(CLOCK_MONOTONIC);
    if (write(fd, &octet, 1) != 1 || read(fd, &octet, 1) != 1 || octet != (uint8_t)i) fail("ping");
    times[i] = clock_ns(CLOCK_MONOTONIC) - sent;
  }
  int64_t processor = used() - begin;
  qsort(times, (size_t)count, sizeof *times, ascending);
  printf("%lld", (long long)processor);
  for (int i = 0; i < count; i++) printf(" %lld", (long long)times[i]);
  printf("\n");
  free(times);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  if (argc == 4 && strcmp(argv[1], "serve") == 0) serve(atoi(argv[2]), atoi(argv[3]));
  else if (argc == 7 && strcmp(argv[1], "connect") == 0)
    connect_many(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
  else if (argc == 5 && strcmp(argv[1], "ping") == 0) ping(argv[2], atoi(argv[3]), atoi(argv[4]));
  else {
    fprintf(stderr, "usage: see linux-pair.c\n");
    return 2;
  }
  return 0;
}

/*
 * Linux's own TCP, asked for what the bulk benchmark asks of Synwave: one thread, on one processor, has both ends of all
 * connections and moves text from the ones to the others.
 *
 *   linux-bulk SERVER_NETNS CLIENT_NETNS CPU
 *       does what each line of stdin says, until it ends, and answers each with a line:
 *         open SET ADDRESS COUNT       opens connections to an address of the server's namespace; "ready"
 *         move SET FLOWS IN_TURN WAYS OCTETS
 *                                      moves so many octets each way over the first FLOWS of them, IN_TURN chunks to one of them
 *                                      after the other; the nanoseconds it took
 *   linux-bulk plain DEVICE
 *       takes from a device of this namespace all it could do for TCP: segmentation, coalescing, checksums, scattered data.
 *
 * What counts is the processor's time: real time, for nothing here ever waits, without what this thread was kept from running,
 * and with what ksoftirqd ran for it. Processor time by the thread's own account lacks what interrupts do on some kernels.
 *
 * Ends with 1 and a message when anything fails, or when nothing moves for five seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SETS 16
#define MOST_FLOWS 1000
#define PORT 5000
/* As the benchmark's: what is written at a time, and how often before what has arrived is read. */
#define CHUNK (64 * 1024)
#define CHUNKS 4
#define PATIENCE_NS 5000000000

static void fail(const char *what) {
  fprintf(stderr, "linux-bulk: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Of a thread: nanoseconds it has run, and nanoseconds it was kept waiting. */
struct account {
  int64_t ran, waited;
};

static char softirq_path[64];

static struct account account(const char *path) {
  struct account it = {0, 0};
  long long ran, waited;
  FILE *file = fopen(path, "r");
  if (file == NULL) return it;
  if (fscanf(file, "%lld %lld", &ran, &waited) == 2) it = (struct account){ran, waited};
  fclose(file);
  return it;
}

/* The thread that does what interrupts left over on a processor. */
static void find_softirq(int cpu) {
  for (int pid = 1; pid < 1000; pid++) {
    char path[64], name[64] = "", wanted[32];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    if (fscanf(file, "%63s", name) != 1) name[0] = 0;
    fclose(file);
    snprintf(wanted, sizeof wanted, "ksoftirqd/%d", cpu);
    if (strcmp(name, wanted) == 0) snprintf(softirq_path, sizeof softirq_path, "/proc/%d/schedstat", pid);
  }
}

/* Nanoseconds of the processor's time since some beginning. */
static int64_t used(void) {
  return clock_ns() - account("/proc/thread-self/schedstat").waited + account(softirq_path).ran;
}

static void enter(const char *netns) {
  char path[128];
  snprintf(path, sizeof path, "/var/run/netns/%s", netns);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(path);
  close(fd);
}

/* Both ends of all connections; near ones are the client's. */
static struct set {
  int near[MOST_FLOWS], far[MOST_FLOWS];
} sets[SETS];

static int tcp(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
  if (fd < 0) fail("socket");
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0) fail("TCP_CONGESTION");
  return fd;
}

static void connect_all(struct set *set, const char *netns[2], const char *address, int count) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (inet_pton(AF_INET, address, &at.sin_addr) != 1) fail(address);
  enter(netns[0]);
  int listener = tcp(0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 16) < 0) fail("listen");
  enter(netns[1]);
  for (int i = 0; i < count; i++) {
    set->near[i] = tcp(0);
    if (connect(set->near[i], (struct sockaddr *)&at, sizeof at) < 0) fail("connect");
    fcntl(set->near[i], F_SETFL, O_NONBLOCK);
    set->far[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (set->far[i] < 0) fail("accept");
  }
  close(listener);
}

static uint8_t chunk[CHUNK], into[CHUNK];

/* One direction of the connections. */
struct way {
  int *from, *to;
  long long sent, received, writes;
};

/* Writes to the connections whose turn it is; whether anything was taken. */
static int put(struct way *way, int flows, int in_turn, long long octets) {
  int moved = 0;
  for (int i = 0; i < CHUNKS && way->sent < octets; i++) {
    long long left = octets - way->sent;
    ssize_t taken = write(way->from[way->writes++ / in_turn % flows], chunk, left < CHUNK ? (size_t)left : CHUNK);
    if (taken < 0 && errno != EAGAIN) fail("write");
    if (taken > 0) {
      way->sent += taken;
      moved = 1;
    }
  }
  return moved;
}

static int get_all(struct way *way, int flow) {
  int moved = 0;
  for (;;) {
    ssize_t got = read(way->to[flow], into, CHUNK);
    if (got == 0 || (got < 0 && errno != EAGAIN)) fail("read");
    if (got > 0) {
      way->received += got;
      moved = 1;
    }
    if (got < CHUNK) return moved;
  }
}

static int64_t move(struct set *set, int flows, int in_turn, int ways, long long octets) {
  struct way way[2] = {{.from = set->near, .to = set->far}, {.from = set->far, .to = set->near}};
  int64_t begin = used(), last = clock_ns();
  for (;;) {
    int done = 1, moved = 0;
    long long first[2];
    for (int i = 0; i < ways; i++) {
      first[i] = way[i].writes / in_turn;
      moved |= put(&way[i], flows, in_turn, octets);
    }
    for (int i = 0; i < ways; i++) {
      /* Those that were written to; or, when nothing was, whichever has something late. */
      int count = way[i].sent < octets && moved && flows > CHUNKS / in_turn ? CHUNKS / in_turn : flows;
      for (int j = 0; j < count; j++) moved |= get_all(&way[i], (int)((first[i] + j) % flows));
      if (way[i].received < octets) done = 0;
    }
    if (done) break;
    if (moved) last = clock_ns();
    else if (clock_ns() - last > PATIENCE_NS) {
      errno = ETIMEDOUT;
      fail("nothing moves");
    }
  }
  return used() - begin;
}

/* Ethernet devices are told one thing at a time. */
static void plain(const char *device) {
  static const uint32_t off[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_SSG, ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM};
  static const uint32_t is[] = {ETHTOOL_GTSO, ETHTOOL_GGSO, ETHTOOL_GGRO, ETHTOOL_GSG, ETHTOOL_GTXCSUM};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ethtool_value value;
  struct ifreq request = {.ifr_data = (char *)&value};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
    value = (struct ethtool_value){off[i], 0};
    /* What a device has for good is no matter as long as it is off. */
    ioctl(fd, SIOCETHTOOL, &request);
  }
  for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
    value = (struct ethtool_value){is[i], 1};
    if (ioctl(fd, SIOCETHTOOL, &request) < 0) fail("SIOCETHTOOL");
    if (value.data != 0) {
      errno = EOPNOTSUPP;
      fail("an offload stays on");
    }
  }
  close(fd);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "plain") == 0) {
    plain(argv[2]);
    return 0;
  }
  if (argc != 4) {
    fprintf(stderr, "usage: see linux-bulk.c\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  int cpu = atoi(argv[3]);
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  if (sched_setaffinity(0, sizeof only, &only) < 0) fail("sched_setaffinity");
  find_softirq(cpu);
  for (size_t i = 0; i < CHUNK; i++) chunk[i] = (uint8_t)(i * 7 + (i >> 8));
  const char *netns[2] = {argv[1], argv[2]};
  char line[256], address[64];
  while (fgets(line, sizeof line, stdin)) {
    int set, count, in_turn, ways;
    long long octets;
    if (sscanf(line, "open %d %63s %d", &set, address, &count) == 3 && set >= 0 && set < SETS && count <= MOST_FLOWS) {
      connect_all(&sets[set], netns, address, count);
      printf("ready\n");
    } else if (sscanf(line, "move %d %d %d %d %lld", &set, &count, &in_turn, &ways, &octets) == 5 && set >= 0 && set < SETS)
      printf("%lld\n", (long long)move(&sets[set], count, in_turn, ways, octets));
    else {
      errno = EINVAL;
      fail(line);
    }
  }
  return 0;
}

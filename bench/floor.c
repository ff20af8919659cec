/*
 * What plain C needs for the work Synwave cannot avoid: the reference its benchmarks are reported beside.
 *
 *   gcc -O3 -msse2 [-DSEGMENT=OCTETS] bench/floor.c -o build/floor && build/floor [MILLISECONDS [ROUTINE]]
 *
 * prints one line of JSON: nanoseconds of processor time per call of each routine, or of the one named: the median of
 * the repetitions that fit into the milliseconds. Every routine checks its result before it is timed, and the ordinary,
 * portable way of writing it is used: the compiler vectorizes.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Octets of text of a segment, less than APPLICATION. */
#ifndef SEGMENT
#define SEGMENT 1460
#endif
/* As many as make 91 KiB, or two. */
#define BATCH (SEGMENT * 2 < 64 * 1460 ? 64 * 1460 / SEGMENT : 2)
#define RING (256 * 1024)
#define APPLICATION (64 * 1024)
/* IPv4 and TCP headers, then the text, on an 8-octet boundary: packets lie in a batch like this. */
#define HEADERS 40
#define STRIDE ((HEADERS + SEGMENT + 7) & ~7)

/* What others do with the processor meanwhile does not count. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Keeps a result, and everything written to memory, alive for the optimizer. */
static void use(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* noipa below: without it gcc makes copies of a routine for the very addresses and lengths it is timed with. */

/* RFC 1071 */

static uint32_t fold(uint32_t sum) {
  sum = (sum >> 16) + (sum & 0xffff);
  return (sum >> 16) + (sum & 0xffff);
}

__attribute__((noipa)) static uint32_t checksum(const uint8_t *restrict at, size_t length) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) {
    uint16_t word;
    memcpy(&word, at + i, 2);
    sum += word;
  }
  if (length & 1) sum += at[length - 1];
  return fold(sum);
}

__attribute__((noipa)) static uint32_t copy_checksum(uint8_t *restrict to, const uint8_t *restrict from,
                                                        size_t length) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) {
    uint16_t word;
    memcpy(&word, from + i, 2);
    memcpy(to + i, &word, 2);
    sum += word;
  }
  if (length & 1) sum += to[length - 1] = from[length - 1];
  return fold(sum);
}

/* RFC 1321 */

#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
#define STEP(f, a, b, c, d, k, s, t)                                                                                  \
  a += f(b, c, d) + x[k] + t;                                                                                         \
  a = (a << s | a >> (32 - s)) + b;

__attribute__((noipa)) static void md5_block(uint32_t state[4], const uint8_t *block) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], x[16];
  memcpy(x, block, 64);
  STEP(F, a, b, c, d, 0, 7, 0xd76aa478)
  STEP(F, d, a, b, c, 1, 12, 0xe8c7b756)
  STEP(F, c, d, a, b, 2, 17, 0x242070db)
  STEP(F, b, c, d, a, 3, 22, 0xc1bdceee)
  STEP(F, a, b, c, d, 4, 7, 0xf57c0faf)
  STEP(F, d, a, b, c, 5, 12, 0x4787c62a)
  STEP(F, c, d, a, b, 6, 17, 0xa8304613)
  STEP(F, b, c, d, a, 7, 22, 0xfd469501)
  STEP(F, a, b, c, d, 8, 7, 0x698098d8)
  STEP(F, d, a, b, c, 9, 12, 0x8b44f7af)
  STEP(F, c, d, a, b, 10, 17, 0xffff5bb1)
  STEP(F, b, c, d, a, 11, 22, 0x895cd7be)
  STEP(F, a, b, c, d, 12, 7, 0x6b901122)
  STEP(F, d, a, b, c, 13, 12, 0xfd987193)
  STEP(F, c, d, a, b, 14, 17, 0xa679438e)
  STEP(F, b, c, d, a, 15, 22, 0x49b40821)
  STEP(G, a, b, c, d, 1, 5, 0xf61e2562)
  STEP(G, d, a, b, c, 6, 9, 0xc040b340)
  STEP(G, c, d, a, b, 11, 14, 0x265e5a51)
  STEP(G, b, c, d, a, 0, 20, 0xe9b6c7aa)
  STEP(G, a, b, c, d, 5, 5, 0xd62f105d)
  STEP(G, d, a, b, c, 10, 9, 0x02441453)
  STEP(G, c, d, a, b, 15, 14, 0xd8a1e681)
  STEP(G, b, c, d, a, 4, 20, 0xe7d3fbc8)
  STEP(G, a, b, c, d, 9, 5, 0x21e1cde6)
  STEP(G, d, a, b, c, 14, 9, 0xc33707d6)
  STEP(G, c, d, a, b, 3, 14, 0xf4d50d87)
  STEP(G, b, c, d, a, 8, 20, 0x455a14ed)
  STEP(G, a, b, c, d, 13, 5, 0xa9e3e905)
  STEP(G, d, a, b, c, 2, 9, 0xfcefa3f8)
  STEP(G, c, d, a, b, 7, 14, 0x676f02d9)
  STEP(G, b, c, d, a, 12, 20, 0x8d2a4c8a)
  STEP(H, a, b, c, d, 5, 4, 0xfffa3942)
  STEP(H, d, a, b, c, 8, 11, 0x8771f681)
  STEP(H, c, d, a, b, 11, 16, 0x6d9d6122)
  STEP(H, b, c, d, a, 14, 23, 0xfde5380c)
  STEP(H, a, b, c, d, 1, 4, 0xa4beea44)
  STEP(H, d, a, b, c, 4, 11, 0x4bdecfa9)
  STEP(H, c, d, a, b, 7, 16, 0xf6bb4b60)
  STEP(H, b, c, d, a, 10, 23, 0xbebfbc70)
  STEP(H, a, b, c, d, 13, 4, 0x289b7ec6)
  STEP(H, d, a, b, c, 0, 11, 0xeaa127fa)
  STEP(H, c, d, a, b, 3, 16, 0xd4ef3085)
  STEP(H, b, c, d, a, 6, 23, 0x04881d05)
  STEP(H, a, b, c, d, 9, 4, 0xd9d4d039)
  STEP(H, d, a, b, c, 12, 11, 0xe6db99e5)
  STEP(H, c, d, a, b, 15, 16, 0x1fa27cf8)
  STEP(H, b, c, d, a, 2, 23, 0xc4ac5665)
  STEP(I, a, b, c, d, 0, 6, 0xf4292244)
  STEP(I, d, a, b, c, 7, 10, 0x432aff97)
  STEP(I, c, d, a, b, 14, 15, 0xab9423a7)
  STEP(I, b, c, d, a, 5, 21, 0xfc93a039)
  STEP(I, a, b, c, d, 12, 6, 0x655b59c3)
  STEP(I, d, a, b, c, 3, 10, 0x8f0ccc92)
  STEP(I, c, d, a, b, 10, 15, 0xffeff47d)
  STEP(I, b, c, d, a, 1, 21, 0x85845dd1)
  STEP(I, a, b, c, d, 8, 6, 0x6fa87e4f)
  STEP(I, d, a, b, c, 15, 10, 0xfe2ce6e0)
  STEP(I, c, d, a, b, 6, 15, 0xa3014314)
  STEP(I, b, c, d, a, 13, 21, 0x4e0811a1)
  STEP(I, a, b, c, d, 4, 6, 0xf7537e82)
  STEP(I, d, a, b, c, 11, 10, 0xbd3af235)
  STEP(I, c, d, a, b, 2, 15, 0x2ad7d2bb)
  STEP(I, b, c, d, a, 9, 21, 0xeb86d391)
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

/* One direction of a connection: application, send buffer, packets, the peer's packets, receive buffer, application. */

static uint8_t source[APPLICATION], sink[APPLICATION];
static uint8_t sendRing[RING], receiveRing[RING];
static uint8_t packets[BATCH * STRIDE], arrived[BATCH * STRIDE];
static uint16_t checksums[BATCH];

static void to_ring(uint8_t *ring, size_t position, const uint8_t *from, size_t length) {
  size_t at = position % RING, first = RING - at < length ? RING - at : length;
  memcpy(ring + at, from, first);
  memcpy(ring, from + first, length - first);
}

static void from_ring(uint8_t *to, const uint8_t *ring, size_t position, size_t length) {
  size_t at = position % RING, first = RING - at < length ? RING - at : length;
  memcpy(to, ring + at, first);
  memcpy(to + first, ring, length - first);
}

static uint32_t sum_from_ring(uint8_t *to, const uint8_t *ring, size_t position, size_t length) {
  size_t at = position % RING, first = RING - at < length ? RING - at : length;
  uint32_t sum = copy_checksum(to, ring + at, first);
  if (first == length) return sum;
  uint32_t rest = copy_checksum(to + first, ring, length - first);
  if (first & 1) rest = rest >> 8 | (rest & 0xff) << 8;
  return fold(sum + rest);
}

/* Moves BATCH segments that begin at stream offset `position`; returns how many arrived damaged. */
static int move_batch(size_t position) {
  int damaged = 0;
  for (int i = 0; i < BATCH; i++) {
    size_t at = (position + (size_t)i * SEGMENT) % (APPLICATION - SEGMENT);
    to_ring(sendRing, position + (size_t)i * SEGMENT, source + at, SEGMENT);
  }
  for (int i = 0; i < BATCH; i++)
    checksums[i] = sum_from_ring(packets + i * STRIDE + HEADERS, sendRing, position + (size_t)i * SEGMENT, SEGMENT);
  memcpy(arrived, packets, sizeof packets);
  for (int i = 0; i < BATCH; i++) {
    const uint8_t *text = arrived + i * STRIDE + HEADERS;
    damaged += checksum(text, SEGMENT) != checksums[i];
    to_ring(receiveRing, position + (size_t)i * SEGMENT, text, SEGMENT);
  }
  for (int i = 0; i < BATCH; i++) {
    size_t at = (position + (size_t)i * SEGMENT) % (APPLICATION - SEGMENT);
    from_ring(sink + at, receiveRing, position + (size_t)i * SEGMENT, SEGMENT);
  }
  use(sink);
  return damaged;
}

/* Measuring */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count & 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void fail(const char *what) {
  fprintf(stderr, "floor: %s gives a wrong result\n", what);
  exit(1);
}

#define REPETITIONS 10000

enum { CHECKSUM, COPY_CHECKSUM, MD5_BLOCK, MEMCPY, SEGMENT_MOVE, KINDS };
static const char *const names[KINDS] = {"checksum", "copyChecksum", "md5Block", "memcpy", "segment"};

static uint8_t text[SEGMENT], copy[SEGMENT];
static uint32_t state[4];

/* As many calls at a time as in one sample of the benchmarks: 32 MiB of text, 20,000 calls of the others. */
static double time_one(int kind) {
  const int calls = kind == SEGMENT_MOVE ? 32 * 1024 * 1024 / (BATCH * SEGMENT) : 20000;
  static size_t position;
  double begin = now();
  for (int i = 0; i < calls; i++) {
    switch (kind) {
      case CHECKSUM: {
        uint32_t sum = checksum(text, SEGMENT);
        use(&sum);
        break;
      }
      case COPY_CHECKSUM: {
        uint32_t sum = copy_checksum(copy, text, SEGMENT);
        use(&sum);
        break;
      }
      case MD5_BLOCK:
        md5_block(state, text);
        use(state);
        break;
      case MEMCPY:
        memcpy(copy, text, SEGMENT);
        use(copy);
        break;
      default:
        if (move_batch(position) != 0) fail("segment");
        position += BATCH * SEGMENT;
    }
  }
  double each = (now() - begin) / calls;
  return kind == SEGMENT_MOVE ? each / BATCH : each;
}

static void usage(void) {
  fprintf(stderr, "usage: floor [MILLISECONDS (1 to 10000) [ROUTINE]]; routines:");
  for (int kind = 0; kind < KINDS; kind++) fprintf(stderr, " %s", names[kind]);
  fprintf(stderr, "\n");
  exit(2);
}

int main(int argc, char **argv) {
  int milliseconds = argc > 1 ? atoi(argv[1]) : 100;
  if (milliseconds < 1 || milliseconds > 10000) usage();
  int first = 0, end = KINDS;
  if (argc > 2) {
    while (first < KINDS && strcmp(argv[2], names[first]) != 0) first++;
    if (first == KINDS) usage();
    end = first + 1;
  }
  for (size_t i = 0; i < APPLICATION; i++) source[i] = (uint8_t)(i * 7 + (i >> 8));
  for (size_t i = 0; i < SEGMENT; i++) text[i] = (uint8_t)(i * 7);

  uint32_t dumb = 0;
  for (size_t i = 0; i < SEGMENT; i++) dumb += (uint32_t)text[i] << (i & 1 ? 8 : 0);
  if (checksum(text, SEGMENT) != fold(dumb)) fail("checksum");
  if (copy_checksum(copy, text, SEGMENT) != fold(dumb) || memcmp(copy, text, SEGMENT) != 0) fail("copyChecksum");
  /* The digest of the empty message, RFC 1321 A.5. */
  static const uint8_t empty[64] = {0x80};
  static const uint32_t initial[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  memcpy(state, initial, sizeof state);
  md5_block(state, empty);
  if (state[0] != 0xd98c1dd4 || state[3] != 0x7e42f8ec) fail("md5Block");
  for (size_t position = 0; position < 8 * RING; position += BATCH * SEGMENT) {
    memset(sink, 0, sizeof sink);
    if (move_batch(position) != 0) fail("segment");
    size_t last = (position + (BATCH - 1) * SEGMENT) % (APPLICATION - SEGMENT);
    if (memcmp(sink + last, source + last, SEGMENT) != 0) fail("segment");
  }

  printf("{");
  for (int kind = first; kind < end; kind++) {
    static double times[REPETITIONS];
    int count = 0;
    time_one(kind);
    for (double stop = now() + milliseconds * 1e6; count < 3 || (count < REPETITIONS && now() < stop);)
      times[count++] = time_one(kind);
    printf("%s\"%s\": %.2f", kind > first ? ", " : "", names[kind], median(times, count));
  }
  printf("}\n");
  return 0;
}

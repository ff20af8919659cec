// What is done once per segment or connection, each by itself.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createMD5 } from "hash-wasm";
import SparkMD5 from "spark-md5";
import { asReference } from "./measure.mjs";
import { loadProbe } from "./probe.mjs";
import { timers } from "./timers.mjs";

const LENGTH = 1460;
/** What an initial sequence number is made of. */
const SHORT = 28;
/** Packets of one batch, each of a connection of its own. */
const BATCH = 64;
const PAGES = 64;
/** As in the C reference. So many that reading the clock, which counts whole microseconds, is nothing beside them. */
const TIMES = 20000;
/** Addresses well above what the probe keeps for itself. */
const TEXT = 65536;
const COPY = TEXT + 4096;
const STATE = TEXT + 8192;
const KEY = TEXT + 8256;
const LOCAL = TEXT + 8288;
const REMOTE = TEXT + 8304;

/** RFC 1071, one word after the other. */
function plainSum(bytes) {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] | ((bytes[i + 1] ?? 0) << 8);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return sum;
}

/** @returns {Promise<import("./measure.mjs").Benchmark[]>} */
export async function micro() {
  return [
    ...(await primitives("shared")),
    ...(await primitives("unshared")),
    ...(await segments("shared")),
    ...(await segments("unshared")),
    ...(await comparisons()),
    ...(await timers()),
  ];
}

/** What is done for a segment apart from its connection. */
async function segments(memory) {
  const { exports } = await loadProbe(memory === "shared", PAGES);
  exports.probe_segmentsInit(PAGES * 65536);
  exports.probe_setNow(1e6);
  const batch = { memory, count: TIMES };
  const batches = Math.ceil(TIMES / BATCH);
  return [
    {
      ...batch,
      count: batches * BATCH,
      name: "segment of 40 octets parsed, verified, looked up",
      reference: "md5Block",
      limit: 0.6,
      check: () => assert.equal(exports.probe_repeatArrivals(3), 3 * BATCH),
      run: () => exports.probe_repeatArrivals(batches),
    },
    {
      ...batch,
      name: "of that: looked up",
      check: () => assert.equal(exports.probe_repeatLookup(3), 3),
      run: () => exports.probe_repeatLookup(TIMES),
    },
    {
      ...batch,
      count: batches * BATCH,
      name: "headers of 40 octets written",
      check: () => assert.equal(exports.probe_repeatSerialize(1), BATCH),
      run: () => exports.probe_repeatSerialize(batches),
    },
    {
      ...batch,
      name: "SYN cookie, IPv4",
      check: () => assert.notEqual(exports.probe_repeatCookie(1), exports.probe_repeatCookie(2)),
      run: () => exports.probe_repeatCookie(TIMES),
    },
    {
      ...batch,
      name: "run behind a hole inserted, up to 16",
      check: () => assert.equal(exports.probe_repeatInsert(16), 16),
      run: () => exports.probe_repeatInsert(TIMES),
    },
  ];
}

/** What others make of the same octets, each called from JavaScript. */
async function comparisons() {
  const { exports, bytes } = await loadProbe(true);
  for (let i = 0; i < LENGTH; i++) bytes[TEXT + i] = i * 7 + (i >> 8);
  const text = new Uint8Array(bytes.slice(TEXT, TEXT + LENGTH));
  const short = text.slice(0, SHORT);
  const hasher = await createMD5();
  const expected = createHash("md5").update(short).digest("hex");
  const others = {
    "spark-md5": () => SparkMD5.ArrayBuffer.hash(short.buffer),
    "hash-wasm": () => hasher.init().update(short).digest(),
    "node:crypto": () => createHash("md5").update(short).digest("hex"),
  };
  const repeat = (call) => ({
    count: TIMES,
    run() {
      for (let i = 0; i < TIMES; i++) call();
    },
  });
  const md5 = {
    ...repeat(() => exports.probe_md5(STATE, TEXT, SHORT)),
    name: `MD5 of ${SHORT} octets`,
    memory: "shared",
    limit: 1,
  };
  return [
    ...Object.entries(others).map(([name, other]) => ({
      ...md5,
      beside: asReference(name, repeat(other)),
      check() {
        assert.equal(other(), expected);
        md5.run();
        assert.equal(Buffer.from(bytes.slice(STATE, STATE + 16)).toString("hex"), expected);
      },
    })),
    {
      ...repeat(() => exports.probe_sum(TEXT, LENGTH)),
      name: "checksum, 1460 octets, a call each",
      memory: "shared",
      limit: 1,
      beside: asReference(
        "plain JavaScript",
        repeat(() => plainSum(text)),
      ),
      check: () => assert.equal(exports.probe_sum(TEXT, LENGTH), plainSum(text)),
    },
  ];
}

async function primitives(memory) {
  const { exports, bytes } = await loadProbe(memory === "shared");
  for (let i = 0; i < LENGTH; i++) bytes[TEXT + i] = i * 7 + (i >> 8);
  for (let i = 0; i < 48; i++) bytes[KEY + i] = i * 37;
  const text = bytes.slice(TEXT, TEXT + LENGTH);
  const expected = plainSum(text);
  const digest = () => Buffer.from(bytes.slice(STATE, STATE + 16)).toString("hex");
  const common = { memory, count: TIMES };
  return [
    {
      ...common,
      name: "checksum, 1460 octets",
      reference: "checksum",
      limit: 1.2,
      check: () => assert.equal(exports.probe_sum(TEXT, LENGTH), expected),
      run: () => exports.probe_repeatSum(TIMES, TEXT, LENGTH),
    },
    {
      ...common,
      name: "copy and checksum, 1460 octets",
      reference: "copyChecksum",
      limit: 1.5,
      check() {
        bytes.fill(0, COPY, COPY + LENGTH);
        assert.equal(exports.probe_copySum(COPY, TEXT, LENGTH), expected);
        assert.deepEqual(bytes.slice(COPY, COPY + LENGTH), text);
      },
      run: () => exports.probe_repeatCopySum(TIMES, COPY, TEXT, LENGTH),
    },
    {
      ...common,
      name: "memory.copy, 1460 octets",
      reference: "memcpy",
      check() {
        bytes.fill(0, COPY, COPY + LENGTH);
        exports.probe_repeatCopy(1, COPY, TEXT, LENGTH);
        assert.deepEqual(bytes.slice(COPY, COPY + LENGTH), text);
      },
      run: () => exports.probe_repeatCopy(TIMES, COPY, TEXT, LENGTH),
    },
    {
      ...common,
      name: "MD5 block",
      reference: "md5Block",
      limit: 1.5,
      check() {
        exports.probe_md5(STATE, TEXT, LENGTH);
        assert.equal(digest(), createHash("md5").update(text).digest("hex"));
      },
      run: () => exports.probe_repeatMd5(TIMES, STATE, TEXT),
    },
    {
      ...common,
      name: "initial sequence number, IPv4",
      check() {
        const ports = { local: Buffer.from([0, 0]), remote: Buffer.from([0, 80]) };
        const parts = [
          ...[bytes.slice(LOCAL, LOCAL + 4), ports.local],
          ...[bytes.slice(REMOTE, REMOTE + 4), ports.remote],
          bytes.slice(KEY, KEY + 16),
        ];
        const whole = createHash("md5").update(Buffer.concat(parts)).digest();
        assert.equal(exports.probe_repeatIsn(1, LOCAL, REMOTE, KEY) >>> 0, whole.readUInt32BE(0));
      },
      run: () => exports.probe_repeatIsn(TIMES, LOCAL, REMOTE, KEY),
    },
    {
      ...common,
      name: "tuple hash, IPv4",
      check: () => differs((ports) => exports.probe_hash4(KEY, 0x0a000001, 0x0a000002, ports)),
      run: () => exports.probe_repeatHash4(TIMES, KEY),
    },
    {
      ...common,
      name: "tuple hash, IPv6",
      check: () => differs((ports) => exports.probe_hash6(KEY, REMOTE, LOCAL, ports)),
      run: () => exports.probe_repeatHash6(TIMES, KEY, REMOTE, LOCAL),
    },
  ];
}

/** That the hash tells ports apart: 1,000 values of 32 bits hardly ever meet. */
function differs(hash) {
  const values = new Set(Array.from({ length: 1000 }, (_, ports) => hash(ports)));
  assert.ok(values.size >= 998, `${values.size} different hashes of 1000 tuples`);
}

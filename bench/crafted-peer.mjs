// Hosts that are nothing but packets: any number of them, from arrays that are used again.

/** 10.0.0.0/8 and one port: as many peers as anybody asks for. */
const NETWORK = 10 << 24;
const PEERS_MAX = 2 ** 24;
const PEER_PORT = 40000;
const SERVER = [192, 0, 2, 1];
export const SERVER_ADDRESS = SERVER.join(".");
export const SERVER_PORT = 80;

const SYN = 0x02;
const ACK = 0x10;
const IP = 20;
/** MSS 1460, SACK permitted, timestamps, window scale 7, as Linux asks for them; and what follows a handshake. */
const SYN_OPTIONS = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
const ACK_OPTIONS = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];

function template(flags, options) {
  const tcp = IP + 20;
  const bytes = new Uint8Array(tcp + options.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, 0, bytes.length, 0, 0, 0x40, 0, 64, 6]);
  bytes.set(SERVER, 16);
  view.setUint16(20, PEER_PORT);
  view.setUint16(22, SERVER_PORT);
  bytes.set([((20 + options.length) / 4) << 4, flags, 0xff, 0xff], 32);
  bytes.set(options, tcp);
  return bytes;
}

const SYN_TEMPLATE = template(SYN, SYN_OPTIONS);
const ACK_TEMPLATE = template(ACK, ACK_OPTIONS);

function word(bytes, at, value) {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function readWord(bytes, at) {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** RFC 1071, of an even number of octets. */
function checksum(bytes, at, length, sum) {
  for (let i = at; i < at + length; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Append a packet of peer `index` to `batch`; `echo` stands in the timestamps option. */
function push(batch, model, index, seq, ack, echoAt, echo) {
  if (index >= PEERS_MAX) throw new Error(`there is no peer ${index}`);
  const { bytes, used } = batch;
  const length = model.length;
  if (batch.count === batch.capacity || used + length > bytes.length) return false;
  bytes.set(model, used);
  word(bytes, used + 12, NETWORK + index);
  word(bytes, used + 24, seq);
  word(bytes, used + 28, ack);
  word(bytes, used + echoAt, echo);
  const header = checksum(bytes, used, IP, 0);
  bytes[used + 10] = header >>> 8;
  bytes[used + 11] = header;
  // Both addresses, the protocol and the length (RFC 9293 §3.1).
  let pseudo = 6 + length - IP;
  for (let i = used + 12; i < used + 20; i += 2) pseudo += (bytes[i] << 8) | bytes[i + 1];
  const sum = checksum(bytes, used + IP, length - IP, pseudo);
  bytes[used + 36] = sum >>> 8;
  bytes[used + 37] = sum;
  batch.commit(length);
  return true;
}

/** Append the SYN of peer `index`, whose numbers begin at its index. False when the batch is full. */
export const pushSyn = (batch, index) => push(batch, SYN_TEMPLATE, index, index, 0, IP + 32, 0);

/** Append an ACK of peer `index` that echoes the timestamp `echo`. */
export const pushAck = (batch, index, ack, echo) =>
  push(batch, ACK_TEMPLATE, index, (index + 1) >>> 0, ack, IP + 28, echo);

/**
 * Append to `answers` the ACK for each packet of `sent`, as its peer would send it; returns how many packets asked for one.
 * @param {(index: number) => boolean} [wanted] whether a peer answers
 */
export function acknowledge(sent, answers, wanted) {
  const { bytes, table, count } = sent;
  let asked = 0;
  for (let i = 0; i < count; i++) {
    const at = table[i * 2];
    const length = table[i * 2 + 1];
    const tcp = at + IP;
    const header = (bytes[tcp + 12] >> 4) * 4;
    const text = length - IP - header;
    const syn = bytes[tcp + 13] & SYN ? 1 : 0;
    if (text + syn === 0) continue;
    const index = readWord(bytes, at + 16) - NETWORK;
    if (wanted && !wanted(index)) continue;
    // Timestamps stand behind MSS and, with SACK permitted, its two octets, or behind two of padding.
    const stamp = readWord(bytes, tcp + 20 + (syn ? 8 : 4));
    if (!pushAck(answers, index, (readWord(bytes, tcp + 4) + text + syn) >>> 0, stamp))
      throw new Error("a batch of answers is smaller than what they answer");
    asked++;
  }
  return asked;
}

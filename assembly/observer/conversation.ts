import { Reassembly } from "../reassembly.ts";
import { Seq } from "../seq.ts";
import {
  DIR_FLAGS,
  DIR_GAPS,
  DIR_MISSING,
  DIR_PACKETS,
  DIR_RETRANSMITTED,
  DIR_TEXT,
  OBS_BEGAN,
  OBS_DIRECTION,
  OBS_DIRECTION_SIZE,
  OBS_ENDED,
  OBS_FIRST_TIME,
  OBS_LAST_TIME,
  OBS_NUMBER,
  OBS_RTT,
} from "../shared/observer-layout.ts";
import { SLOT_SIZE } from "../shared/sizes.ts";
import {
  TCB_FAMILY,
  TCB_GENERATION,
  TCB_HASH_NEXT,
  TCB_LOCAL_ADDRESS,
  TCB_LOCAL_PORT,
  TCB_REMOTE_ADDRESS,
  TCB_REMOTE_PORT,
  TCB_SLOT,
} from "../shared/tcb-layout.ts";
import { Stream } from "../stream.ts";

// An observed conversation fills a slot:
//
//     0 ┌ who: addresses, ports, family; slot, links     as in a TCB, the server as local, the client as remote
//    64 ├ times, handshake, a SYN that may begin another
//   128 ├ the client's direction
//   256 ├ the server's direction
//   384 └ free

export const CLIENT: u32 = 0;
export const SERVER: u32 = 1;

/** Flags of a direction. */
export const SYNCED: u32 = 1;
/** A SYN was seen. */
export const SYN_SEEN: u32 = 2;
export const FIN_SEEN: u32 = 4;
/** The other side has acknowledged something. */
export const ACKED: u32 = 8;
/** Text is held beyond a hole, so it stands in the list of those. */
export const HOLDING: u32 = 16;

/** The text that one side sends. */
@unmanaged
@final
export class Direction {
  /** What is before has been told. */
  next: Seq;
  /** What is before and not yet told is stored. Runs lie beyond. */
  ready: Seq;
  /** The first octet of text. */
  first: Seq;
  /** What is before was acknowledged. */
  acked: Seq;
  /** What is before was sent, captured or not. */
  high: Seq;
  /** Where the text ends, once FIN was seen. */
  finAt: Seq;
  flags: u32;
  private stream0: u32;
  private stream1: u32;
  private stream2: u32;
  private stream3: u32;
  private stream4: u32;
  private stream5: u32;
  private runs0: u32;
  private runs1: u32;
  private runs2: u32;
  /** Neighbours among the directions that hold text, by age of the hole. */
  older: u32;
  newer: u32;
  private spare0: u32;
  packets: f64;
  text: f64;
  missing: f64;
  gaps: f64;
  retransmitted: f64;
  /** The conversation's slot, and which of its directions this is. */
  slot: u32;
  side: u32;

  @inline static at(address: usize): Direction {
    return changetype<Direction>(address);
  }

  @inline get address(): usize {
    return changetype<usize>(this);
  }

  @inline has(flag: u32): bool {
    return (this.flags & flag) != 0;
  }

  @inline get stream(): Stream {
    return changetype<Stream>(changetype<usize>(this) + offsetof<Direction>("stream0"));
  }

  @inline get runs(): Reassembly {
    return changetype<Reassembly>(changetype<usize>(this) + offsetof<Direction>("runs0"));
  }
}

@unmanaged
@final
export class Conversation {
  serverHigh: u64;
  serverLow: u64;
  clientHigh: u64;
  clientLow: u64;
  serverPort: u16;
  clientPort: u16;
  family: u8;
  began: u8;
  ended: u8;
  /** How far the handshake is timed: conversation after SYN 1, SYN,ACK 2; 3 done or void. */
  handshake: u8;
  slot: u32;
  generation: u32;
  number: u32;
  private spare0: u32;
  hashNext: u32;
  /** Neighbours among all conversations, by when they were last heard of. */
  older: u32;
  newer: u32;
  /** A SYN that fits no state of this conversation: 1 from the client, 2 from the server; 0 none. */
  rivalFrom: u32;
  firstTime: f64;
  lastTime: f64;
  synTime: f64;
  rtt: f64;
  rivalTime: f64;
  rivalIsn: Seq;
  private spare1: u32;

  @inline static at(address: usize): Conversation {
    return changetype<Conversation>(address);
  }

  @inline get address(): usize {
    return changetype<usize>(this);
  }

  @inline direction(side: u32): Direction {
    return Direction.at(changetype<usize>(this) + OBS_DIRECTION + side * OBS_DIRECTION_SIZE);
  }
}

if (offsetof<Conversation>("serverHigh") != TCB_LOCAL_ADDRESS) ERROR("layout drift: server");
if (offsetof<Conversation>("clientHigh") != TCB_REMOTE_ADDRESS) ERROR("layout drift: client");
if (offsetof<Conversation>("serverPort") != TCB_LOCAL_PORT) ERROR("layout drift: serverPort");
if (offsetof<Conversation>("clientPort") != TCB_REMOTE_PORT) ERROR("layout drift: clientPort");
if (offsetof<Conversation>("family") != TCB_FAMILY) ERROR("layout drift: family");
if (offsetof<Conversation>("slot") != TCB_SLOT) ERROR("layout drift: slot");
if (offsetof<Conversation>("generation") != TCB_GENERATION) ERROR("layout drift: generation");
if (offsetof<Conversation>("hashNext") != TCB_HASH_NEXT) ERROR("layout drift: hashNext");
if (offsetof<Conversation>("began") != OBS_BEGAN) ERROR("layout drift: began");
if (offsetof<Conversation>("ended") != OBS_ENDED) ERROR("layout drift: ended");
if (offsetof<Conversation>("number") != OBS_NUMBER) ERROR("layout drift: number");
if (offsetof<Conversation>("firstTime") != OBS_FIRST_TIME) ERROR("layout drift: firstTime");
if (offsetof<Conversation>("lastTime") != OBS_LAST_TIME) ERROR("layout drift: lastTime");
if (offsetof<Conversation>("rtt") != OBS_RTT) ERROR("layout drift: rtt");
if (<i32>offsetof<Conversation>() > OBS_DIRECTION) ERROR("layout drift: end of Conversation");
if (offsetof<Direction>("flags") != DIR_FLAGS) ERROR("layout drift: flags");
if (offsetof<Direction>("packets") != DIR_PACKETS) ERROR("layout drift: packets");
if (offsetof<Direction>("text") != DIR_TEXT) ERROR("layout drift: text");
if (offsetof<Direction>("missing") != DIR_MISSING) ERROR("layout drift: missing");
if (offsetof<Direction>("gaps") != DIR_GAPS) ERROR("layout drift: gaps");
if (offsetof<Direction>("retransmitted") != DIR_RETRANSMITTED) ERROR("layout drift: retransmitted");
if (<i32>offsetof<Direction>() > OBS_DIRECTION_SIZE) ERROR("layout drift: end of Direction");
if (<i32>(offsetof<Direction>("runs0") - offsetof<Direction>("stream0")) != <i32>offsetof<Stream>())
  ERROR("a Stream does not fit its place");
if (<i32>(offsetof<Direction>("older") - offsetof<Direction>("runs0")) != <i32>offsetof<Reassembly>())
  ERROR("a Reassembly does not fit its place");
if (OBS_DIRECTION + 2 * OBS_DIRECTION_SIZE > SLOT_SIZE) ERROR("a conversation does not fit its slot");

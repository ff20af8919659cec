// A script as the parser leaves it: plain data, so that it can be copied, changed and run again.

/** Microseconds from the start of the script, or from the event before. */
export type Time =
  | { kind: "absolute" | "relative"; at: number }
  | { kind: "absoluteRange" | "relativeRange"; at: number; end: number }
  | { kind: "any" };

export interface Script {
  /** The file's name, for messages and for what it says of the address family. */
  name: string;
  options: ScriptOption[];
  /** Shell command that runs before time 0. */
  init?: Command;
  events: ScriptEvent[];
  /** Shell command that runs at the end whatever the outcome. */
  cleanup?: Command;
  /** Octets of receive buffer that the machine of the script had at most, as its SYN tells. */
  presumedReceiveBuffer?: number;
  /** Milliseconds after which the machine of the script repeated its first SYN, as far as it says so. */
  presumedInitialRto?: number;
  /** That it repeated SYNs at one interval for a while. */
  presumedLinear?: boolean;
  /** What the comment at the top says. */
  title: string[];
  /** The same with the other of each two behaviours that it has by #ifdef. */
  alternative?: Script;
}

export interface ScriptOption {
  name: string;
  value: string;
  line: number;
}

export interface ScriptEvent {
  line: number;
  time: Time;
  /** When a blocking call must return, in the unit and from the origin of `time`. */
  end?: number;
  action: Action;
  /** Comment lines that stand before it. */
  remarks: string[];
}

export type Action = PacketAction | Call | Command | Code;
export type PacketAction = TcpPacket | IcmpPacket | UdpPacket;
export type Side = "in" | "out";

export interface Command {
  kind: "command";
  text: string;
  line: number;
}

export interface Code {
  kind: "code";
  text: string;
}

/** IP header fields a packet carries or must carry. */
export interface IpFields {
  ecn?: "noecn" | "ect0" | "ect1" | "ce" | "ect01";
  /** All eight bits of the IPv4 TOS or the IPv6 traffic class. */
  tos?: number;
  dscp?: number;
  flowLabel?: number;
  ttl?: number;
}

export interface Ports {
  source: number;
  destination: number;
}

interface Patchable {
  /** Octets of it are changed by name, which is not done here. */
  patched?: boolean;
}

export interface TcpPacket extends Patchable {
  kind: "tcp";
  side: Side;
  ip: IpFields;
  ports?: Ports;
  /** TCP flag bits as on the wire, AE (256) included. */
  flags: number;
  /** AccECN: ECE, CWR and AE as one number. */
  ace?: number;
  /** Undefined where the number is not compared. */
  seq?: number;
  length: number;
  /** The sequence number is the live one. */
  absolute?: boolean;
  ack?: number;
  window?: number;
  urgent?: number;
  /** Undefined where they are not compared. */
  options?: TcpOption[];
  /** Outer UDP ports of TCP in UDP. */
  udp?: Ports;
}

export type TcpOption =
  | { kind: "nop" | "eol" | "sackOK" }
  | { kind: "mss" | "wscale"; value: number }
  | { kind: "sack"; blocks: [left: number, right: number][] }
  /** `value` undefined: neither mapped nor compared. */
  | { kind: "TS"; value?: number; echo: number; liveEcho?: boolean }
  | { kind: "FO" | "FOEXP"; cookie: string }
  /** `digest` undefined: a valid one. */
  | { kind: "md5"; digest?: string }
  | { kind: "ECN"; order: 0 | 1; counters: number[] }
  /** What a live packet carried and nobody knows. */
  | { kind: "unknown"; number: number; hex: string };

export interface IcmpPacket extends Patchable {
  kind: "icmp";
  side: Side;
  ip: IpFields;
  type: string;
  code?: string;
  mtu?: number;
  id?: number;
  /** Sequence number of the quoted segment. */
  quotedSeq?: number;
  quotedLength?: number;
  /** Payload length of the quoted UDP datagram. */
  quotedUdp?: number;
}

export interface UdpPacket extends Patchable {
  kind: "udp";
  side: Side;
  ip: IpFields;
  ports?: Ports;
  length: number;
}

export interface Call {
  kind: "call";
  name: string;
  args: Expr[];
  result: Expr;
  errno?: string;
  /** As written, for the trace. */
  text: string;
}

export type Expr =
  | { kind: "number"; value: number; text: string }
  | { kind: "word"; name: string }
  | { kind: "string"; value: string }
  | { kind: "apply"; name: string; args: Expr[] }
  | { kind: "or"; parts: Expr[] }
  | { kind: "any" }
  | { kind: "list"; items: Expr[] }
  | { kind: "struct"; fields: Field[] };

export interface Field {
  /** Empty for a value without a name. */
  name: string;
  args: Expr[];
  value: Expr;
}

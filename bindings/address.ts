import { SynwaveError, show } from "./errors.ts";

/** An address in 16 octets, IPv4 as ::ffff:a.b.c.d, with the length of its network's prefix in its own family. */
export interface Address {
  family: 4 | 6;
  octets: Uint8Array;
  prefix: number;
}

function parse4(text: string, octets: Uint8Array, at: number): boolean {
  const parts = text.split(".");
  if (parts.length !== 4) return false;
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    // No leading zeros: some read them as octal.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return false;
    octets[at + i] = Number(part);
  }
  return true;
}

/** RFC 4291 §2.2, zones excluded. */
function parse6(text: string, octets: Uint8Array): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups: number[][] = [];
  for (const half of halves) {
    const list: number[] = [];
    const parts = half === "" ? [] : half.split(":");
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (i === parts.length - 1 && half === halves.at(-1) && part.includes(".")) {
        const four = new Uint8Array(4);
        if (!parse4(part, four, 0)) return false;
        list.push((four[0]! << 8) | four[1]!, (four[2]! << 8) | four[3]!);
      } else if (/^[0-9a-f]{1,4}$/i.test(part)) list.push(Number.parseInt(part, 16));
      else return false;
    }
    groups.push(list);
  }
  const [head, tail] = [groups[0]!, groups[1] ?? []];
  const length = head.length + tail.length;
  if (halves.length === 2 ? length > 7 : length !== 8) return false;
  const all = [...head, ...new Array<number>(8 - length).fill(0), ...tail];
  all.forEach((group, i) => {
    octets[i * 2] = group >> 8;
    octets[i * 2 + 1] = group & 255;
  });
  return true;
}

/**
 * Read a literal IPv4 or IPv6 address, with `/prefix` where that is allowed.
 * @throws SynwaveError EINVAL that names `what` and the text
 */
export function parseAddress(text: unknown, what: string, prefixAllowed = false): Address {
  const bad = () => new SynwaveError("EINVAL", `${what} is not an IPv4 or IPv6 address: ${show(text)}`);
  if (typeof text !== "string") throw bad();
  const [host, bits, more] = text.split("/");
  if (more !== undefined || (bits !== undefined && !(prefixAllowed && /^\d{1,3}$/.test(bits)))) throw bad();
  const octets = new Uint8Array(16);
  if (host!.includes(":")) {
    if (!parse6(host!, octets) || Number(bits ?? 0) > 128) throw bad();
    // ::ffff:a.b.c.d stands for the IPv4 address: on the wire it may not appear (RFC 4038 §4.2).
    const mapped = octets.every((octet, i) => i >= 12 || octet === (i < 10 ? 0 : 255));
    return { family: mapped ? 4 : 6, octets, prefix: Number(bits ?? (mapped ? 32 : 128)) };
  }
  if (!parse4(host!, octets, 12) || Number(bits ?? 0) > 32) throw bad();
  octets[10] = octets[11] = 255;
  return { family: 4, octets, prefix: Number(bits ?? 32) };
}

/** The text of the 16 octets at `at`; IPv6 as RFC 5952 has it. */
export function formatAddress(bytes: Uint8Array, at: number, family: number): string {
  if (family === 4) return `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[at + i * 2]! << 8) | bytes[at + i * 2 + 1]!);
  let best = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > longest) [best, longest] = [i, run];
  }
  const text = (list: number[]) => list.map((group) => group.toString(16)).join(":");
  return best < 0 ? text(groups) : `${text(groups.slice(0, best))}::${text(groups.slice(best + longest))}`;
}

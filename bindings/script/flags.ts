export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
export const ECE = 64;
export const CWR = 128;
export const AE = 256;

/** As scripts write them. */
export const FLAG_LETTERS: Readonly<Record<string, number>> = {
  S: SYN,
  F: FIN,
  R: RST,
  P: PSH,
  U: URG,
  E: ECE,
  W: CWR,
  A: AE,
  ".": ACK,
};

/** The AccECN count: ECE is bit 0, CWR bit 1, AE bit 2. */
export function aceOf(flags: number): number {
  return (flags & ECE ? 1 : 0) | (flags & CWR ? 2 : 0) | (flags & AE ? 4 : 0);
}

/** Flag bits of an AccECN count. */
export function flagsOfAce(ace: number): number {
  return (ace & 1 ? ECE : 0) | (ace & 2 ? CWR : 0) | (ace & 4 ? AE : 0);
}

export function flagText(flags: number, ace?: number): string {
  const shown = ace === undefined ? flags : flags & ~(ECE | CWR | AE);
  const letters = Object.entries(FLAG_LETTERS)
    .filter(([, bit]) => shown & bit)
    .map(([letter]) => letter)
    .join("");
  return `${letters}${ace ?? ""}` || "-";
}

const WIDTH = 16;

/**
 * Octets as lines of a mark, the offset of the first, sixteen in hexadecimal, and as ASCII.
 * @param offset of `bytes` in what they are part of
 */
export function hexDump(mark: string, offset: number, bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += WIDTH) {
    const row = [...bytes.subarray(at, at + WIDTH)];
    const pairs = row.map((octet) => octet.toString(16).padStart(2, "0"));
    const halves = [pairs.slice(0, 8).join(" "), pairs.slice(8).join(" ")].join("  ").padEnd(3 * WIDTH);
    const shown = row
      .map((octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : "."))
      .join("");
    text += `${mark} ${(offset + at).toString(16).padStart(8, "0")}  ${halves} |${shown}|\n`;
  }
  return text;
}

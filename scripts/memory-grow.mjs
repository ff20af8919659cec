/** Lines of a WebAssembly text where linear memory would grow; the engine's memory is fixed for life. */
export function growSites(text) {
  const sites = [];
  text.split("\n").forEach((line, index) => {
    // Instructions stand at the head of a line or of a parenthesis; the same words in a string literal do not.
    if (/^\s*\(?memory\.grow\b|^(?:[^"]*\()memory\.grow\b/.test(line))
      sites.push(`${index + 1}: ${line.trim()}`);
  });
  return sites;
}

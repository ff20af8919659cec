/**
 * What a test run came to: the lines to end with, of which the last is the count, and how many failures there were.
 *
 * @param tally what tally-reporter.mjs counted
 * @param declared the suites that said why they do not run here
 * @param chosen whether tests were chosen by name, so that the rest are passed over on purpose
 * @param code the test runner's exit code
 */
export function verdict({ tally, declared, chosen, code }) {
  const lines = declared.map(
    ({ name, reason, enable }) => `Skipped: ${name}\n  because ${reason}\n  to enable it: ${enable}`,
  );
  const { passed } = tally;
  let { failed } = tally;

  // A test that is passed over without a word would go unnoticed for ever.
  const excused = new Set(declared.map(({ file }) => file));
  const silent = chosen ? [] : tally.skipped.filter(({ file }) => !excused.has(file));
  for (const { file, name } of silent) lines.push(`Skipped without a reason: ${file} > ${name}`);
  failed += silent.length;

  if (passed === 0 && failed === 0) {
    lines.push("No test ran.");
    failed = 1;
  }
  if (code !== 0 && failed === 0) {
    lines.push(`The test runner ended with exit code ${code}.`);
    failed = 1;
  }
  lines.push(`${passed} passed, ${failed} failed`);
  return { lines, failed };
}

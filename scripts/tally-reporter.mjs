// Counts what a test run came to, for scripts/test.mjs, which names the file in SYNWAVE_TALLY.
import { writeFileSync } from "node:fs";

export default class TallyReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const module of modules) {
      let failures = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") tally.passed++;
        else if (state === "failed") failures++;
        else tally.skipped.push({ file: module.moduleId, name: test.fullName });
      }
      // A file that broke outside its tests (while loading, in a hook) counts as one.
      if (failures === 0 && !module.ok()) failures = 1;
      tally.failed += failures;
    }
    writeFileSync(process.env.SYNWAVE_TALLY, JSON.stringify(tally));
  }
}

import { configDefaults, defineConfig } from "vitest/config";

const minutes = 60_000;
const serial = { fileParallelism: false, maxWorkers: 1, testTimeout: 10 * minutes, hookTimeout: 5 * minutes };
const tests = (folder: string) => [`test/${folder}/**/*.test.ts`];

/** Suites that want the machine to themselves run one file at a time, after the others. */
const apart = ["heavy", "package", "kernel"];

export default defineConfig({
  test: {
    // Some tests measure the heap, which is only worth measuring after a collection.
    execArgv: ["--expose-gc"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: tests("*"),
          exclude: [...configDefaults.exclude, ...apart.flatMap(tests)],
          testTimeout: minutes,
          sequence: { groupOrder: 0 },
        },
      },
      ...apart.map((name, index) => ({
        extends: true as const,
        test: {
          name,
          include: tests(name),
          ...serial,
          ...(name === "package" ? { globalSetup: "test/package/install.ts" } : {}),
          sequence: { groupOrder: index + 1 },
        },
      })),
    ],
  },
});

import { describe, expect, it } from "vitest";
import { document, expandIds, idsIn, join, missing, readTable } from "../../scripts/conformance-join.mjs";

const rows = readTable(
  [
    "id\trfc\tlevel\trequirement",
    "1-1\t1\tMUST\tFirst.",
    "1-2\t1\tMUST\tSecond | <third>.",
    "1-3\t1\tSHOULD\tFourth.",
    "1-4\t1\tMUST\tAs 1-1.",
    "2-1\t2\tMUST\tFifth.",
  ].join("\n"),
);
const notes = { claims: ["1"], titles: {}, same: {}, notYet: [], deviations: [], linux: [] };
const test = (name: string, passed = true) => ({ file: "test/a.test.ts", name, passed });
const kinds = ({ verdicts }: { verdicts: Map<string, { kind: string }> }) =>
  rows.map(({ id }: { id: string }) => verdicts.get(id)!.kind);

describe("joining requirements with tests", () => {
  it("finds ids in names", () => {
    expect(idsIn("a [9293-MUST-7] [6298-6] b [0, 1] [x] sm-136 LISTEN [9293-MUST-7]")).toEqual([
      "9293-MUST-7",
      "6298-6",
      "sm-136",
    ]);
    expect(expandIds(["sm-008..011", "6298-1", "9293-MUST-2..3"])).toEqual([
      "sm-008",
      "sm-009",
      "sm-010",
      "sm-011",
      "6298-1",
      "9293-MUST-2",
      "9293-MUST-3",
    ]);
  });

  it("counts a requirement as proved by a test that names it and passed, and by nothing else", () => {
    const joined = join(rows, [test("[1-1] x"), test("[1-2] y", false), test("1-3")], notes);
    expect(kinds(joined)).toEqual(["proved", "missing", "missing", "missing", "missing"]);
    expect(joined.problems).toEqual(['test/a.test.ts: "[1-2] y", which is to prove 1-2, did not pass']);
  });

  it("takes a requirement that repeats another for proved when that is", () => {
    const same = { ...notes, same: { "1-4": ["1-1..2"] } };
    expect(kinds(join(rows, [test("[1-1]")], same))[3]).toBe("missing");
    expect(kinds(join(rows, [test("[1-1]"), test("[1-2]")], same))[3]).toBe("proved");
  });

  it("fails for a MUST of a claimed RFC that is neither proved nor accounted for", () => {
    const accounted = { ...notes, deviations: [{ rows: ["1-2"], reason: "no" }] };
    const { verdicts, problems } = join(rows, [test("[1-1]")], accounted);
    expect(problems).toEqual([]);
    expect(missing(rows, verdicts, notes.claims).map(({ id }: { id: string }) => id)).toEqual(["1-4"]);
  });

  it("tells of names that are no requirements, double listings, and excuses that outlived their need", () => {
    const listed = {
      ...notes,
      deviations: [{ rows: ["1-1", "9-9"], reason: "no" }],
      notYet: [{ feature: "f", rows: ["1-1"], reason: "later" }],
    };
    const { problems, stale } = join(rows, [test("[1-1] [1-9]")], listed);
    expect(problems).toEqual([
      'test/a.test.ts: "[1-1] [1-9]" names 1-9, which is no requirement',
      "not: 9-9 is no requirement",
      "not yet: 1-1 is listed twice",
    ]);
    expect(stale).toEqual(["1-1"]);
  });

  it("writes tables that hold together", () => {
    const { verdicts } = join(rows, [test("part > [1-2] says | what")], notes);
    const written = document({ requirements: rows, machine: [], verdicts, notes });
    const line = written.split("\n").find((text: string) => text.startsWith("| 1-2 "))!;
    expect(line).toContain("Second \\| &lt;third>.");
    expect(line.replaceAll("\\|", "").split("|").length).toBe(6);
    expect(written).toContain("| 1-1 | MUST | First. | **missing** |");
  });
});

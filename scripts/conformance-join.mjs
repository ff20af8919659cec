// Which requirement is proved by which test, and the document that says so. Works on plain data; scripts/conformance.mjs
// gathers it.

const MUST = "MUST";

/** Rows of a table with tabs, by the names in its first line. */
export function readTable(text) {
  const [head, ...lines] = text.trim().split("\n");
  const names = head.split("\t");
  return lines.map((line) => {
    const cells = line.split("\t");
    return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ""]));
  });
}

/** Ids that `list` names: each an id, or a range of its last number as in "sm-188..194". */
export function expandIds(list) {
  return list.flatMap((entry) => {
    const range = /^(.*?)(\d+)\.\.(\d+)$/.exec(entry);
    if (!range) return [entry];
    const [, stem, first, last] = range;
    const ids = [];
    for (let n = Number(first); n <= Number(last); n++)
      ids.push(stem + String(n).padStart(first.length, "0"));
    return ids;
  });
}

/** Requirements that a test's name carries: in brackets as [9293-MUST-7], or as sm-136 for a row of the state machine. */
export function idsIn(name) {
  const bracketed = [...name.matchAll(/\[([0-9a-zA-Z]+-[0-9A-Za-z-]+)\]/g)].map(([, id]) => id);
  return [...bracketed, ...(name.match(/\bsm-\d{3}\b/g) ?? [])].filter((id, i, all) => all.indexOf(id) === i);
}

/**
 * @param rows requirements, `{ id, rfc, level }`
 * @param tests `{ file, name, passed }`
 * @param notes test/spec/conformance.json
 * @returns `verdicts`, by id `{ kind: "proved" | "not yet" | "not" | "missing", tests, reason }`; `problems`, lines
 */
export function join(rows, tests, notes) {
  const known = new Set(rows.map(({ id }) => id));
  const problems = [];
  const provers = new Map();
  // Files finish in any order; the document is the same.
  const inOrder = [...tests].sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)));
  for (const { file, name, passed } of inOrder) {
    for (const id of idsIn(name)) {
      if (!known.has(id)) problems.push(`${file}: "${name}" names ${id}, which is no requirement`);
      else if (!passed) problems.push(`${file}: "${name}", which is to prove ${id}, did not pass`);
      else provers.set(id, [...(provers.get(id) ?? []), { file, name }]);
    }
  }

  const listed = new Map();
  const list = (kind, entries) => {
    for (const { rows: ids, reason } of entries)
      for (const id of expandIds(ids)) {
        if (!known.has(id)) problems.push(`${kind}: ${id} is no requirement`);
        if (listed.has(id)) problems.push(`${kind}: ${id} is listed twice`);
        listed.set(id, { kind, reason });
      }
  };
  list("not", notes.deviations);
  list("not yet", notes.notYet);

  const verdicts = new Map();
  for (const { id } of rows) {
    const alike = notes.same[id] ?? [];
    for (const other of expandIds(alike))
      if (!known.has(other)) problems.push(`same: ${other} is no requirement`);
    let found = provers.get(id);
    // What another requirement says too is proved when all that it refers to is.
    const others = expandIds(alike).map((other) => provers.get(other));
    if (!found && others.length > 0 && others.every(Boolean)) found = others.flat();
    if (found) verdicts.set(id, { kind: "proved", tests: found, reason: "" });
    else verdicts.set(id, { kind: "missing", tests: [], reason: "", ...listed.get(id) });
  }
  // What is proved needs no excuse: left standing, the list would come to excuse what broke later.
  const stale = [...listed.keys()].filter((id) => verdicts.get(id)?.kind === "proved");
  return { verdicts, problems, stale };
}

/** Rows for which the run is a failure: what must be done, by an RFC that is claimed, and is not mentioned anywhere. */
export function missing(rows, verdicts, claims) {
  return rows.filter(
    ({ id, rfc, level }) => level === MUST && claims.includes(rfc) && verdicts.get(id).kind === "missing",
  );
}

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function verdictCell({ kind, tests, reason }) {
  if (kind === "proved") {
    const byFile = new Map();
    for (const { file, name } of tests) byFile.set(file, [...(byFile.get(file) ?? []), name]);
    return [...byFile]
      .map(([file, names]) => {
        const shown = names
          .slice(0, 3)
          .map((name) => `“${cell(name.replace(/\s*\[[^\]]*-[^\]]*\]\s*/g, " ").trim())}”`);
        const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : "";
        return `\`${file}\`: ${shown.join(", ")}${more}`;
      })
      .join("; ");
  }
  if (kind === "missing") return "**missing**";
  return `${kind === "not" ? "deliberately not" : "not yet"}: ${cell(reason)}`;
}

function tally(rows, verdicts) {
  const counts = { proved: 0, not: 0, "not yet": 0, missing: 0 };
  for (const { id } of rows) counts[verdicts.get(id).kind]++;
  return counts;
}

function table(head, lines) {
  return [
    `| ${head.join(" | ")} |`,
    `|${" --- |".repeat(head.length)}`,
    ...lines.map((cells) => `| ${cells.join(" | ")} |`),
  ];
}

/** CONFORMANCE.md. */
export function document({ requirements, machine, verdicts, notes }) {
  const title = (rfc) => notes.titles[rfc] ?? rfc;
  const rfcs = [...new Set(requirements.map(({ rfc }) => rfc))];
  const of = (rfc) => requirements.filter((row) => row.rfc === rfc);
  const claimed = rfcs.filter((rfc) => notes.claims.includes(rfc));
  const summary = [...claimed, ...rfcs.filter((rfc) => !claimed.includes(rfc))].map((rfc) => {
    const counts = tally(of(rfc), verdicts);
    return [cell(title(rfc)), counts.proved, counts.not, counts["not yet"], counts.missing];
  });
  const states = tally(machine, verdicts);
  summary.push(["RFC 9293 §3.10, row by row", states.proved, states.not, states["not yet"], states.missing]);

  const lines = [
    "# Conformance",
    "",
    "Written by `npm run conformance` from the tests that passed; not to be edited. A requirement counts as proved when a test",
    "that carries its name drives packets and would fail if the behaviour were broken. The requirements stand in",
    "`test/spec/requirements.tsv`, the rows of the state machine in `test/spec/statemachine.tsv`, and what is deliberately not",
    "or not yet done, with the reason, in `test/spec/conformance.json`.",
    "",
    ...table(["", "proved", "deliberately not", "not yet", "missing"], summary),
    "",
    "## Where Linux and an RFC disagree",
    "",
    "A MUST wins over Linux's default, and Linux's default over a SHOULD.",
    "",
    ...table(
      ["what", "the RFC", "Linux", "here"],
      notes.linux.map(({ what, rfc, linux, here }) => [what, rfc, linux, here].map(cell)),
    ),
    "",
    "## Not yet",
    "",
    ...notes.notYet
      .map(({ feature, rows, reason }) => {
        const open = expandIds(rows).filter((id) => verdicts.get(id)?.kind === "not yet").length;
        return open === 0 ? "" : `- ${feature}: ${reason} (${open} rows)`;
      })
      .filter(Boolean),
  ];
  for (const rfc of [...claimed, ...rfcs.filter((other) => !claimed.includes(other))]) {
    const rows = of(rfc);
    lines.push("", `## ${title(rfc)}`, "");
    if (rows.every(({ id }) => verdicts.get(id).kind === "not yet") && !claimed.includes(rfc)) {
      lines.push(`Not yet: ${verdicts.get(rows[0].id).reason}. Rows ${rows[0].id} to ${rows.at(-1).id}.`);
      continue;
    }
    lines.push(
      ...table(
        ["id", "level", "what it asks", "verdict"],
        rows.map(({ id, level, requirement }) => [
          id,
          level,
          cell(requirement),
          verdictCell(verdicts.get(id)),
        ]),
      ),
    );
  }
  lines.push(
    "",
    "## RFC 9293 §3.10, row by row",
    "",
    ...table(
      ["row", "state", "event", "when", "then", "verdict"],
      machine.map(({ id, state, event, guard, next_state }) => {
        const verdict = verdicts.get(id);
        const text = verdict.kind === "proved" ? `\`${verdict.tests[0].file}\`` : verdictCell(verdict);
        return [id, state, event, cell(guard), next_state, text];
      }),
    ),
    "",
  );
  return lines.join("\n");
}

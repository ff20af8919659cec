import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { readCapture } from "../../bindings/pcap/index.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "synwave-script-"));
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const PING = "0 < S 0:0(0) win 5\n+0 > R. 0:0(0) ack 1\n";
const good = write("good.pkt", `// A closed port.\n${PING}`);
const bad = write("bad.pkt", `${PING}+.5 < S 0:0(0) win 5\n+0 > R. 0:0(0) ack 2\n`);
const broken = write("broken.pkt", "0 < S 0:0(0)\n");
const odd = write("odd.pkt", `${PING}+0 timerfd_create(1) = 3\n`);

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, program), ...args], {
    encoding: "utf8",
    cwd: root,
  });
  return { status, stdout, stderr };
}
const packetdrill = (...args: string[]) => run("scripts/packetdrill.mjs", ...args);
const script = (...args: string[]) => run("dist/cli.js", "script", ...args);

describe("npm run packetdrill", () => {
  it("says ok, not ok or skip of each file, then how many", () => {
    const { status, stdout } = packetdrill(folder);
    expect(stdout.trimEnd().split("\n")).toEqual([
      expect.stringMatching(
        /^not ok .*bad\.pkt: line 4: expected > R\. 0:0\(0\) ack 2, got > R\. 0:0\(0\) ack 1 win 0 \(ack 1 instead of 2\)$/,
      ),
      expect.stringMatching(/^not ok .*broken\.pkt: line 2: an inbound packet needs a window$/),
      expect.stringMatching(/^ok .*good\.pkt$/),
      expect.stringMatching(/^skip .*odd\.pkt: not applicable: timerfd_create\(\)$/),
      "1 passed, 2 failed, 1 skipped",
    ]);
    expect(status).toBe(1);
  });

  it("succeeds when nothing fails; --relaxed says what it tolerates", () => {
    const { status, stdout } = packetdrill("--relaxed", good, odd);
    expect(stdout).toMatch(/^relaxed: .*PSH/);
    expect(stdout).toMatch(/\n1 passed, 0 failed, 1 skipped\n$/);
    expect(status).toBe(0);
  });

  it("options of scripts and definitions prevail over the script's", () => {
    const named = write("named.pkt", "--define=WORD=0x5\n0 < S 0:0(0) win WORD\n+0 > R. 0:0(0) ack 1\n");
    expect(packetdrill("--define", "WORD=lost", named).stdout).toContain("expected a window, got lost");
    expect(packetdrill("--ip_version=ipv6", named).stdout).toContain("1 passed");
    expect(packetdrill("--tolerance_usecs=soon", named).stdout).toContain('not "soon"');
    rmSync(named);
  });

  it("-D defines as well; FreeBSD takes the place of STANDARD", () => {
    const choice = write(
      "choice.pkt",
      `0 < S 0:0(0) win 5\n#ifdef STANDARD\n+0 > R. 0:0(0) ack 1\n#endif
#ifdef FreeBSD\n+0 > R. 0:0(0) ack 2\n#endif\n`,
    );
    expect(packetdrill(choice).stdout).toContain("1 passed");
    for (const option of [
      ["-D", "FreeBSD=1"],
      ["--define", "FreeBSD"],
    ])
      expect(packetdrill(...option, choice).stdout).toContain("ack 1 instead of 2");
    rmSync(choice);
  });

  it("says what a script presumes", () => {
    const old = write(
      "old.pkt",
      `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 6>\n`,
    );
    expect(packetdrill(old).stdout).toMatch(/^ok .*old\.pkt \(presumed: tcp_rmem=\d+ \d+ \d+\)\n/);
    rmSync(old);
  });

  it("--mutate tells how many mutants there were, and that all fail", () => {
    expect(packetdrill("--mutate", "5", good).stdout).toMatch(
      /^ok .*good\.pkt: 5 mutants, all fail\n1 passed/,
    );
  });

  it.each([[[]], [["/no/such/file.pkt"]], [["--mutate", "some", good]]])("%j makes no sense", (args) => {
    const { status, stderr } = packetdrill(...args);
    expect([status, stderr]).toEqual([2, expect.stringContaining("Usage:")]);
  });
});

describe("synwave script", () => {
  it("shows what happened, with the title and the verdict", () => {
    const { status, stdout } = script(good);
    expect(status).toBe(0);
    expect(stdout).toContain("A closed port.");
    expect(stdout).toMatch(/0\.000 000 {2}→ S 0:0\(0\) win 5\n.*← R\. 0:0\(0\) ack 1 win 0\n\nok: /);
  });

  it("fails with the line that went wrong", () => {
    const { status, stdout } = script(bad);
    expect(status).toBe(1);
    expect(stdout).toContain("not ok: line 4: expected > R. 0:0(0) ack 2");
  });

  it("--pcapng saves the packets, with their times", () => {
    const file = join(folder, "packets.pcapng");
    script(bad, "--pcapng", file);
    const packets = [...readCapture(readFileSync(file))];
    expect(packets.map(({ time, direction }) => [time, direction])).toEqual([
      [0, "inbound"],
      [0, "outbound"],
      [500, "inbound"],
      [500, "outbound"],
    ]);
    rmSync(file);
  });

  it("--json tells all of it to programs", () => {
    const { verdict, trace } = JSON.parse(script("--json", bad).stdout);
    expect(verdict).toMatchObject({ status: "failed", line: 4 });
    expect(trace.map(({ kind }: { kind: string }) => kind)).toEqual(["in", "out", "in", "out", "failure"]);
  });

  it("a script that cannot be read is one line that names file, line and column", () => {
    const { status, stdout, stderr } = script(broken);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^synwave: .*broken\.pkt:2:1: an inbound packet needs a window\n$/);
  });

  it("shows every chapter of examples/scripts", () => {
    const chapters = readdirSync(join(root, "examples/scripts")).map((name) =>
      join(root, "examples/scripts", name),
    );
    const { status, stdout } = script(...chapters);
    expect(status).toBe(0);
    expect(stdout.match(/^ok: /gm)).toHaveLength(chapters.length);
  });
});

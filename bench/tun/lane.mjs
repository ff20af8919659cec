// Transfers over TUN devices, in a network namespace of this process's own: what it is told by message it runs, and answers
// with octets and seconds.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { loadNodeLibrary } from "../dist.mjs";
import { LinuxHost } from "../paths/linux-host.mjs";
import { Host } from "./host.mjs";

const { openTun } = await loadNodeLibrary();
const [, , agent, forwarder] = process.argv;

const A = "10.89.0.1";
const B = "10.89.0.2";
const PORT = 5000;
/** The same at both ends, and Linux's own. */
const CONGESTION = "cubic";

/** From Linux to Linux, through the forwarder. */
async function reference(mode, seconds) {
  const hosts = await Promise.all([LinuxHost.start(agent), LinuxHost.start(agent)]);
  const forward = spawn(forwarder, ["tun0", "tun1", mode], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await Promise.race([
      once(forward.stdout, "data"),
      once(forward, "exit").then(() => Promise.reject(new Error("the forwarder ended"))),
    ]);
    await hosts[0].take("tun0", A);
    await hosts[1].take("tun1", B);
    const counting = await hosts[1].sink(PORT, seconds);
    const [, received] = await Promise.all([hosts[0].send(B, PORT, seconds, CONGESTION), counting.result]);
    return received;
  } finally {
    const gone = once(forward, "exit");
    forward.kill();
    await gone;
    for (const host of hosts) host.stop();
  }
}

/** Between Linux and Synwave. */
async function transfer(mode, from, seconds) {
  const linux = await LinuxHost.start(agent);
  const link = await openTun({ name: "tun0", mtu: 1500, offload: mode === "offload" });
  let synwave;
  try {
    await linux.take("tun0", A);
    synwave = await Host.start(link, B, CONGESTION);
    const [sender, receiver, address] = from === "linux" ? [linux, synwave, B] : [synwave, linux, A];
    const counting = await receiver.sink(PORT, seconds);
    const [sent, received] = await Promise.all([
      sender.send(address, PORT, seconds, CONGESTION),
      counting.result,
    ]);
    return { ...received, sent, drops: link.drops };
  } finally {
    if (synwave) await synwave.stop();
    else await link.close();
    linux.stop();
  }
}

process.on("message", async ({ from, mode, seconds }) => {
  try {
    const result = await (from === "reference" ? reference(mode, seconds) : transfer(mode, from, seconds));
    process.send({ result });
  } catch (error) {
    process.send({ error: error.stack });
  }
});
process.on("disconnect", () => process.exit());
process.send({});

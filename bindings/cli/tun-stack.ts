import { lookup } from "node:dns/promises";
import { openTun, type TunLink } from "../node/tun.ts";
import { createStack, type Stack } from "../stack.ts";
import type { TunChoice } from "./options.ts";

/** A stack on a TUN device; `stack.close()` gives the device back. */
export async function openTunStack({
  tun,
  address,
  offload,
}: TunChoice): Promise<{ link: TunLink; stack: Stack }> {
  const link = await openTun({ name: tun, offload: offload ?? false });
  try {
    return { link, stack: await createStack({ link, addresses: address, resolve: resolver(address) }) };
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Names are the system's to resolve, to an address of a family that we have. */
function resolver(addresses: readonly string[]): (hostname: string) => Promise<string> {
  const six = addresses.some((address) => address.includes(":"));
  const four = addresses.some((address) => !address.includes(":"));
  return async (hostname) => (await lookup(hostname, { family: six && four ? 0 : six ? 6 : 4 })).address;
}

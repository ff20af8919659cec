import { Namespace } from "./namespace.ts";

/** The TUN device, and who is who on it. */
export const TUN = "syn0";
export const KERNEL = { v4: "10.77.0.1", v6: "fd77::1" } as const;
export const OURS = { v4: "10.77.0.2", v6: "fd77::2" } as const;
/** The command line's options for our side of the device. */
export const OUR_SIDE = ["--tun", TUN, "--address", `${OURS.v4}/24`, "--address", `${OURS.v6}/64`];

/** A namespace in which Linux has one end of a TUN device and we the other. */
export async function makeNetwork(mtu = 1500): Promise<Namespace> {
  const space = await Namespace.create();
  await addTun(space, mtu);
  return space;
}

async function addTun(space: Namespace, mtu: number): Promise<void> {
  await space.ip(`tuntap add ${TUN} mode tun`);
  await space.ip(`link set ${TUN} mtu ${mtu} up`);
  await space.ip(`address add ${KERNEL.v4}/24 dev ${TUN}`);
  await space.ip(`address add ${KERNEL.v6}/64 dev ${TUN} nodad`);
}

/** The host behind the router. */
export const FAR = { v4: "10.78.0.1", v6: "fd78::1" } as const;
const FAR_ROUTER = { v4: "10.78.0.2", v6: "fd78::2" } as const;

export interface RoutedNetwork {
  /** Where curl, nginx and the rest run. */
  host: Namespace;
  /** Holds the TUN device, forwards, drops. */
  router: Namespace;
  close(): Promise<void>;
}

/**
 * A host and a router between it and the TUN device, on which nftables drops `percent` of the packets each way. A drop
 * on the host itself would not be loss: a local sender is told (EPERM) and keeps the segment.
 */
export async function makeLossyNetwork(percent: number): Promise<RoutedNetwork> {
  const host = await Namespace.create();
  const router = await Namespace.create();
  await addTun(router, 1500);
  await host.ip(`link add veth0 type veth peer name veth1 netns ${router.name}`);
  // One segment a packet: a rule would otherwise drop dozens of segments that travel as one.
  for (const [space, device, address] of [
    [host, "veth0", FAR],
    [router, "veth1", FAR_ROUTER],
  ] as const) {
    await space.ip(`link set ${device} gso_max_segs 1 up`);
    await space.ip(`address add ${address.v4}/24 dev ${device}`);
    await space.ip(`address add ${address.v6}/64 dev ${device} nodad`);
  }
  await host.ip(`route add default via ${FAR_ROUTER.v4}`);
  await host.ip(`-6 route add default via ${FAR_ROUTER.v6}`);
  await router.must("sysctl", ["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  const rules = `
    table inet synwave {
      chain forward {
        type filter hook forward priority 0;
        iifname "${TUN}" numgen random mod 100 < ${percent} counter name toHost drop
        oifname "${TUN}" numgen random mod 100 < ${percent} counter name toUs drop
      }
      counter toHost { }
      counter toUs { }
    }`;
  await router.must("nft", ["-f", "-"], { input: rules });
  return {
    host,
    router,
    async close() {
      await host.close();
      await router.close();
    },
  };
}

/** Packets dropped so far in each direction. */
export async function dropped(router: Namespace): Promise<{ toHost: number; toUs: number }> {
  const { nftables } = JSON.parse(await router.must("nft", ["-j", "list", "counters"])) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  const packets = (name: string) =>
    nftables.find((entry) => entry.counter?.name === name)?.counter?.packets ?? 0;
  return { toHost: packets("toHost"), toUs: packets("toUs") };
}

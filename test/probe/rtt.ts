import { nextRttvar, nextSrtt, unclampedRto } from "../../assembly/rtt.ts";

export { nextRttvar as probe_nextRttvar, nextSrtt as probe_nextSrtt, unclampedRto as probe_unclampedRto };

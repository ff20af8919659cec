import { initialWindow } from "../../assembly/congestion/newreno.ts";

export { initialWindow as probe_initialWindow };

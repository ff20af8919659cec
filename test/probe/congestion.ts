import { initialWindow } from "../../assembly/congestion/window.ts";

export { initialWindow as probe_initialWindow };

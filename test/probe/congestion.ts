import { alpha, nextWMax, timeToMax, wCubic } from "../../assembly/congestion/cubic.ts";
import { initialWindow } from "../../assembly/congestion/window.ts";

export {
  alpha as probe_alpha,
  initialWindow as probe_initialWindow,
  nextWMax as probe_nextWMax,
  timeToMax as probe_timeToMax,
  wCubic as probe_wCubic,
};

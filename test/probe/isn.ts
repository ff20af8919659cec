import { isn } from "../../assembly/isn.ts";

export { isn as probe_isn };

import { hash4, hash6 } from "../../assembly/hash.ts";

export { hash4 as probe_hash4, hash6 as probe_hash6 };

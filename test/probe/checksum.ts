import { add, copySum, finish, sum, swap, update } from "../../assembly/checksum.ts";

export {
  add as probe_add,
  copySum as probe_copySum,
  finish as probe_finish,
  sum as probe_sum,
  swap as probe_swap,
  update as probe_update,
};

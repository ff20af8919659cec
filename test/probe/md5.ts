import { md5, md5Initial, md5Transform } from "../../assembly/md5.ts";

export { md5 as probe_md5, md5Initial as probe_md5Initial, md5Transform as probe_md5Transform };

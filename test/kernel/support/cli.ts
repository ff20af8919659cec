import { fileURLToPath } from "node:url";

/** The built command line and the built library for Node: what is shipped is what is tested. */
export const CLI = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));
export const LIBRARY = fileURLToPath(new URL("../../../dist/node.js", import.meta.url));

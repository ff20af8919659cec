// The internals of assembly/ by name, for tests and micro-benchmarks; no part of the product's binaries.
// asc takes an extension in `import … from` only, not in `export … from`.
export * from "./checksum";
export * from "./congestion";
export * from "./control";
export * from "./hash";
export * from "./isn";
export * from "./md5";
export * from "./options";
export * from "./packet";
export * from "./reassembly";
export * from "./repeat";
export * from "./rtt";
export * from "./scoreboard";
export * from "./segments";
export * from "./seq";
export * from "./stream";

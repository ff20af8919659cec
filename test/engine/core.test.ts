import { setFlagsFromString } from "node:v8";
import { expect, it } from "vitest";
import { makeEngine } from "../support/engine.ts";

it("an engine's parts are no dictionaries to V8, whichever engine it is", async () => {
  setFlagsFromString("--allow-natives-syntax");
  const isFast = new Function("object", "return %HasFastProperties(object)") as (object: unknown) => boolean;
  for (let i = 0; i < 3; i++) {
    const { core } = (await makeEngine()) as unknown as { core: object };
    expect(isFast(core)).toBe(true);
  }
});

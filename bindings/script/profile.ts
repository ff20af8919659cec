import { STREAM_MAX } from "../../assembly/shared/sizes.ts";
import { DEFAULT_SETTINGS, resolveSettings, type Settings } from "../settings.ts";
import { concernsSocketsOnly } from "./socket-defaults.ts";

const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Names of congestion control that mean the same. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = { reno: ["newreno", "reno"] };

/** Settings that are taken in before they get here. */
const INTERPRETED = new Set([
  "recvspace",
  "sendspace",
  "maxsockbuf",
  "fastopen.client_enable",
  "fastopen.server_enable",
]);

/** The engine's settings for kernel settings, and those it has nothing to do with. */
export function settingsFor(sysctls: Iterable<readonly [key: string, value: string]>): {
  settings: Partial<Settings>;
  ignored: string[];
} {
  const settings: Record<string, unknown> = {};
  const ignored = new Set<string>();
  for (const [key, value] of sysctls) {
    if (INTERPRETED.has(key) || concernsSocketsOnly(key)) continue;
    const name = camel(key);
    const known = Object.hasOwn(DEFAULT_SETTINGS, name) && accepted(name, value);
    if (known === undefined || known === false) ignored.add(`${key}=${value}`);
    else {
      settings[name] = known.value;
      if (known.cut) ignored.add(`${key}=${value} beyond ${STREAM_MAX}`);
    }
  }
  return { settings: settings as Partial<Settings>, ignored: [...ignored] };
}

/** The first form of `value` that the engine takes for a setting. */
function accepted(name: string, value: string): { value: unknown; cut: boolean } | undefined {
  const like = DEFAULT_SETTINGS[name as keyof Settings];
  let forms: unknown[] = [Number(value)];
  if (Array.isArray(like)) {
    const numbers = value.split(/[\s,]+/).map(Number);
    // More than a stream can hold is as good as all it can.
    forms = [numbers, numbers.map((number) => Math.min(number, STREAM_MAX))];
  } else if (typeof like === "string") forms = [...(SYNONYMS[value] ?? []), value];
  else if (typeof like === "boolean") forms = [value !== "0"];
  for (const form of forms) {
    try {
      resolveSettings({ [name]: form } as Partial<Settings>);
      return { value: form, cut: Array.isArray(form) && form !== forms[0] };
    } catch {
      // Not this one; the caller says which were not taken.
    }
  }
  return undefined;
}

import { Command, InvalidArgumentError, Option } from "commander";

/** Where a command's stack lives: options every command that talks to a TUN device takes. */
export interface TunChoice {
  tun: string;
  address: string[];
  offload?: boolean;
}

/**
 * A command that throws its usage errors for `main` to turn into an exit status.
 * @param examples lines of shell, without the prompt
 */
export function makeCommand(name: string, description: string, examples: readonly string[]): Command {
  const lines = examples.map((line) => `  ${line}`).join("\n");
  return new Command(name)
    .description(description)
    .exitOverride()
    .showHelpAfterError(`(synwave ${name} --help tells more)`)
    .addHelpText("after", `\nExamples:\n${lines}`);
}

export function addTunOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--tun <name>",
        "TUN device; made if there is none by that name (required)",
      ).makeOptionMandatory(),
    )
    .addOption(
      new Option(
        "--address <address/length>",
        "address of our side, with its prefix; may be repeated (required)",
      )
        .argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
        .makeOptionMandatory(),
    )
    .option("--offload", "leave cutting text into segments, and checksums, to the kernel: faster");
}

/** @throws InvalidArgumentError unless `text` is an integer from `least` to `most` */
export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most)
      throw new InvalidArgumentError(`It must be an integer from ${least} to ${most}.`);
    return number;
  };
}

export const port = integer(1, 65535);

/** @throws InvalidArgumentError unless `text` is a positive number of seconds */
export function seconds(text: string): number {
  const number = Number(text);
  // A timer waits for at most 2^31 - 1 ms.
  if (!/^\d+(\.\d+)?$/.test(text) || number <= 0 || number > 2147483)
    throw new InvalidArgumentError("It must be a positive number of seconds, at most 2147483.");
  return number;
}

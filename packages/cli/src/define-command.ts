import type { Command } from 'commander'
import { globalOptions } from './context.ts'
import type { Answer } from './output.ts'
import { runCommand } from './run-command.ts'

type Action = (
  args: readonly string[],
  options: Record<string, unknown>,
  command: Command,
  signal: AbortSignal,
) => Promise<Answer>

/** A command whose code is loaded when it is called: `--help` and `list` do not pay for engines and stores. */
export function act(command: Command, action: Action): Command {
  return command.action(async (...given: unknown[]) => {
    const self = given.at(-1) as Command
    const { json } = globalOptions(self)
    await runCommand(json, (signal) => action(self.processedArgs as string[], self.opts(), self, signal))
  })
}

export const STORE = 'a name, or file:///FOLDER, s3://BUCKET/PREFIX, azblob://CONTAINER/PREFIX'

/** Those of the options that were given. */
export function given<K extends string>(
  options: Record<string, unknown>,
  ...keys: readonly K[]
): { [key in K]?: string } {
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]]))) as never
}

export function example(command: Command, text: string): Command {
  return command.addHelpText('after', `\nExample:\n  ${text}`)
}

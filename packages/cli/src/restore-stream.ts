import type { Runtime } from '@salvor/runtime/open-runtime'
import { inlineTasks } from '@salvor/runtime/tasks/inline-tasks'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ByteSink } from '@salvor/shared/ports/engine'

/** `--to -`: the standard output. A folder of that name is `./-`. */
export const STREAM = '-'

interface Wish {
  readonly json: boolean
  readonly inPlace: boolean
  readonly delta?: 'same' | 'any'
  readonly start: boolean
  readonly plan: boolean
  readonly tablespaces: Readonly<Record<string, string>>
}

/** USAGE for what a stream cannot have. */
export function assertStream({ json, inPlace, delta, start, plan, tablespaces }: Wish): void {
  const refused = (reason: string) => new SalvorError('USAGE', { reason, command: 'restore' })
  if (json && !plan) throw refused('--json and --to - both want stdout; leave out --json')
  if (inPlace || delta || start) throw refused('--to - makes no folder: --in-place, --delta and --start need one')
  if (Object.keys(tablespaces).length > 0)
    throw refused('tablespaces of a stream are folders in pg_tblspc, without --tablespace')
  if (!plan && process.stdout.isTTY) throw refused('stdout is a terminal: send it into a file or a pipe')
}

/** The same, with tasks that run in this process, which owns the output. */
export function streaming(runtime: Runtime, output: ByteSink): Runtime {
  const { clock, log } = runtime.deps
  const tasks = inlineTasks({ config: () => runtime.config(), clock, log, output })
  return { ...runtime, deps: { ...runtime.deps, tasks } }
}

/** Waits for the reader; one that goes away is a failure, not a crash. */
export function standardOutput(): Disposable & { readonly sink: ByteSink } {
  const { stdout } = process
  const gone = (): void => undefined
  stdout.on('error', gone)
  const sink: ByteSink = (chunk) =>
    new Promise((resolve, reject) => {
      stdout.write(chunk, (error) => {
        if (!error) return resolve()
        const { code = error.message } = error as NodeJS.ErrnoException
        reject(new SalvorError('RESTORE_FAILED', { target: 'stdout', reason: `nobody reads it (${code})` }, error))
      })
    })
  return { sink, [Symbol.dispose]: () => void stdout.off('error', gone) }
}

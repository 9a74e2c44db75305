import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { closeSync, openSync, writeSync } from 'node:fs'
import { ClientProcess, ProgramFailed, type ClientCommand } from '../logical/client-process.ts'

const SILENT_MS = 3_600_000

/** Runs a client program and writes what it says into a new file. DUMP_FAILED. */
export async function writeOutput(
  context: EngineContext,
  command: Omit<ClientCommand, 'input'>,
  { file, what }: { readonly file: string; readonly what: string },
  signal: AbortSignal,
): Promise<void> {
  await using process = new ClientProcess({ ...command, input: 'ignore' })
  const stop = () => void process[Symbol.asyncDispose]()
  signal.addEventListener('abort', stop, { once: true })
  const fd = openSync(file, 'wx', 0o600)
  try {
    let done = 0
    for await (const chunk of process.output(() => SILENT_MS)) {
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
      done += chunk.length
      context.progress({ phase: `export ${what}`, done_bytes: done, total_bytes: null })
    }
    signal.throwIfAborted()
    await process.end()
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ProgramFailed)) throw error
    const program = command.program.slice(command.program.lastIndexOf('/') + 1)
    throw new SalvorError('DUMP_FAILED', { source: context.source, program, what, reason: error.message }, error)
  } finally {
    closeSync(fd)
    signal.removeEventListener('abort', stop)
  }
}

import type { MessagePort } from 'node:worker_threads'
import type { Command, LockNote, Report, ReportOf } from './messages.ts'

/** The thread's two ways to the parent process. */
export interface Line {
  report(report: Report): void
  note(note: LockNote): void
  /** The next thing the parent wants. */
  next(): Promise<Command>
}

/** What the parent wants, in its order; `next` waits for it. */
export class Commands {
  readonly #waiting: Command[] = []
  #take: ((command: Command) => void) | undefined

  give(command: Command): void {
    if (this.#take) this.#take(command)
    else this.#waiting.push(command)
    this.#take = undefined
  }

  next(): Promise<Command> {
    const first = this.#waiting.shift()
    if (first) return Promise.resolve(first)
    return new Promise((resolve) => {
      this.#take = resolve
    })
  }
}

/** The line of a process that has one task. */
export function openLine(port: MessagePort): Line {
  const commands = new Commands()
  port.on('message', (command: Command) => commands.give(command))
  return {
    report: (report) => port.postMessage(report),
    note: (note) => port.postMessage(note),
    next: () => commands.next(),
  }
}

export function failedBy(error: unknown): ReportOf<'failed'> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERR_UNKNOWN'
  return { report: 'failed', code, text: error instanceof Error ? error.message : 'unknown' }
}

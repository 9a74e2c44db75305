import { parentPort, workerData } from 'node:worker_threads'
import type { Command, LockNote, Report, Request } from './messages.ts'

/** The thread's two ways to the parent process. */
export interface Line {
  report(report: Report): void
  note(note: LockNote): void
  /** The next thing the parent wants. */
  next(): Promise<Command>
}

function openLine(): Line {
  const port = parentPort
  if (!port) throw new Error('started outside a child process')
  const waiting: Command[] = []
  let take: ((command: Command) => void) | undefined
  port.on('message', (command: Command) => {
    if (take) take(command)
    else waiting.push(command)
    take = undefined
  })
  return {
    report: (report) => port.postMessage(report),
    note: (note) => port.postMessage(note),
    next() {
      const first = waiting.shift()
      if (first) return Promise.resolve(first)
      return new Promise((resolve) => {
        take = resolve
      })
    },
  }
}

/** A task's last report is what it returns: it is sent when the task has closed everything. */
async function run(request: Request, line: Line): Promise<Report> {
  if (request.task === 'probe') return (await import('./probe.ts')).probe(request)
  if (request.task === 'hold') return (await import('./hold.ts')).hold(request, line)
  if (request.task === 'follow') return (await import('./follow.ts')).follow(request, line)
  if (request.task === 'settle') return (await import('./settle.ts')).settle(request)
  if (request.task === 'claim') return (await import('./claim.ts')).claim(request)
  if (request.task === 'export') return (await import('./export.ts')).exportFiles(request)
  return (await import('./examine.ts')).examine(request, line)
}

const line = openLine()
try {
  line.report(await run(workerData as Request, line))
} catch (error) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERR_UNKNOWN'
  line.report({ report: 'failed', code, text: error instanceof Error ? error.message : 'unknown' })
}

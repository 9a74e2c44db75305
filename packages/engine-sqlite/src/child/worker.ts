import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { failedBy, type Line, openLine } from './line.ts'
import type { Report, Request, RequestOf } from './messages.ts'

/** A task's last report is what it returns: it is sent when the task has closed everything. */
async function run(request: Exclude<Request, RequestOf<'followers'>>, line: Line): Promise<Report> {
  if (request.task === 'probe') return (await import('./probe.ts')).probe(request)
  if (request.task === 'hold') return (await import('./hold.ts')).hold(request, line)
  if (request.task === 'settle') return (await import('./settle.ts')).settle(request)
  if (request.task === 'claim') return (await import('./claim.ts')).claim(request)
  if (request.task === 'export') return (await import('./export.ts')).exportFiles(request)
  return (await import('./examine.ts')).examine(request, line)
}

async function serve(port: MessagePort, request: Request): Promise<void> {
  if (request.task === 'followers') {
    ;(await import('./followers.ts')).serveFollowers(port)
    return
  }
  const line = openLine(port)
  line.report(await run(request, line).catch(failedBy))
}

if (!parentPort) throw new Error('started outside a child process')
await serve(parentPort, workerData as Request)

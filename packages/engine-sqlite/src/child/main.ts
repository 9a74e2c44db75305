import { Worker } from 'node:worker_threads'
import { goFirst } from './priority.ts'
import type { FollowerReport, LockNote, Report, Request } from './messages.ts'

/**
 * Entry of the only processes in which Salvor opens databases. SQLite runs in a thread, so that this one is always free
 * to end the process: when the parent is gone, whatever SQLite is doing, and when the write lock is held for too long.
 * Ending is always safe: the system drops the locks, and SQLite is made for it.
 */
const end = (): void => {
  process.kill(process.pid, 'SIGKILL')
}
process.once('disconnect', end)
// A terminal's Ctrl-C reaches the whole group: the parent decides, and its end is ours.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

/**
 * While a copy goes aside, the lock is given back by its own clock. Where that comes late there are no processors to be had, which an end would not mend: it would begin
 * the copy anew.
 */
const PATIENCE = 4

process.once('message', (request: Request) => {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: request })
  const lockLimit = request.task === 'hold' || request.task === 'followers' ? request.write_lock_ms : 0
  // After the start of the other thread, which would inherit it. A watchdog that comes late is none.
  if (lockLimit > 0) goFirst()
  let watchdog: NodeJS.Timeout | undefined
  let late: NodeJS.Immediate | undefined
  const report = (message: Report | FollowerReport): boolean | undefined => process.send?.(message)

  worker.on('message', (message: Report | FollowerReport | LockNote) => {
    if (!('locked' in message)) {
      report(message)
      return
    }
    clearTimeout(watchdog)
    clearImmediate(late)
    if (!message.locked) return
    const { follower, patient } = message
    const overran = (): void => {
      report(follower === undefined ? { report: 'overran' } : { follower, said: { report: 'overran' } })
      end()
    }
    // Where this thread itself came late, that the lock was given back may have been said already.
    watchdog = setTimeout(
      () => {
        late = setImmediate(overran)
      },
      lockLimit * (patient === true ? PATIENCE : 1),
    )
  })
  worker.on('error', (error) => {
    report({ report: 'failed', code: 'ERR_WORKER', text: error.message })
  })
  process.on('message', (command) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(command)
  })
})

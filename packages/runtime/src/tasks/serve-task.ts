import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { installedAdapters, type Adapters } from '../adapters/installed-adapters.ts'
import { systemClock } from '../clock.ts'
import { parseConfig } from '../config/load-config.ts'
import type { LoadedConfig } from '../config/loaded-config.ts'
import { undigested } from '../config/secret-values.ts'
import { createLog } from '../log.ts'
import { cleanFailure } from './clean-failure.ts'
import { giveWay } from './give-way.ts'
import type { PerformTask } from './perform-task.ts'
import { removeTree } from './remove-tree.ts'
import type { TaskOrder, TaskReport } from './task-messages.ts'
import { REPORT_EVERY_MS, throttleProgress } from './throttled-progress.ts'

/** Time to clean up once the service is gone: it can kill nobody any more. */
const ORPHAN_MS = 10_000

/** The life of a task process: one order, its reports, the end. Never outlives the service that started it. */
export function serveTask(perform: PerformTask, adapters: Adapters = installedAdapters): void {
  process.umask(0o077)
  const abort = new AbortController()
  const interrupt = (): void => abort.abort(new SalvorError('INTERRUPTED'))
  let ordered = false
  let reported = false
  process.on('SIGTERM', interrupt)
  process.on('SIGINT', interrupt)
  process.once('disconnect', () => {
    if (reported || !ordered) process.exit(0)
    interrupt()
    setTimeout(dieWithGroup, ORPHAN_MS)
  })
  process.once('message', (order: TaskOrder) => {
    ordered = true
    let config: LoadedConfig | null = null
    const secrets = (): readonly string[] => config?.secrets ?? []
    const end = (report: TaskReport): void => {
      if (reported) return
      reported = true
      if (process.connected) process.send!(report)
      else void leave(order.scratch_dir)
    }
    const fail = (error: unknown): void => end({ kind: 'failed', ...cleanFailure(error, secrets) })
    process.on('uncaughtException', fail)
    process.on('unhandledRejection', fail)
    const work = async (): Promise<void> => {
      try {
        // Nothing here compares configurations, and with hundreds of sources the digests would take seconds.
        config = await parseConfig(order.text, order.file, { ...process.env, ...order.env }, adapters, undigested)
        await giveWay(order, config, adapters)
        end({ kind: 'done', output: await obey(order, config, perform, abort.signal) })
      } catch (error) {
        fail(error)
      }
    }
    void work()
  })
  // Started by hand, or by a service that is gone already.
  if (!process.connected) process.exit(2)
}

async function obey(
  order: TaskOrder,
  config: LoadedConfig,
  perform: PerformTask,
  signal: AbortSignal,
): Promise<unknown> {
  const { task, input, scratch_dir, log_level } = order
  const log = createLog({ level: log_level, secrets: () => config.secrets, facts: { task, pid: process.pid } })
  const send = (progress: RunProgress, sent: () => void): void => {
    process.send?.({ kind: 'progress', progress } satisfies TaskReport, sent)
  }
  const progress = throttleProgress(send, REPORT_EVERY_MS, () => systemClock.monotonicMs())
  try {
    return await perform(task, input, { config, clock: systemClock, log, scratch_dir, progress, signal })
  } catch (error) {
    // The cause stays behind in this process: told here, once.
    const known = error instanceof SalvorError
    log[known ? 'debug' : 'error']({ error }, known ? 'the task failed' : 'a bug ended the task')
    throw error
  }
}

async function leave(scratchDir: string): Promise<void> {
  await removeTree(scratchDir).catch(() => {})
  process.exit(1)
}

function dieWithGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL')
  } catch {
    process.exit(1)
  }
}

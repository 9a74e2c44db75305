import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Log } from '@salvor/shared/ports/log'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { nudge } from './nudge.ts'
import { openRuntime, type Runtime, type RuntimeOptions } from './open-runtime.ts'
import type { Timing } from './process-options.ts'
import { startServices, type ServiceProcess } from './service-process.ts'
import { listenForSignals } from './shutdown.ts'
import { emptySandbox } from './tasks/scratch.ts'

export interface RunOptions extends RuntimeOptions {
  /** Only these jobs are taken here, so that credentials can be kept apart; events are taken by every process. */
  readonly jobs?: readonly JobName[]
  /** Default: the configuration's, else a free one. Always on 127.0.0.1. */
  readonly http_port?: number
  readonly onReady?: (ready: { readonly http_port: number; readonly runtime: Runtime }) => void
  /** Stands for the first SIGTERM. */
  readonly signal?: AbortSignal
  readonly timing?: Timing
}

/** Files that are new are backed up after this long at the latest. */
const LOOK_MS = 30_000

/**
 * Runs services until SIGTERM or SIGINT, and resolves when all is put down in good order. Rejects when it is to be started
 * anew: it can't start, or can no longer prove to others that it lives. SIGHUP reads the configuration anew.
 */
export async function runServices(definitions: readonly ServiceDefinition[], options: RunOptions): Promise<void> {
  const service = options.service ?? definitions.map(({ name }) => name).join('+')
  await using runtime = await openRuntime({ ...options, service })
  const { log } = runtime.deps
  await emptySandbox(runtime.config().sandbox_dir, log)
  let running: ServiceProcess | null = null
  let reread = false
  const renew = nudge(async () => {
    const whole = reread
    reread = false
    if (running && (await (whole ? runtime.reload() : runtime.lookForFiles())))
      await running.restartHooks().catch(logged(log))
  })
  const reload = (): void => {
    reread = true
    renew()
  }
  using signals = listenForSignals(reload, options.signal)
  const looking = setInterval(renew, options.timing?.lookMs ?? LOOK_MS).unref()
  const { jobs, http_port, timing } = options
  running = await startServices(runtime, { definitions, jobs, http_port, timing })
  log.info({ services: definitions.map(({ name }) => name), http_port: running.http_port }, 'ready')
  options.onReady?.({ http_port: running.http_port, runtime })
  const lost = await ended(signals.stop, running.lost)
  if (!lost) log.info({}, 'stopping: no new work is taken')
  clearInterval(looking)
  await renew.stop()
  await running.stop(lost ? running.lost : signals.hurry)
  if (lost)
    throw new SalvorError(
      'CATALOG_UNREACHABLE',
      { reason: 'this process could not renew its own lease' },
      running.lost.reason,
    )
  log.info({}, 'stopped')
}

/** True when the process lost its proof of life rather than being told to stop. */
function ended(stop: AbortSignal, lost: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (stop.aborted || lost.aborted) return resolve(!stop.aborted)
    stop.addEventListener('abort', () => resolve(false), { once: true })
    lost.addEventListener('abort', () => resolve(true), { once: true })
  })
}

function logged(log: Log): (error: unknown) => void {
  return (error) => log.error({ error: asSalvorError(error) }, 'the services could not take up the new configuration')
}

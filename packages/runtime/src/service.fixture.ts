import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { fakeAdapters } from './config/fake-adapters.fixture.ts'
import { openRuntime, type Runtime } from './open-runtime.ts'
import type { Timing } from './process-options.ts'
import { startServices, type ServiceProcess } from './service-process.ts'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { memoryLog, service, type LogLine } from './world.fixture.ts'

/** A folder with a configuration, an embedded catalog and what processes in it tell each other. */
export interface Place extends Disposable {
  readonly folder: string
  readonly config_file: string
  file(name: string): string
  write(extra?: string): void
}

export function makePlace(redisUrl: string | null): Place {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-service-'))
  const config_file = join(folder, 'salvor.yaml')
  const place: Place = {
    folder,
    config_file,
    file: (name) => join(folder, name),
    write(extra = '') {
      const redis = redisUrl === null ? '' : `redis: { url: "${redisUrl}" }\n`
      const rest =
        'stores: { local: { kind: disk, path: ./backups } }\nsources: { clinic: { engine: filedb, path: a.db } }\n'
      writeFileSync(config_file, `data_dir: ./data\n${redis}${rest}${extra}`)
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  }
  mkdirSync(join(folder, 'data'), { mode: 0o700 })
  place.write()
  return place
}

/** Short lengths: what takes half a minute in production takes a second in a test. */
export const QUICK: Timing = {
  leaseMs: 5000,
  pollMs: 300,
  overdueMs: 60_000,
  reconcileMs: 1000,
  sweepMs: 300,
  staleMs: 1000,
  probeEveryMs: 1000,
  probeWithinMs: 5000,
  drainMs: 2000,
}

export interface Started extends AsyncDisposable {
  readonly runtime: Runtime
  readonly process: ServiceProcess
  readonly lines: readonly LogLine[]
}

const now = AbortSignal.abort()

/** Services in this process, over a real catalog and, if the place has one, a real Redis. */
export async function startHere(
  place: Place,
  definitions: readonly ServiceDefinition[],
  timing: Timing = QUICK,
): Promise<Started> {
  const lines: LogLine[] = []
  const runtime = await openRuntime({
    config_file: place.config_file,
    env: {},
    openCatalog,
    service: definitions.map(({ name }) => name).join('+'),
    adapters: fakeAdapters(),
    log: memoryLog(lines),
  })
  const process = await startServices(runtime, { definitions, timing }).catch(async (error: unknown) => {
    await runtime[Symbol.asyncDispose]()
    throw error
  })
  return {
    runtime,
    process,
    lines,
    async [Symbol.asyncDispose]() {
      await process.stop(now)
      await runtime[Symbol.asyncDispose]()
    },
  }
}

/** A runtime that only writes into the catalog, as a command does. */
export function openCommand(place: Place): Promise<Runtime> {
  return openRuntime({
    config_file: place.config_file,
    env: {},
    openCatalog,
    adapters: fakeAdapters(),
    log: memoryLog(),
  })
}

/** A service that counts what it executes. */
export function counting(workMs = 0) {
  const executions = new Map<string, number>()
  const definition = service('backup-worker', {
    jobs: {
      'take-backup': {
        async handle(run) {
          executions.set(run.id, (executions.get(run.id) ?? 0) + 1)
          if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs))
          return { commit: async (tx) => void (await tx.openIncident(run.id, null, 'effect')) }
        },
      },
    },
    subscriptions: {
      'source.registered': async (event) => async (tx) =>
        void (await tx.openIncident(`heard/${event.id}`, null, 'effect')),
    },
  })
  return { executions, definition }
}

export async function health(port: number, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/${path}`)
  return { status: response.status, body: await response.text() }
}

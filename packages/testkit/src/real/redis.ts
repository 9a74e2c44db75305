import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { NotPossibleHere } from './not-here.ts'
import { freePort } from './postgres-process.ts'
import { redisProgram, spawnRedis, type RedisProcess } from './redis-process.ts'

export interface RedisOptions {
  /** maxmemory-policy; default noeviction. */
  readonly policy?: string
  /** Writes an append-only file with fsync each second, so that a restart finds what was there. */
  readonly appendonly?: boolean
  readonly port?: number
}

export interface RealRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly how: 'env' | 'local' | 'container'
  stop(): Promise<void>
  /** As a power cut takes it. */
  kill9(): Promise<void>
  /** Starts it on the same port and files; a running one is stopped first. */
  restart(): Promise<void>
}

/**
 * A real Redis: the one of TEST_REDIS_URL (only if nothing special is asked of it), else redis-server or valkey-server
 * (REDIS_SERVER, PATH, the checkout's own) on a free loopback port, else a container. It ends with this process at the latest.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RealRedis> {
  const given = process.env['TEST_REDIS_URL']
  if (given !== undefined && given !== '' && Object.keys(options).length === 0) return fromUrl(given)
  const program = redisProgram()
  if (program !== null) return startLocal(program, options)
  return startContainer(options)
}

function fromUrl(url: string): RealRedis {
  const refuse = async (): Promise<void> => {
    throw new NotPossibleHere('the Redis of TEST_REDIS_URL is not ours to stop')
  }
  const leave = async (): Promise<void> => undefined
  const port = Number(new URL(url).port || 6379)
  return { url, port, how: 'env', stop: leave, kill9: refuse, restart: refuse, [Symbol.asyncDispose]: leave }
}

/** Folders of servers that nobody disposed when the process ends. */
const left = new Set<string>()
process.once('exit', () => left.forEach(discard))

function discard(folder: string): void {
  left.delete(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

async function startLocal(program: string, options: RedisOptions): Promise<RealRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-redis-'))
  const port = options.port ?? (await freePort())
  const url = `redis://127.0.0.1:${port}`
  let server: RedisProcess | null = null
  const start = async (): Promise<void> => {
    server = spawnRedis(program, folder, port, [
      ['maxmemory-policy', options.policy ?? 'noeviction'],
      ['appendonly', options.appendonly ? 'yes' : 'no'],
    ])
    await answers(url, () => server?.ended() ?? null)
  }
  const stop = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    await server?.kill(signal)
    server = null
  }
  const remove = async (): Promise<void> => {
    await stop('SIGKILL')
    discard(folder)
  }
  left.add(folder)
  try {
    await start()
  } catch (error) {
    await remove()
    throw error
  }
  return {
    url,
    port,
    how: 'local',
    stop: () => stop('SIGTERM'),
    kill9: () => stop('SIGKILL'),
    async restart() {
      await stop('SIGTERM')
      await start()
    },
    [Symbol.asyncDispose]: remove,
  }
}

async function startContainer(options: RedisOptions): Promise<RealRedis> {
  const { GenericContainer } = await import('testcontainers')
  const port = options.port ?? (await freePort())
  const command = ['redis-server', '--save', '', '--maxmemory-policy', options.policy ?? 'noeviction']
  const container = await new GenericContainer('redis:7-alpine')
    .withExposedPorts({ container: 6379, host: port })
    .withCommand([...command, '--appendonly', options.appendonly ? 'yes' : 'no'])
    .start()
    .catch((cause: unknown) => {
      throw new Error(
        'no Redis for tests: set TEST_REDIS_URL, install redis-server or valkey-server (or name it in REDIS_SERVER), or run a container engine',
        { cause },
      )
    })
  const url = `redis://127.0.0.1:${port}`
  await answers(url, () => null)
  return {
    url,
    port,
    how: 'container',
    stop: async () => void (await container.exec(['redis-cli', 'shutdown', 'nosave'])),
    async kill9() {
      // Nobody inside a container may kill its first process.
      const { getContainerRuntimeClient } = await import('testcontainers')
      const runtime = await getContainerRuntimeClient()
      await runtime.container.getById(container.getId()).kill({ signal: 'SIGKILL' })
    },
    async restart() {
      await container.restart()
      await answers(url, () => null)
    },
    [Symbol.asyncDispose]: async () => void (await container.stop({ remove: true })),
  }
}

async function answers(url: string, ended: () => string | null): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 25) {
    const why = ended()
    if (why !== null) throw new Error(`Redis did not start: ${why}`)
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.ping()
      return
    } catch {
      await sleep(25)
    } finally {
      client.disconnect()
    }
  }
  throw new Error('Redis did not answer within 20 s')
}

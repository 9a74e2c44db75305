import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

export interface OwnRedis extends AsyncDisposable {
  readonly url: string
  /** Resolves when the server ended by itself. */
  readonly ended: Promise<void>
}

/**
 * A Redis of our own on a free loopback port, where none is configured. It holds nothing that the catalog does not know, so
 * it keeps no file; `program` is redis-server or valkey-server.
 */
export async function startOwnRedis(program: string, dataDir: string): Promise<OwnRedis> {
  const folder = join(dataDir, 'redis')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const port = await freePort()
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'no',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  // A group of its own: Ctrl-C in the terminal reaches the services first, which still need it.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await ready(child, program)
  return {
    url: `redis://127.0.0.1:${port}`,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function ready(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(new SalvorError('REDIS_UNREACHABLE', { reason: `${program}: ${reason}` }))
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`ended with ${code}`))
    child.stdout?.on('data', (text: Buffer) => {
      if (text.includes('eady to accept connections')) resolve()
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new SalvorError('INTERNAL', { what: 'no free port' })
  return address.port
}

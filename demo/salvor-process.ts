import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The command of this checkout, which runs what was compiled from the present sources. */
const SALVOR = fileURLToPath(new URL('../salvor', import.meta.url))

/** The salvor command in a folder, as a person would type it there; its stdout. Throws with stderr when it fails. */
export async function salvor(cwd: string, ...args: string[]): Promise<string> {
  const child = spawn(SALVOR, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exit(child)])
  if (code !== 0) throw new Error(`salvor ${args.join(' ')} ended with ${code}: ${err || out}`)
  return out
}

export interface DemoService extends AsyncDisposable {
  /** Rejects when it ends by itself. */
  readonly died: Promise<never>
  /** As `kill -HUP` does: it reads its configuration anew. */
  reload(): void
}

/** One service as a process of its own; its log goes into a file. Disposing stops it in good order. */
export function startService(cwd: string, name: string, logFile: string): DemoService {
  const child = spawn(SALVOR, ['service', name], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const log = createWriteStream(logFile)
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const ended = exit(child)
  let stopping = false
  const died = ended.then((code): never => {
    if (stopping) return new Promise<never>(() => {}) as never
    throw new Error(`${name} ended with ${code}; its log: ${logFile}`)
  })
  died.catch(() => {})
  return {
    died,
    reload: () => void child.kill('SIGHUP'),
    async [Symbol.asyncDispose]() {
      stopping = true
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(late)
      log.end()
    },
  }
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

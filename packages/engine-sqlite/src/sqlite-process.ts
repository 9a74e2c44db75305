import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Command, Report, ReportOf, Request } from './child/messages.ts'
import { ReportInbox } from './report-inbox.ts'

/** A child process in which SQLite works for us. Disposing ends what it does for us at once, which frees every lock of it. */
export interface SqliteProcess extends AsyncDisposable {
  tell(command: Command): void
  /** The next report, which must be one of `wanted`. Rejects when SQLite failed, the process ended, or on abort. */
  next<R extends Report['report']>(...wanted: R[]): Promise<ReportOf<R>>
  /** Rejects as soon as the process has ended or the run was aborted; never resolves. To be raced against other work. */
  readonly ended: Promise<never>
}

export interface SqliteProcessOptions {
  /** For temporary files of large sorts, which hold rows. */
  readonly scratch: string
  readonly signal: AbortSignal
  /** Turns what SQLite reported into the error of the port. */
  readonly failure: (failed: ReportOf<'failed'>) => SalvorError
}

const ENTRY = fileURLToPath(new URL('./child/main.ts', import.meta.url))
/** Tasks that give SQLite more than a name: elsewhere a path that begins with `file:` is only a path. */
const BY_URL: ReadonlySet<Request['task']> = new Set(['examine', 'claim', 'export'])
const STDERR_KEPT = 4_000

export function startSqlite(request: Request, options: SqliteProcessOptions): SqliteProcess {
  if (options.signal.aborted) throw new SalvorError('INTERRUPTED', {}, options.signal.reason)
  const inbox = new ReportInbox(options.failure)
  const child = forkSqlite(request, { SQLITE_TMPDIR: options.scratch })
  child.on('message', (report: Report) => inbox.deliver(report))
  const exited = whenEnded(child, (how, cause) => inbox.died(how, cause))
  const stop = (): void => {
    inbox.fail(new SalvorError('INTERRUPTED', {}, options.signal.reason))
    child.kill('SIGKILL')
  }
  options.signal.addEventListener('abort', stop, { once: true })
  return {
    tell(command) {
      child.send(command, () => undefined)
    },
    next: (...wanted) => inbox.next(...wanted),
    ended: inbox.ended,
    async [Symbol.asyncDispose]() {
      options.signal.removeEventListener('abort', stop)
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The process, with its task sent. It sees nothing of our environment. */
export function forkSqlite(request: Request, env: NodeJS.ProcessEnv): ChildProcess {
  const child = fork(ENTRY, [], {
    execArgv: ENTRY.endsWith('.ts') ? ['--conditions=source'] : [],
    env: { ...env, SQLITE_USE_URI: BY_URL.has(request.task) ? '1' : '0' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  child.send(request, (error) => {
    if (error) child.kill('SIGKILL')
  })
  return child
}

/** Resolves when the process is gone. `onEnd` hears of it behind its last report. */
export function whenEnded(child: ChildProcess, onEnd: (how: string, cause?: unknown) => void): Promise<void> {
  let stderr = ''
  const exited = Promise.withResolvers<void>()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT)
  })
  child.once('error', (error) => {
    onEnd(error.name, error)
    exited.resolve()
  })
  child.once('exit', (code, signal) => {
    exited.resolve()
    const say = (): void => onEnd(signal ?? `exit code ${code}`, stderr === '' ? undefined : new Error(stderr))
    // Its last report may still be on the way.
    if (child.connected) child.once('disconnect', say)
    else say()
  })
  return exited.promise
}

import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Command, Report, ReportOf, Request } from './child/messages.ts'

/** A child process in which SQLite works for us. Disposing ends it at once, which frees every lock it holds. */
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
  const child = fork(ENTRY, [], {
    execArgv: ENTRY.endsWith('.ts') ? ['--conditions=source'] : [],
    env: { SQLITE_TMPDIR: options.scratch, SQLITE_USE_URI: BY_URL.has(request.task) ? '1' : '0' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const inbox = collectReports(child, options.failure)
  const stop = (): void => {
    inbox.fail(new SalvorError('INTERRUPTED', {}, options.signal.reason))
    child.kill('SIGKILL')
  }
  options.signal.addEventListener('abort', stop, { once: true })
  child.send(request, (error) => {
    if (error) child.kill('SIGKILL')
  })
  return {
    tell(command) {
      child.send(command, () => undefined)
    },
    next: inbox.next,
    ended: inbox.ended,
    async [Symbol.asyncDispose]() {
      options.signal.removeEventListener('abort', stop)
      child.kill('SIGKILL')
      await inbox.exited
    },
  }
}

interface Inbox {
  readonly next: SqliteProcess['next']
  readonly ended: Promise<never>
  readonly exited: Promise<void>
  fail(error: SalvorError): void
}

function collectReports(child: ChildProcess, failure: SqliteProcessOptions['failure']): Inbox {
  const reports: Report[] = []
  let wake: (() => void) | undefined
  let stderr = ''
  const ended = Promise.withResolvers<never>()
  const exited = Promise.withResolvers<void>()
  // Whoever does not race against it learns of the end through `next`.
  ended.promise.catch(() => undefined)
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT)
  })
  child.on('message', (report: Report) => {
    reports.push(report)
    wake?.()
  })
  const died = (how: string, cause?: unknown): void => {
    ended.reject(new SalvorError('TASK_DIED', { task: 'the SQLite helper', how }, cause))
  }
  child.once('error', (error) => {
    died(error.name, error)
    exited.resolve()
  })
  child.once('exit', (code, signal) => {
    exited.resolve()
    const say = (): void => died(signal ?? `exit code ${code}`, stderr === '' ? undefined : new Error(stderr))
    // Its last report may still be on the way.
    if (child.connected) child.once('disconnect', say)
    else say()
  })

  async function next<R extends Report['report']>(...wanted: R[]): Promise<ReportOf<R>> {
    const arrived = new Promise<void>((resolve) => {
      wake = resolve
      if (reports.length > 0) resolve()
    })
    await (reports.length > 0 ? arrived : Promise.race([arrived, ended.promise]))
    const report = reports.shift()
    if (report === undefined) throw new SalvorError('INTERNAL', { what: 'two waits for one report' })
    if (report.report === 'failed') throw failure(report)
    if (!(wanted as string[]).includes(report.report)) {
      throw new SalvorError('INTERNAL', { what: `the SQLite helper reported ${report.report}` })
    }
    return report as ReportOf<R>
  }
  return { next, ended: ended.promise, exited: exited.promise, fail: (error) => ended.reject(error) }
}

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'

/** A connection to a database in another process: what an application holds, and what is left of it after a crash. */
export interface Elsewhere extends AsyncDisposable {
  readonly pid: number
  exec(sql: string): Promise<void>
  /** The first column of the first row. */
  get(sql: string): Promise<unknown>
  kill(): Promise<void>
}

const FLAG = '--sqlite-elsewhere'

export async function openElsewhere(path: string): Promise<Elsewhere> {
  const child = fork(fileURLToPath(import.meta.url), [FLAG, path], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  const ask = (message: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the other process ended'))
      child.once('exit', ended)
      child.once('message', (answer: { value?: unknown; error?: string }) => {
        child.off('exit', ended)
        if (answer.error === undefined) resolve(answer.value)
        else reject(new Error(answer.error))
      })
      child.send(message)
    })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  await ask({ get: 'SELECT 1' })
  return {
    pid: child.pid ?? -1,
    async exec(sql) {
      await ask({ exec: sql })
    },
    get: (sql) => ask({ get: sql }),
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

function serve(path: string): void {
  const database = new Database(path)
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message: { exec?: string; get?: string }) => {
    try {
      if (message.exec !== undefined) database.exec(message.exec)
      const value = message.get === undefined ? null : (database.prepare(message.get).pluck().get() ?? null)
      process.send?.({ value })
    } catch (error) {
      process.send?.({ error: error instanceof Error ? error.message : 'unknown' })
    }
  })
}

if (process.argv[2] === FLAG && process.argv[3]) serve(process.argv[3])

import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import type { startPostgres } from '@salvor/testkit/real/postgres'
import { measure, type Cost, type Runnable } from './measure.ts'
import type { Workplace } from './workplace.ts'

type Server = Awaited<ReturnType<typeof startPostgres>>

/** pgBackRest on the same cluster: zstd 3, AES-256, two processes, archive check off since the bench stores no WAL stream. */
export class PgBackRest {
  readonly full: Cost[] = []
  readonly restore: Cost[] = []
  /** Onto what the restore has just made. */
  readonly delta: Cost[] = []
  /** Why it could not be measured here. */
  refusal: string | null = null
  readonly #program: string
  readonly #place: Workplace
  readonly #server: Server
  readonly #sockets: string

  constructor(program: string, place: Workplace, server: Server, sockets: string) {
    this.#sockets = sockets
    this.#program = program
    this.#place = place
    this.#server = server
  }

  async round(): Promise<void> {
    if (this.refusal !== null) return
    try {
      this.#configure()
      await measure(this.#run('stanza-create'))
      this.full.push(await measure(this.#run('backup', '--type=full', '--no-archive-check', '--start-fast')))
      this.#place.fresh('rest-out')
      const restore = this.#run('restore', `--pg1-path=${this.#folder('rest-out')}`)
      this.restore.push(await measure(restore))
      this.delta.push(await measure(this.#run('restore', '--delta', `--pg1-path=${this.#folder('rest-out')}`)))
    } catch (error) {
      this.refusal = `pgBackRest did not run here: ${error instanceof Error ? error.message.slice(-300) : String(error)}`
    }
  }

  #configure(): void {
    this.#place.fresh('rest')
    const lines = [
      '[global]',
      `repo1-path=${this.#folder('rest')}`,
      `log-path=${this.#folder('rest-log')}`,
      `lock-path=${this.#folder('rest-lock')}`,
      `spool-path=${this.#folder('rest-spool')}`,
      'repo1-cipher-type=aes-256-cbc',
      'repo1-cipher-pass=bench',
      'process-max=2',
      'compress-type=zst',
      'compress-level=3',
      'log-level-console=error',
      'log-level-file=off',
      '[bench]',
      `pg1-path=${this.#server.dataDir}`,
      `pg1-port=${this.#server.port}`,
      `pg1-user=${this.#server.superuser}`,
      `pg1-socket-path=${this.#sockets}`,
    ]
    writeFileSync(this.#place.path('pgbackrest.conf'), `${lines.join('\n')}\n`, { mode: 0o644 })
  }

  /** A folder that the server's user owns: pgBackRest runs as that user. */
  #folder(name: string): string {
    const folder = this.#place.path(name)
    mkdirSync(folder, { recursive: true })
    if (process.getuid?.() === 0) chownSync(folder, 65534, 65534)
    return folder
  }

  #run(command: string, ...args: string[]): Runnable {
    const full = [`--config=${this.#place.path('pgbackrest.conf')}`, '--stanza=bench', ...args, command]
    if (process.getuid?.() !== 0) return { command: this.#program, args: full }
    return { command: 'setpriv', args: ['--reuid=65534', '--regid=65534', '--clear-groups', this.#program, ...full] }
  }
}

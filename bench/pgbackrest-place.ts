import { chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Runnable } from './measure.ts'
import type { Workplace } from './workplace.ts'

/** The cluster that is backed up. */
export interface Cluster {
  readonly dataDir: string
  readonly port: number
  readonly superuser: string
  /** Folder of its Unix socket. */
  readonly sockets: string
}

/** Who the server runs as, and so pgBackRest: it reads the data folder. */
const NOBODY = 65534
const AS_SERVER = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']

export interface PgBackRestPlace {
  readonly repository: string
  /** Words of the whole command. */
  words(command: string, ...args: readonly string[]): readonly string[]
  run(command: string, ...args: readonly string[]): Runnable
  /** Everything it stored is gone. */
  clear(): void
  /** All WAL that it stored is gone, the stanza stays. */
  clearArchive(): void
  /** A folder that the server's user owns. */
  folder(name: string): string
}

/** pgBackRest with zstd 3, AES-256 and two processes; `lines` of its configuration are added. */
export function pgbackrestIn(
  program: string,
  place: Workplace,
  cluster: Cluster,
  lines: readonly string[] = [],
): PgBackRestPlace {
  const isRoot = process.getuid?.() === 0
  const folder = (name: string): string => {
    mkdirSync(place.path(name), { recursive: true })
    if (isRoot) chownSync(place.path(name), NOBODY, NOBODY)
    return place.path(name)
  }
  const configure = (): void => {
    const all = [
      '[global]',
      `repo1-path=${folder('rest')}`,
      `log-path=${folder('rest-log')}`,
      `lock-path=${folder('rest-lock')}`,
      `spool-path=${folder('rest-spool')}`,
      'repo1-cipher-type=aes-256-cbc',
      'repo1-cipher-pass=bench',
      'process-max=2',
      'compress-type=zst',
      'compress-level=3',
      'log-level-console=error',
      'log-level-file=off',
      ...lines,
      '[bench]',
      `pg1-path=${cluster.dataDir}`,
      `pg1-port=${cluster.port}`,
      `pg1-user=${cluster.superuser}`,
      `pg1-socket-path=${cluster.sockets}`,
    ]
    writeFileSync(place.path('pgbackrest.conf'), `${all.join('\n')}\n`, { mode: 0o644 })
  }
  configure()
  const words = (command: string, ...args: readonly string[]): readonly string[] => [
    ...(isRoot ? AS_SERVER : []),
    program,
    `--config=${place.path('pgbackrest.conf')}`,
    '--stanza=bench',
    command,
    ...args,
  ]
  return {
    repository: place.path('rest'),
    words,
    run(command, ...args) {
      const [first = '', ...rest] = words(command, ...args)
      return { command: first, args: rest }
    },
    clear() {
      for (const name of ['rest', 'rest-spool']) rmSync(place.path(name), { recursive: true, force: true })
      configure()
    },
    clearArchive() {
      rmSync(place.path('rest-spool'), { recursive: true, force: true })
      folder('rest-spool')
      const archive = place.path('rest/archive/bench')
      for (const version of readdirSync(archive, { withFileTypes: true }))
        if (version.isDirectory()) rmSync(join(archive, version.name), { recursive: true, force: true })
    },
    folder,
  }
}

import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { chown, mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serverPrograms, type ServerPrograms } from '../sandbox/programs.ts'
import { Sandbox } from '../sandbox/sandbox.ts'
import { serverUser } from '../sandbox/user.ts'
import { seenPlace, WatchedProcess } from '../sandbox/watched-process.ts'

const NEWEST_TRIED = 30

export interface SandboxCluster extends AsyncDisposable {
  readonly sandbox: Sandbox
  readonly major: number
}

/**
 * A new, empty cluster that only the sandbox reaches. Its major: that of the program that wrote the dump, since what newer programs write
 * may be unknown to older servers; else the next newer one that is here, else one down to the source's. CANNOT_VERIFY_HERE: there is none.
 */
export async function emptyCluster(
  context: EngineContext,
  { source, program }: { readonly source: number; readonly program: number },
  signal: AbortSignal,
): Promise<SandboxCluster> {
  const { major, programs } = await findServer(context, source, program)
  await using kept = new AsyncDisposableStack()
  kept.use(programs)
  const folder = await mkdtemp(join(context.scratch_dir, 'cluster-'))
  const data = join(folder, 'data')
  await mkdir(data, { mode: 0o700 })
  const { uid, gid } = serverUser()
  if (uid !== undefined) await Promise.all([folder, data].map((path) => chown(path, uid, gid!)))
  await initialise({ folder, data }, programs.bin, context.source, signal)
  const sandbox = kept.use(await Sandbox.around(data, context.scratch_dir, programs.bin, major))
  const started = (await sandbox.recover(signal)) && (await sandbox.start(signal))
  if (!started)
    throw new SalvorError(
      'CANNOT_VERIFY_HERE',
      lack(context.source, `a server that starts (${await sandbox.lastWords()})`),
    )
  const all = kept.move()
  return { sandbox, major, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** The major of the server that `emptyCluster` would start. */
export async function emptyServer(
  context: EngineContext,
  { source, program }: { readonly source: number; readonly program: number },
): Promise<number> {
  const { major, programs } = await findServer(context, source, program)
  await programs[Symbol.asyncDispose]()
  return major
}

async function findServer(
  { source: name, server_programs: folders }: EngineContext,
  source: number,
  program: number,
): Promise<{ major: number; programs: ServerPrograms }> {
  const first = Math.max(source, program)
  const upwards = Array.from({ length: Math.max(1, NEWEST_TRIED - first) }, (_, i) => first + i)
  const downwards = Array.from({ length: first - source }, (_, i) => first - 1 - i)
  let missing: unknown = null
  for (const major of [...upwards, ...downwards]) {
    try {
      return { major, programs: await serverPrograms(name, major, folders) }
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'CANNOT_VERIFY_HERE') throw error
      missing ??= error
    }
  }
  throw missing
}

/** The locales of the source's databases need not be here: each database is made with its own. */
async function initialise(
  place: { readonly folder: string; readonly data: string },
  bin: string,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  const logFile = join(place.folder, 'initdb.log')
  const options = ['--username=salvor_sandbox', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  const command = {
    program: join(bin, 'initdb'),
    args: ['-D', seenPlace(place).data, ...options],
    place,
    logFile,
    input: '/dev/null',
  }
  await using process = new WatchedProcess(command)
  if ((await process.end(signal)) === 0) return
  const said = await readFile(logFile, 'utf8').catch(() => '')
  if (said.includes('No space left on device')) throw new SalvorError('DISK_FULL', { what: place.folder })
  throw new SalvorError('CANNOT_VERIFY_HERE', lack(source, 'an initdb that works beside postgres'))
}

const lack = (what: string, missing: string) => ({
  what,
  missing,
  fix: 'install the server package of PostgreSQL, not its client alone',
})

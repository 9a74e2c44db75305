import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { execFile } from 'node:child_process'
import { chmod, cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serverUser, type ServerUser } from './user.ts'

export interface ServerPrograms extends AsyncDisposable {
  /** The folder of `postgres`. */
  readonly bin: string
}

/**
 * A server of the wanted major that the sandbox's user can run: from the folders that the configuration names, those of
 * the distributions, or an npm package (development).
 */
export async function serverPrograms(
  source: string,
  major: number,
  configured: readonly string[],
  user: ServerUser = serverUser(),
): Promise<ServerPrograms> {
  for (const bin of programFolders(major, configured)) {
    if ((await majorOf(bin, {})) !== major) continue
    if ((await majorOf(bin, user)) === major) return { bin, [Symbol.asyncDispose]: async () => undefined }
    const copy = await reachableCopy(bin)
    if ((await majorOf(copy.bin, user)) === major) return copy
    await copy[Symbol.asyncDispose]()
  }
  const missing = `PostgreSQL ${major} (the program postgres)`
  const fix = `apt install postgresql-${major}, or name its folder in verifier.postgres_bin`
  throw new SalvorError('CANNOT_VERIFY_HERE', { what: source, missing, fix })
}

/** Where programs of a major may lie: what the configuration names, the distributions' folders, npm packages. */
export function programFolders(major: number, configured: readonly string[]): string[] {
  const named = configured.flatMap((folder) => [folder, join(folder, String(major), 'bin'), join(folder, 'bin')])
  const distributions = [
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
    `/opt/homebrew/opt/postgresql@${major}/bin`,
    `/usr/local/opt/postgresql@${major}/bin`,
  ]
  const name = `pg${major}-${process.platform}-${process.arch}`
  return [...named, ...distributions, ...modulesAbove().map((modules) => join(modules, name, 'native', 'bin'))]
}

/** Where npm and pnpm put packages that this one does not depend on. */
function modulesAbove(): string[] {
  const found: string[] = []
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    found.push(join(folder, 'node_modules'), join(folder, 'node_modules', '.pnpm', 'node_modules'))
  }
  return found
}

function majorOf(bin: string, user: ServerUser): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>()
  const options = { ...user, cwd: '/', timeout: 30_000, env: { PATH: '/usr/bin:/bin' } }
  execFile(join(bin, 'postgres'), ['--version'], options, (error, stdout) => {
    const major = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]
    resolve(error || major === undefined ? null : Number(major))
  })
  return promise
}

/** Programs below a folder that the sandbox's user cannot enter (a checkout under /root). */
async function reachableCopy(bin: string): Promise<ServerPrograms> {
  const folder = await mkdtemp('/tmp/salvor-programs-')
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await chmod(folder, 0o755)
    await cp(dirname(await realpath(bin)), join(folder, 'postgresql'), { recursive: true, verbatimSymlinks: true })
  } catch (error) {
    await remove()
    throw error
  }
  return { bin: join(folder, 'postgresql', 'bin'), [Symbol.asyncDispose]: remove }
}

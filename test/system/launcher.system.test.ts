import { spawn } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const SOURCE = 'packages/cli/src/program.ts'
const WORDS = 'Backups for SQLite and PostgreSQL that prove'

interface Checkout extends AsyncDisposable {
  readonly folder: string
  salvor(...args: string[]): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
  edit(from: string, to: string, changed?: Date): Promise<void>
  builds(): Promise<readonly string[]>
}

/** A checkout with sources of its own and the packages of this one, below a path that a shell would stumble over. */
async function makeCheckout(): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), "salvor's check out-"))
  for (const part of ['salvor', 'tools', 'package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    await cp(join(ROOT, part), join(folder, part), { recursive: true })
  }
  for (const group of ['packages', 'services']) {
    for (const name of await readdir(join(ROOT, group))) {
      const [from, to] = [join(ROOT, group, name), join(folder, group, name)]
      await cp(join(from, 'src'), join(to, 'src'), { recursive: true })
      await cp(join(from, 'package.json'), join(to, 'package.json'))
      await symlink(join(from, 'node_modules'), join(to, 'node_modules')).catch(() => undefined)
    }
  }
  for (const part of ['node_modules', '.toolchain']) await symlink(join(ROOT, part), join(folder, part))
  return {
    folder,
    salvor: (...args) =>
      new Promise((resolve, reject) => {
        // With a Redis named, none is fetched.
        const env = { ...process.env, REDIS_URL: 'redis://127.0.0.1:1' }
        const child = spawn(join(folder, 'salvor'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
        let [out, err] = ['', '']
        child.stdout.on('data', (data: Buffer) => (out += data.toString()))
        child.stderr.on('data', (data: Buffer) => (err += data.toString()))
        child.once('error', reject)
        child.once('close', (code) => resolve({ code, out, err }))
      }),
    async edit(from, to, changed) {
      const file = join(folder, SOURCE)
      await writeFile(file, (await readFile(file, 'utf8')).replace(from, to))
      if (changed) await utimes(file, changed, changed)
    },
    builds: async () => (await readdir(join(folder, '.cache/build'))).filter((name) => /^[0-9a-f]{16}$/.test(name)),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

test('the sources are compiled once, by whichever of two first commands comes first, and again only when they change', async () => {
  await using checkout = await makeCheckout()
  const first = await Promise.all([checkout.salvor('--help'), checkout.salvor('--help')])
  for (const { code, out } of first)
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining(WORDS) })
  expect(first.filter(({ err }) => err.includes('compiling'))).toHaveLength(1)
  expect(await checkout.builds()).toHaveLength(1)

  // As a copy with kept times would change it.
  await checkout.edit(WORDS, 'Other words', new Date('2020-01-01'))
  const changed = await checkout.salvor('--help')
  expect(changed.out).toContain('Other words')
  expect(changed.err).toContain('compiling')
  expect((await checkout.salvor('--help')).err).toBe('')

  await checkout.edit('Other words', WORDS)
  const back = await checkout.salvor('--help')
  expect(back.out).toContain(WORDS)
  expect(back.err, 'what was compiled before is still there').toBe('')
})

test('sources that do not compile end with what is wrong, and never run as what they were before', async () => {
  await using checkout = await makeCheckout()
  expect((await checkout.salvor('--version')).code).toBe(0)
  await checkout.edit('export function buildProgram', 'export funktion buildProgram')
  const broken = await checkout.salvor('--version')
  expect(broken).toMatchObject({ code: 1, out: '' })
  expect(broken.err).toMatch(/program\.ts/)
  expect(broken.err).toContain('could not be compiled')
  expect(await checkout.builds()).toHaveLength(1)
})

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Node 24 and pnpm 12: those in PATH, else from the npm registry into .toolchain. Returns folders to put before PATH. */
export function toolchain(root, say) {
  if (version('node') >= 24 && version('pnpm') >= 12) return []
  const home = join(root, '.toolchain')
  const bin = join(home, 'bin')
  const lock = readFileSync(join(root, 'tools/package-lock.json'))
  const done = join(home, '.done')
  if (existsSync(done) && readFileSync(done).equals(lock)) return [bin]
  if (process.platform !== 'linux') {
    throw new Error('On macOS please install Node 24 or newer and pnpm 12 or newer first (brew install node pnpm).')
  }
  say('fetching Node 24 and pnpm from the npm registry (once, about 10 s) …')
  const fresh = `${home}.${process.pid}`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(join(fresh, 'bin'), { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(root, 'tools', file), join(fresh, file))
  const npm = ['ci', '--prefix', fresh, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  spawnSync('npm', npm, { stdio: ['ignore', 2, 2] })
  const target = `linux-${process.arch}`
  symlinkSync(`../node_modules/node-${target}/bin/node`, join(fresh, 'bin/node'))
  symlinkSync(`../node_modules/@pnpm/exe.${target}/pnpm`, join(fresh, 'bin/pnpm'))
  // npm skips an optional package that it could not download and still exits 0, so both are run.
  for (const [tool, least] of [
    ['node', 24],
    ['pnpm', 12],
  ]) {
    if (version(join(fresh, 'bin', tool)) < least) {
      rmSync(fresh, { recursive: true, force: true })
      throw new Error(`The npm registry did not give ${tool}: check it with \`npm ping\` and run this again.`)
    }
  }
  cpSync(join(root, 'tools/package-lock.json'), join(fresh, '.done'))
  rmSync(home, { recursive: true, force: true })
  renameSync(fresh, home)
  return [bin]
}

function version(command) {
  const run = spawnSync(command, ['--version'], { encoding: 'utf8', cwd: '/' })
  return run.status === 0 ? Number(/(\d+)\./.exec(run.stdout)?.[1] ?? 0) : 0
}

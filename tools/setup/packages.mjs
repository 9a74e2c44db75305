import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filled } from './platform.mjs'

/** Installs what pnpm-lock.yaml names, unless node_modules already holds just that. */
export function packages(root, env, say) {
  const hash = createHash('sha256')
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)))
  const node = spawnSync('node', ['--version'], { env, encoding: 'utf8' }).stdout
  const stamp = `${hash.update(node).digest('hex')}\n`
  const file = join(root, 'node_modules/.salvor-stamp')
  if (existsSync(file) && readFileSync(file, 'utf8') === stamp && filled(join(root, 'node_modules/.pnpm'))) return
  say('installing the packages of pnpm-lock.yaml (once, under a minute) …')
  const install = ['install', '--frozen-lockfile', '--reporter=append-only', '--loglevel=warn']
  const run = spawnSync('pnpm', install, { cwd: root, env: { ...env, CI: 'true' }, stdio: ['ignore', 2, 2] })
  if (run.status !== 0)
    throw new Error('The packages could not be installed: check the registry with `npm ping` and run this again.')
  writeFileSync(file, stamp)
}

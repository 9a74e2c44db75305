import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** A build that no process runs any more is kept for so long, for one that is about to start. */
const KEPT_MS = 60 * 60 * 1000
/** What a build depends on besides the sources of packages and services. */
const ALSO = ['pnpm-lock.yaml', 'package.json', 'tools/build.mjs', 'tools/build/own-files.mjs']

/**
 * Path of the compiled program of the present sources, `.cache/build/<hash of their content>`. A build is made aside and
 * renamed, and never changed again: one that runs keeps its files while the sources go on.
 */
export function build(root, env, say) {
  const builds = join(root, '.cache/build')
  const name = hashOf(root)
  const made = join(builds, name)
  if (existsSync(join(made, 'main.js'))) return made
  say('compiling (once for these sources, a few seconds) …')
  mkdirSync(builds, { recursive: true })
  const fresh = join(builds, `new-${process.pid}`)
  rmSync(fresh, { recursive: true, force: true })
  const run = spawnSync('node', ['tools/build.mjs', fresh], { cwd: root, env, stdio: ['ignore', 2, 2] })
  if (run.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    throw new Error('The sources could not be compiled: see above (`npm run check` tells more).')
  }
  renameSync(fresh, made)
  prune(builds, name)
  return made
}

/**
 * Leaves for `./salvor` what it starts when nothing has changed since `since`: build, Node, Redis, a line each. The file's
 * time says from when on a change counts.
 */
export function remember(root, since, lines) {
  const file = join(root, '.cache/build/ready')
  const fresh = `${file}.${process.pid}`
  writeFileSync(fresh, lines.map((line) => `${line}\n`).join(''))
  utimesSync(fresh, since, since)
  renameSync(fresh, file)
}

function hashOf(root) {
  const hash = createHash('sha256')
  for (const file of [...ALSO, ...sources(root)]) {
    hash.update(`${file}\0`).update(
      createHash('sha256')
        .update(readFileSync(join(root, file)))
        .digest(),
    )
  }
  return hash.digest('hex').slice(0, 16)
}

function* sources(root) {
  for (const group of ['packages', 'services']) {
    for (const name of readdirSync(join(root, group)).sort((a, b) => (a < b ? -1 : 1))) {
      const manifest = `${group}/${name}/package.json`
      if (name === 'testkit' || !existsSync(join(root, manifest))) continue
      yield manifest
      const files = readdirSync(join(root, group, name, 'src'), { recursive: true, encoding: 'utf8' })
      for (const file of files.sort((a, b) => (a < b ? -1 : 1))) {
        if (/\.(ts|pl)$/.test(file) && !/\.(test|fixture)\.ts$/.test(file)) yield `${group}/${name}/src/${file}`
      }
    }
  }
}

/** Removes old builds, but none that a process of this machine was started from. */
function prune(builds, present) {
  const running = commandLines()
  for (const name of readdirSync(builds)) {
    if (name === present || name === 'ready') continue
    const folder = join(builds, name)
    const old = Date.now() - statSync(folder).mtimeMs > KEPT_MS
    if (old && !running.includes(folder)) rmSync(folder, { recursive: true, force: true })
  }
}

function commandLines() {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readSafely(`/proc/${pid}/cmdline`))
      .join('\n')
  } catch {
    return ''
  }
}

function readSafely(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

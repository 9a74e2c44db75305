// Sets up what is missing (Node 24, pnpm, packages, Redis; newer PostgreSQL for tests) and then runs a command with it. Plain JavaScript for Node 18 and
// newer, since it is what runs before anything is there. `--salvor` stands for the compiled salvor command, in the caller's
// folder. Everything it says goes to stderr.
import { spawn, spawnSync } from 'node:child_process'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, remember } from './setup/build.mjs'
import { locked } from './setup/lock.mjs'
import { newerPostgres } from './setup/newer-postgres.mjs'
import { packages } from './setup/packages.mjs'
import { unsupported } from './setup/platform.mjs'
import { redis } from './setup/redis.mjs'
import { toolchain } from './setup/toolchain.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const args = process.argv.slice(2)
const salvor = args[0] === '--salvor'
/** Tests and the bench have servers and peers that nothing else needs. */
const compares = args[0] === 'vitest' || args.includes('bench/main.ts')
const say = (text) => process.stderr.write(`salvor: ${text}\n`)

try {
  const refusal = unsupported()
  if (refusal) throw new Error(refusal)
  const { env, command } = await locked(join(root, '.cache/setup.lock'), setUp)
  await run(env, command)
} catch (error) {
  say(error.message)
  process.exitCode = 1
}

async function setUp() {
  const env = { ...process.env }
  const before = toolchain(root, say)
  env.PATH = [...before, join(root, 'node_modules/.bin'), env.PATH].join(delimiter)
  packages(root, env, say)
  // A little before: file systems round their times down.
  const since = new Date(Date.now() - 50)
  const server = env.REDIS_URL ? '' : (redis(root, env, say) ?? '')
  if (server !== '') env.REDIS_SERVER = server
  if (compares) await newerPostgres(root, env, say)
  if (!salvor) {
    // Halves the start of every process: sources are stripped of their types once.
    env.NODE_COMPILE_CACHE ??= join(root, '.cache/compile')
    return { env, command: args }
  }
  const made = build(root, env, say)
  const node = spawnSync('node', ['-p', 'process.execPath'], { env, encoding: 'utf8' }).stdout.trim()
  env.NODE_COMPILE_CACHE ??= join(made, 'compiled')
  env.MALLOC_ARENA_MAX ??= '2'
  remember(root, since, [basename(made), node, server])
  return { env, command: [node, join(made, 'main.js'), ...args.slice(1)] }
}

/** Signals and the exit code are passed on. A terminal gives Ctrl-C to the child itself: once is enough. */
async function run(env, [program, ...rest]) {
  const child = spawn(program, rest, { cwd: salvor ? process.cwd() : root, stdio: 'inherit', env })
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
      resolve()
    })
  })
}

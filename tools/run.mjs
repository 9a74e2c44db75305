// Sets up what is missing (Node 24, pnpm, packages, Redis) and then runs a command with it. Plain JavaScript for Node 18 and
// newer, since it is what runs before anything is there. `--here` keeps the caller's folder. Everything it says goes to stderr.
import { spawn } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { locked } from './setup/lock.mjs'
import { packages } from './setup/packages.mjs'
import { unsupported } from './setup/platform.mjs'
import { redis } from './setup/redis.mjs'
import { toolchain } from './setup/toolchain.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const args = process.argv.slice(2)
const here = args[0] === '--here'
const [command, ...rest] = here ? args.slice(1) : args
const say = (text) => process.stderr.write(`salvor: ${text}\n`)

try {
  const refusal = unsupported()
  if (refusal) throw new Error(refusal)
  const env = await locked(join(root, '.cache/setup.lock'), setUp)
  await run(env)
} catch (error) {
  say(error.message)
  process.exitCode = 1
}

function setUp() {
  const env = { ...process.env }
  const before = toolchain(root, say)
  env.PATH = [...before, join(root, 'node_modules/.bin'), env.PATH].join(delimiter)
  packages(root, env, say)
  // Halves the start of every process: sources are stripped of their types once.
  env.NODE_COMPILE_CACHE ??= join(root, '.cache/compile')
  if (!env.REDIS_URL) {
    const server = redis(root, env, say)
    if (server) env.REDIS_SERVER = server
  }
  return env
}

/** Signals and the exit code are passed on. A terminal gives Ctrl-C to the child itself: once is enough. */
async function run(env) {
  const child = spawn(command, rest, { cwd: here ? process.cwd() : root, stdio: 'inherit', env })
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

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What an image runs: no type stripping, no `source` condition, threads from .js files. */
const PROGRAM = `
import { FramePool } from './packages/repository/dist/frame-pool.js'
await using pool = await FramePool.open({ threads: 2, compression: { algorithm: 'zstd', level: 1 }, frameBytes: 1000 })
const slot = await pool.acquire()
pool.memory.input(slot).fill(7, 0, 1000)
console.log(await pool.run({ kind: 'compress', slot, filled: 1000, file: null }) < 100)
`

test('compression threads run from the built files too', () => {
  execFileSync('node_modules/.bin/tsc', ['-b', 'packages/repository'], { cwd: root })
  const options = { cwd: root, encoding: 'utf8', env: {} } as const
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM], options)
  expect(output.trim()).toBe('true')
})

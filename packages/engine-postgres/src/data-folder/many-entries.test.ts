import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'

const MANY = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 1_000_000 : 50_000
const FIXTURE = fileURLToPath(new URL('./many-entries.fixture.ts', import.meta.url))
/** As a task's process has them. */
const LIMITS = ['--max-old-space-size=128', '--max-semi-space-size=4']

test.each([
  ['manifest', 'the manifest of a million files is written, read and compared', 60],
  ['order', 'they are compared with files that came in another order', 110],
  ['parent', 'the digests of a parent with a million files are found', 90],
  ['table', 'a chain waits for pages of a million files', 90],
])(
  '%s: %s in less than %i MB',
  (what, _, most) => {
    using folder = temporaryFolder()
    const args = ['--conditions=source', ...LIMITS, FIXTURE, what, folder.path, String(MANY)]
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    const { grown, files } = JSON.parse(stdout) as { grown: number; files: number }
    expect(files).toBe(MANY)
    console.log(`${MANY} files, ${what}: ${grown} MB`)
    expect(grown).toBeLessThan(most)
  },
  600_000,
)

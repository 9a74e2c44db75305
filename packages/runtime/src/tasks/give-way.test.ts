import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** In a process of its own, whose priority nobody else has to live with. */
const PROGRAM = `
import { getPriority } from 'node:os'
import { giveWay } from ${JSON.stringify(new URL('./give-way.ts', import.meta.url).href)}
const sources = new Map([['desk', { engine: 'sqlite' }], ['clinic', { engine: 'postgres' }]])
const adapters = { load: async (role, kind) => ({ gives_way: kind === 'postgres' || undefined }) }
const seen = []
for (const [task, source] of [['restore', 'clinic'], ['prove', 'clinic'], ['snapshot', 'desk'], ['snapshot', 'clinic'], ['merge', 'desk']]) {
  await giveWay({ task, input: { source } }, { settings: { sources } }, adapters)
  seen.push(getPriority())
}
console.log(JSON.stringify(seen))
`

test('a snapshot that holds nothing of its source goes behind others, a restore and one that holds a lock do not', () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=source', '--input-type=module', '--eval', PROGRAM],
    { encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  const [restore, prove, desk, clinic, merge] = JSON.parse(stdout) as number[]
  expect([restore, prove]).toEqual([desk, desk])
  expect(clinic).toBeGreaterThanOrEqual(5)
  expect(merge).toBe(clinic)
})

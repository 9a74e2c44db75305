import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AlikeBytes } from '@salvor/shared/ports/artifact'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { ID, never } from './backup.fixture.ts'
import { composeDigests, patchHeadOf } from './digests-compose.ts'
import { writePatch } from './digests-patch.ts'
import { sha256 } from './hash.ts'
import { asVarint, DigestsInvalid, patchLine } from './patch-form.ts'

const folder = mkdtempSync(join(tmpdir(), 'salvor-patch-'))
afterAll(() => rmSync(folder, { recursive: true }))
const at = (name: string): string => join(folder, name)
const stands_on = { base: ID, base_sha256: sha256(Buffer.alloc(1)) }
const HEAD = 20

interface Edit {
  /** Hundredths of what is there. */
  readonly place: number
  readonly count: number
  readonly kind: 'change' | 'insert' | 'remove'
}
const edits = fc.array(
  fc.record<Edit>({
    place: fc.nat(100),
    count: fc.nat(40),
    kind: fc.constantFrom('change', 'change', 'insert', 'remove'),
  }),
  { maxLength: 6 },
)

let seed = 1
const random = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) >>> 24))

/** What an engine knows of two states, kept beside the state. */
function edited(state: Buffer, done: readonly Edit[]): { readonly state: Buffer; readonly alike: AlikeBytes[] } {
  let pieces = [{ bytes: state, base: 0 as number | null }]
  for (const { place, count, kind } of done) {
    const length = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0)
    let from = Math.max(0, Math.floor((place * length) / 100 / 8) * 8)
    const next: typeof pieces = []
    let removed = kind === 'remove' ? 8 * count : 0
    for (const { bytes, base } of pieces) {
      if (from >= 0 && from <= bytes.length) {
        const cut = Math.min(removed, bytes.length - from)
        next.push({ bytes: bytes.subarray(0, from), base })
        if (kind === 'insert') next.push({ bytes: random(8 * count), base: null })
        const rest = Buffer.from(bytes.subarray(from + cut))
        if (kind === 'change') random(Math.min(8 * count, rest.length)).copy(rest)
        next.push({ bytes: rest, base: base === null ? null : base + from + cut })
        removed = 0
        from = -1
      } else {
        next.push({ bytes, base })
        if (from >= 0) from -= bytes.length
      }
    }
    pieces = next
  }
  const alike: AlikeBytes[] = []
  let own = 0
  for (const { bytes, base } of pieces) {
    if (base !== null) alike.push({ own, base, length: bytes.length })
    own += bytes.length
  }
  return { state: Buffer.concat(pieces.map(({ bytes }) => bytes)), alike }
}

test('patches laid over whole digests in their order give each state of a chain, however it grew, shrank or changed', async () => {
  const start = fc.nat(2000)
  await fc.assert(
    fc.asyncProperty(start, fc.array(edits, { minLength: 1, maxLength: 8 }), async (words, rounds) => {
      let state = random(HEAD + 8 * words)
      writeFileSync(at('whole'), state)
      writeFileSync(at('base'), state)
      const patches: string[] = []
      for (const [n, round] of rounds.entries()) {
        const next = edited(state, round)
        writeFileSync(at('own'), next.state)
        const file = at(`patch-${n}`)
        if (writePatch(file, { own: at('own'), base: at('base'), alike: next.alike, stands_on })) {
          patches.push(file)
        } else {
          writeFileSync(at('whole'), next.state)
          patches.length = 0
        }
        state = next.state
        writeFileSync(at('base'), state)
        if (patches.length === 0) continue
        rmSync(at('made'), { force: true })
        await composeDigests(at('whole'), patches, at('made'), never)
        expect(readFileSync(at('made')).equals(state)).toBe(true)
      }
    }),
    { numRuns: 40 },
  )
})

test('a changed digest costs a few bytes more than itself, and none cost next to nothing', () => {
  const state = random(800_000)
  writeFileSync(at('base'), state)
  const alike = [{ own: 0, base: 0, length: state.length }]
  const sizeOf = (): number => {
    const wish = { own: at('own'), base: at('base'), alike, stands_on }
    expect(writePatch(at('patch'), wish)).toBe(true)
    return statSync(at('patch')).size
  }
  writeFileSync(at('own'), state)
  expect(sizeOf()).toBeLessThan(350)
  const scattered = Buffer.from(state)
  for (let word = 50; word < 100_000; word += 100) random(8).copy(scattered, 8 * word)
  writeFileSync(at('own'), scattered)
  expect(sizeOf()).toBeLessThan(350 + 1000 * 13)
  const run = Buffer.from(state)
  random(8000).copy(run, 80_000)
  writeFileSync(at('own'), Buffer.concat([run, random(8000)]))
  expect(sizeOf()).toBeLessThan(350 + 16_000 + 20)
})

test('where most is new, or nothing is known to be alike, there is no patch', () => {
  writeFileSync(at('base'), random(80_000))
  writeFileSync(at('own'), random(80_000))
  const whole = [{ own: 0, base: 0, length: 80_000 }]
  for (const alike of [whole, []]) {
    expect(writePatch(at('patch'), { own: at('own'), base: at('base'), alike, stands_on })).toBe(false)
  }
})

test('hints that are wrong, out of order or beyond the end cost bytes and nothing else', async () => {
  const state = random(40_000)
  writeFileSync(at('base'), state)
  writeFileSync(at('own'), state)
  const alike = [
    { own: 0, base: 0, length: 30_000 },
    { own: 20_000, base: 20_000, length: 90_000 },
    { own: 39_000, base: 10_000, length: 500 },
    { own: 50_000, base: 60_000, length: 10 },
  ]
  expect(writePatch(at('patch'), { own: at('own'), base: at('base'), alike, stands_on })).toBe(true)
  rmSync(at('made'), { force: true })
  await composeDigests(at('base'), [at('patch')], at('made'), never)
  expect(readFileSync(at('made')).equals(state)).toBe(true)
})

test('a patch that contradicts itself, or what it lies over, makes nothing', async () => {
  const base = random(1000)
  writeFileSync(at('base'), base)
  const head = { ...stands_on, bytes: 100, sha256: sha256(base.subarray(0, 100)) }
  const steps = (...numbers: number[]): Buffer => Buffer.concat(numbers.map(asVarint))
  const made = async (body: Buffer, told: Partial<typeof head> = {}): Promise<string> => {
    writeFileSync(at('patch'), Buffer.concat([Buffer.from(patchLine({ ...head, ...told })), body]))
    rmSync(at('made'), { force: true })
    return await composeDigests(at('base'), [at('patch')], at('made'), never).then(
      () => 'made',
      (error: unknown) => (error instanceof DigestsInvalid ? error.message : String(error)),
    )
  }
  expect(await made(steps(0, 100, 0))).toBe('made')
  expect(await made(steps(0, 60, 0, 0, 40, 0))).toBe('made')
  expect(await made(steps(1, 100, 0))).toMatch(/not the state/)
  expect(await made(steps(0, 99, 0))).toMatch(/ends too early/)
  expect(await made(steps(0, 101, 0))).toMatch(/makes too much/)
  expect(await made(steps(0, 100, 0, 7))).toMatch(/goes on behind/)
  expect(await made(steps(950, 100, 0))).toMatch(/more than there is/)
  expect(await made(steps(0, 90, 10))).toMatch(/more than there is/)
  expect(await made(Buffer.alloc(12, 0xff))).toMatch(/too large/)
  expect(await made(steps(0, 100, 0), { sha256: sha256(base) })).toMatch(/not the state/)
  writeFileSync(at('patch'), '{"format":"salvor-digests-patch","version":2}\n')
  expect(() => patchHeadOf(at('patch'))).toThrow(/newer form/)
  writeFileSync(at('patch'), '{"format":"salvor-digests-patch","version":1,"base":"x"}\n')
  expect(() => patchHeadOf(at('patch'))).toThrow(/without a head/)
  writeFileSync(at('patch'), '{"format":"salvor-page-digests"}\n')
  expect(patchHeadOf(at('patch'))).toBeNull()
})

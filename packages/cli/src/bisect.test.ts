import { expect, test } from 'vitest'
import { bisect, type Look } from './bisect.ts'

/** Points are places in `answers`; `!` cannot be looked at. */
function looking(answers: string): { points: number[]; look: Look<number, string>; seen: number[] } {
  const seen: number[] = []
  return {
    points: answers.split('').map((_, i) => i),
    seen,
    look(point) {
      seen.push(point)
      const answer = answers[point]!
      return Promise.resolve(answer === '!' ? null : { point, digest: answer, answer })
    },
  }
}

test.each([
  ['aaaaaaab', [[6, 7]], 5],
  ['abbbbbbb', [[0, 1]], 5],
  ['aaa!!bbb', [[2, 5]], 5],
  ['!aab!', [[2, 3]], 4],
  ['ab', [[0, 1]], 2],
  ['aabbaa', [], 2],
] as const)('by halves, %s changes at %j', async (answers, changes, most) => {
  const { points, look } = looking(answers)
  const found = await bisect(points, look, false)
  expect(found!.changes.map(({ before, after }) => [before.point, after.point])).toEqual(changes)
  expect(found!.looked_at).toBeLessThanOrEqual(most)
})

test('a hundred points need nine looks', async () => {
  const { points, look, seen } = looking(`${'a'.repeat(37)}${'b'.repeat(63)}`)
  const found = await bisect(points, look, false)
  expect(found!.changes).toMatchObject([{ before: { point: 36 }, after: { point: 37 } }])
  expect(seen.length).toBeLessThanOrEqual(9)
})

test('at every point, changes that were undone are found too', async () => {
  const { points, look } = looking('aab!baa')
  const found = await bisect(points, look, true)
  const pairs = found!.changes.map(({ before, after }) => [before.point, after.point])
  expect(pairs).toEqual([
    [1, 2],
    [4, 5],
  ])
  expect(found!.looked_at).toBe(6)
})

test.each(['', 'a', '!a', 'a!', '!!'])('%j gives nothing to compare', async (answers) => {
  for (const every of [true, false]) {
    const { points, look } = looking(answers)
    expect(await bisect(points, look, every)).toBeNull()
  }
})

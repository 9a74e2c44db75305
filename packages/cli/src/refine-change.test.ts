import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import { expect, test } from 'vitest'
import type { Sight } from './bisect.ts'
import type { RecoveryInstants } from './recovery-instants.ts'
import { refine } from './refine-change.ts'

/** Instants are places in `answers`; `!` cannot be looked at. */
function history(answers: string) {
  const at = (place: number): string => String(place).padStart(4, '0')
  const pointAt = (instant: string): AskedPoint => ({ at: instant, backup_id: 'b' })
  const look = (point: AskedPoint): Promise<Sight<AskedPoint, string> | null> => {
    const answer = answers[Number(point.at)]!
    return Promise.resolve(answer === '!' ? null : { point, digest: answer, answer })
  }
  const counted = answers.split('').map((_, place) => at(place))
  const between = (before: string, after: string): string | null => {
    const inside = counted.filter((one) => before < one && one < after)
    return inside[inside.length >> 1] ?? null
  }
  const instants: RecoveryInstants = { latest: counted.at(-1)!, counted, at: pointAt, between }
  return {
    async refined(every: boolean): Promise<string[]> {
      const [before, after] = await Promise.all([look(pointAt(counted[0]!)), look(pointAt(counted.at(-1)!))])
      const found = await refine({ before: before!, after: after! }, instants, look, { resolutionMs: 1, every })
      return found.map((change) => `${change.before.answer}${change.after.answer} at ${Number(change.after.point.at)}`)
    },
  }
}

test('each change that leads from the first answer to the last is named, in the order of time', async () => {
  expect(await history('aabbbbccccccddd').refined(true)).toEqual(['ab at 2', 'bc at 6', 'cd at 12'])
  expect(await history('ab').refined(true)).toEqual(['ab at 1'])
})

test('one change is enough where only one was asked for', async () => {
  expect(await history('aabbbbccccccddd').refined(false)).toHaveLength(1)
})

test('an answer that came back on the way is found where a look met it', async () => {
  expect(await history('aaaabbbbbaaaccc').refined(true)).toEqual(['ab at 4', 'ba at 9', 'ac at 12'])
})

test('an instant that cannot be looked at ends the search beside it, not the search behind it', async () => {
  expect(await history('aaa!bbbbbbcccc').refined(true)).toEqual(['ab at 4', 'bc at 10'])
})

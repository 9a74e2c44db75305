import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { expect, test } from 'vitest'
import { joinProgress } from './joined-progress.ts'
import { throttleProgress } from './throttled-progress.ts'

const at = (phase: string, done_bytes: number, total_bytes: number | null = null): RunProgress => ({
  phase,
  done_bytes,
  total_bytes,
})

test('two sides give one account: the phase and total of the engine, the bytes of the repository', () => {
  const seen: RunProgress[] = []
  const { engine, bytes } = joinProgress((progress) => seen.push(progress))
  bytes(at('copying', 1))
  engine(at('copy', 0, 100))
  bytes(at('copying', 50))
  engine(at('copy', 40))
  bytes(at('copying', 100))
  expect(seen).toEqual([
    at('copying', 1),
    at('copy', 0, 100),
    at('copy', 50, 100),
    at('copy', 50, 100),
    at('copy', 100, 100),
  ])
})

function throttled() {
  const hand = { ms: 0, sent: [] as RunProgress[], free: [] as (() => void)[] }
  const report = throttleProgress(
    (progress, sent) => {
      hand.sent.push(progress)
      hand.free.push(sent)
    },
    100,
    () => hand.ms,
  )
  return { hand, report }
}

test('reports come at most so often, and at once for a new phase and for the end', () => {
  const { hand, report } = throttled()
  const tell = (progress: RunProgress): void => {
    report(progress)
    hand.free.pop()?.()
  }
  for (let i = 0; i < 50; i++) tell(at('a', i, 1000))
  hand.ms = 100
  tell(at('a', 60, 1000))
  tell(at('b', 0, 1000))
  tell(at('b', 1000, 1000))
  expect(hand.sent).toEqual([at('a', 0, 1000), at('a', 60, 1000), at('b', 0, 1000), at('b', 1000, 1000)])
})

test('a receiver that does not keep up costs reports, not memory', () => {
  const { hand, report } = throttled()
  for (let i = 0; i < 1000; i++) {
    hand.ms += 1000
    report(at('a', i))
  }
  expect(hand.sent).toHaveLength(1)
  hand.free.pop()?.()
  hand.ms += 1000
  report(at('a', 1001))
  expect(hand.sent.at(-1)).toEqual(at('a', 1001))
})

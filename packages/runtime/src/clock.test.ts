import { epochMicros, instantOf } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { createClock, systemClock, systemIds } from './clock.ts'

function machine() {
  const hand = { wallMs: 1_700_000_000_000, ticks: 5_000_000_000n }
  const pass = (ms: number): void => {
    hand.wallMs += ms
    hand.ticks += BigInt(Math.round(ms * 1e6))
  }
  return {
    hand,
    pass,
    clock: createClock(
      () => Math.floor(hand.wallMs),
      () => hand.ticks,
    ),
  }
}

test('time passes in microseconds between the milliseconds of the system', () => {
  const { clock, pass } = machine()
  pass(0.25)
  expect(clock.now()).toBe(instantOf(1_700_000_000_000_250n))
})

test('a clock that is set is followed, forwards and backwards', () => {
  const { clock, hand } = machine()
  hand.wallMs += 86_400_000
  expect(clock.now()).toBe(instantOf(1_700_086_400_000_000n))
  hand.wallMs -= 2 * 86_400_000
  expect(clock.now()).toBe(instantOf(1_699_913_600_000_000n))
})

test('a small correction never runs the clock backwards', () => {
  const { clock, hand, pass } = machine()
  pass(100)
  const before = clock.now()
  hand.wallMs -= 40
  expect(clock.now()).toBe(before)
  pass(60)
  expect(clock.now() > before).toBe(true)
})

test('the system clock is close to the time of the machine', () => {
  const off = Number(epochMicros(systemClock.now()) / 1000n) - Date.now()
  expect(Math.abs(off)).toBeLessThan(50)
  const before = systemClock.monotonicMs()
  expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before)
})

test('ids ascend', () => {
  const ids = Array.from({ length: 1000 }, () => systemIds.next())
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(1000)
})

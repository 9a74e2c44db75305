import type { Log } from '@salvor/shared/ports/log'
import { expect, test, vi } from 'vitest'
import { keepDoing } from './keep-doing.ts'

test('a duty that breaks off is said and begun again, after pauses that grow, until it is told to stop', async () => {
  vi.useFakeTimers()
  try {
    const said: unknown[] = []
    const log = { error: (facts: { again_in_ms: number }) => void said.push(facts.again_in_ms) } as unknown as Log
    const stop = new AbortController()
    const begun: number[] = []
    const first = Date.now()
    const ended = keepDoing(log, stop.signal, async () => {
      begun.push(Date.now() - first)
      if (begun.length < 4) throw new TypeError('a defect')
      await new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(new Error('stopped'))))
    })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(begun).toEqual([0, 1000, 3000, 7000])
    stop.abort()
    await ended
    expect(said).toEqual([1000, 2000, 4000])
  } finally {
    vi.useRealTimers()
  }
})

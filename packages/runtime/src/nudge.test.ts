import { expect, test } from 'vitest'
import { nudge } from './nudge.ts'

const settled = () => new Promise((resolve) => setTimeout(resolve, 5))

test('many requests at once are one piece of work', async () => {
  let runs = 0
  const ask = nudge(async () => void runs++)
  ask()
  ask()
  ask()
  await settled()
  expect(runs).toBe(1)
})

test('a request during the work leads to one more run, never to two at once', async () => {
  let atOnce = 0
  let most = 0
  let runs = 0
  const ask = nudge(async () => {
    most = Math.max(most, ++atOnce)
    if (++runs === 1) ask()
    await settled()
    atOnce--
  })
  ask()
  await settled()
  ask()
  await ask.stop()
  expect(most).toBe(1)
})

test('stopping waits for the work at hand and takes no more', async () => {
  let done = 0
  const ask = nudge(async () => {
    await settled()
    done++
  })
  ask()
  await Promise.resolve()
  await ask.stop()
  ask()
  await settled()
  expect(done).toBe(1)
})

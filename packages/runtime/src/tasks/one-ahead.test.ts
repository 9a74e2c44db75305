import { expect, test } from 'vitest'
import { OneAhead } from './one-ahead.ts'

function links(count: number, bad = -1) {
  const told: string[] = []
  const openers = Array.from({ length: count }, (_, n) => async () => {
    told.push(`open ${n}`)
    if (n === bad) throw new Error(`link ${n} is bad`)
    return { n, [Symbol.asyncDispose]: async () => void told.push(`close ${n}`) }
  })
  return { told, openers }
}

test('the next link is opened while one is worked on, in either direction', async () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
  ]) {
    const { told, openers } = links(3)
    await using ahead = new OneAhead(openers)
    for (const n of order) {
      await using link = await ahead.take(n)
      told.push(`work ${link.n}`)
    }
    const [a, b, c] = order
    const wanted = [`open ${a}`, `open ${b}`, `work ${a}`, `close ${a}`, `open ${c}`, `work ${b}`, `close ${b}`]
    expect(told).toEqual([...wanted, `work ${c}`, `close ${c}`])
  }
})

test('what was opened ahead and not taken is closed, and a bad link fails when it is taken', async () => {
  const { told, openers } = links(4, 2)
  {
    await using ahead = new OneAhead(openers)
    await using first = await ahead.take(0)
    expect(first.n).toBe(0)
  }
  expect(told).toEqual(['open 0', 'open 1', 'close 0', 'close 1'])
  await using again = new OneAhead(openers)
  await using one = await again.take(1)
  expect(one.n).toBe(1)
  await expect(again.take(2)).rejects.toThrow('link 2 is bad')
})

import { FAILED, RESOLVED } from '@salvor/testkit/contracts/channel'
import { slackRefusal } from '@salvor/testkit/real/slack-rules'
import { expect, test } from 'vitest'
import { slackMessage } from './message.ts'
import { renderSlack } from './render.ts'
import { escaped } from './text.ts'

test('a reader sees what failed, why, the facts, and the next command', () => {
  expect(renderSlack(slackMessage(FAILED)).split('\n')).toEqual([
    '❌ Backup failed: clinic',
    'Cannot connect to db.internal:5432: ECONNREFUSED. Check that the server runs and is reachable.',
    'Source     clinic',
    'Type       full',
    'Last good  2025-11-26 02:00:04 UTC',
    'Next: salvor backup clinic',
    'backup.failed · 2025-11-27 20:39:30 UTC  |  event 019ac6f2-5b1e-7000-8000-00000000f00d  |  incident clinic/backup is open',
  ])
})

test('phones and screen readers get title and cause as text', () => {
  expect(slackMessage(FAILED).text).toMatch(/^❌ Backup failed: clinic - Cannot connect/)
})

test('a recovery is green whatever was broken', () => {
  expect(renderSlack(slackMessage({ ...RESOLVED, severity: 'critical' }))).toMatch(/^✅ .*\n[^]*is resolved$/)
})

test('nobody is pinged and nothing is linked by what stands in an error', () => {
  const hostile = '<!channel> <@U123> <http://evil|click> & `x`'
  const message = slackMessage({
    ...FAILED,
    title: hostile,
    text: hostile,
    hint: hostile,
    fields: [{ label: hostile, value: hostile }],
  })
  expect(slackRefusal(JSON.stringify(message))).toBeNull()
  const marked = JSON.stringify(message, (_, value) => (value?.type === 'plain_text' ? null : value))
  expect(marked).not.toMatch(/<!channel|<@U123|<http/)
  expect(renderSlack(message)).toContain("Next: <!channel> <@U123> <http://evil|click> & 'x'")
})

test('a cut never splits a character or an entity', () => {
  for (let limit = 2; limit < 40; limit++) {
    const text = escaped('a🚨<b>&'.repeat(10), limit)
    expect(text.length).toBeLessThanOrEqual(limit)
    expect(text).toMatch(/…$/)
    expect(text.isWellFormed()).toBe(true)
    expect(text.replaceAll(/&(amp|lt|gt);/g, '')).not.toMatch(/[&<>;]/)
  }
  expect(escaped('exactly 10', 10)).toBe('exactly 10')
})

test('facts that do not fit are counted, not hidden', () => {
  const fields = Array.from({ length: 20 }, (_, n) => ({ label: `fact ${n}`, value: 'x' }))
  expect(renderSlack(slackMessage({ ...FAILED, fields }))).toContain('4 more facts left out')
})

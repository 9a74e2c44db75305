import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { expect, test } from 'vitest'
import { createLog } from './log.ts'
import { createRedactor } from './redact.ts'

const CANARY = 'cAnAry-"q\\7/ü-%25@x'

function logged(
  write: (log: ReturnType<typeof createLog>) => void,
  pretty = false,
  secrets = [CANARY],
): readonly string[] {
  const lines: string[] = []
  write(
    createLog({
      level: 'debug',
      secrets: () => secrets,
      pretty,
      facts: { service: 'test' },
      write: (l) => lines.push(l),
    }),
  )
  return lines
}

test.each([false, true])('a canary that is logged every way there is appears in no line (pretty: %s)', (pretty) => {
  const cause = Object.assign(new Error(`connect ${CANARY}`), { connectionString: CANARY, query: CANARY })
  const error = new SalvorError('SOURCE_UNREACHABLE', { source: 'a', where: 'h', reason: CANARY }, cause)
  const lines = logged((log) => {
    log.info({ url: CANARY, list: [CANARY, { deep: { deeper: CANARY } }], [CANARY]: 1, set: new Set([CANARY]) }, CANARY)
    log.error(error, 'failed')
    log.error({ error, errors: new AggregateError([cause], CANARY) }, 'failed')
    log.child({ target: CANARY }).warn({ map: new Map([[CANARY, encodeURIComponent(CANARY)]]) }, 'child')
    log.debug({ buffer: Buffer.from(CANARY), when: new Date(0), call: () => CANARY }, 'odd')
    log.info({ json: JSON.stringify({ inner: CANARY }) }, 'nested')
  }, pretty)
  expect(lines).toHaveLength(6)
  const text = lines.join('')
  expect(text).not.toContain('cAnAry')
  expect(text).not.toContain('7/ü')
  expect(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1)).toBe(true)
  expect(lines.every((line) => pretty || 'service' in (JSON.parse(line) as object))).toBe(true)
})

test('keys that name secrets are blanked at any depth, whatever they hold', () => {
  const redactor = createRedactor(() => [])
  expect(
    redactor.facts({
      a: [{ password: 'x', nested: { secret_access_key: { id: 'y' }, url_file: '/p', key: 'k/o' } }],
      apiToken: 't',
      token: 7,
    }),
  ).toEqual({
    a: [{ password: '[redacted]', nested: { secret_access_key: '[redacted]', url_file: '/p', key: 'k/o' } }],
    apiToken: '[redacted]',
    token: 7,
  })
})

test.each([
  ['postgres://user:pa/ss@wo:rd@host:5432/db?x=1', 'postgres://user:[redacted]@host:5432/db?x=1'],
  ['redis://:hunter2@host', 'redis://:[redacted]@host'],
  ["host=h password='a b' user=u", 'host=h password=[redacted] user=u'],
  ['host=h password=abc user=u', 'host=h password=[redacted] user=u'],
  ['AccountName=a;AccountKey=ab+/c==;Suffix=s', 'AccountName=a;AccountKey=[redacted];Suffix=s'],
  ['https://x.blob/a?sv=1&sig=ab%2B&se=2', 'https://x.blob/a?sv=1&sig=[redacted]&se=2'],
  ['POST https://hooks.slack.com/services/T0/B0/xyz failed', 'POST https://hooks.slack.com/[redacted] failed'],
  ['Authorization: Basic dXNlcjpwdw==', 'Authorization: [redacted]'],
  ['-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- rest', '[redacted] rest'],
  ['http://host:8080/path?a=b and mail@host', 'http://host:8080/path?a=b and mail@host'],
])('what looks like a secret goes: %s', (text, clean) => {
  expect(createRedactor(() => []).text(text)).toBe(clean)
})

test('secrets of a reload are known at once, and the old ones stay known', () => {
  let secrets: readonly string[] = ['first-secret']
  const redactor = createRedactor(() => secrets)
  expect(redactor.text('first-secret')).toBe('[redacted]')
  secrets = ['second-secret']
  expect(redactor.text('first-secret second-secret')).toBe('[redacted] [redacted]')
})

test('a secret that holds another goes as a whole', () => {
  expect(createRedactor(() => ['pass', 'password-long']).text('x password-long y')).toBe('x [redacted] y')
})

test('facts that hold themselves, and huge ones, end', () => {
  const self: Record<string, unknown> = { name: 'self', many: Array.from({ length: 10_000 }, (_, i) => i) }
  self['self'] = self
  const redactor = createRedactor(() => [])
  expect(redactor.facts(self)).toMatchObject({ name: 'self', self: '[…]' })
  expect(redactor.facts(self)['many']).toHaveLength(200)
})

test('a line for a terminal is one line: time, level, message, facts', () => {
  const [line] = logged((log) => log.warn({ source: 'app', reason: 'two words\nand a line' }, 'it went wrong'), true)
  expect(line).toMatch(
    /^\d\d:\d\d:\d\d WARN {2}it went wrong {2}service=test {2}source=app {2}reason="two words\\nand a line"\n$/,
  )
})

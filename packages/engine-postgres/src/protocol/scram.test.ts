import { expect, test } from 'vitest'
import { Scram, ScramRefused } from './scram.ts'
import { saslprep } from './saslprep.ts'

// The exchange of RFC 7677, 3, with the empty user name that PostgreSQL's clients send.
const NONCE = 'rOprNGfwEbeRWgbNEkqO'
const SERVER_FIRST = `r=${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`

test('a login has the form of RFC 7677, and depends on the password', async () => {
  const scram = new Scram('pencil', { kind: 'none' }, NONCE)
  expect(scram.clientFirst()).toBe(`n,,n=,r=${NONCE}`)
  const final = await scram.clientFinal(SERVER_FIRST)
  expect(final).toMatch(/^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/)
  expect(await new Scram('pencil', { kind: 'none' }, NONCE).clientFinal(SERVER_FIRST)).toBe(final)
  expect(await new Scram('pencils', { kind: 'none' }, NONCE).clientFinal(SERVER_FIRST)).not.toBe(final)
})

test('channel binding is part of what is proven', async () => {
  const unoffered = await new Scram('pencil', { kind: 'unoffered' }, NONCE).clientFinal(SERVER_FIRST)
  expect(unoffered).toMatch(/^c=eSws,/)
  const bound = new Scram('pencil', { kind: 'bound', certificateHash: Buffer.from('hash') }, NONCE)
  expect(bound.mechanism).toBe('SCRAM-SHA-256-PLUS')
  const sent = await bound.clientFinal(SERVER_FIRST)
  const channel = /^c=([^,]+),/.exec(sent)?.[1] ?? ''
  expect(Buffer.from(channel, 'base64').toString()).toBe('p=tls-server-end-point,,hash')
})

test('a server that does not know the password is refused', async () => {
  const scram = new Scram('pencil', { kind: 'none' }, NONCE)
  await scram.clientFinal(SERVER_FIRST)
  for (const final of [`v=${Buffer.alloc(32).toString('base64')}`, 'v=', 'e=other-error', '']) {
    expect(() => scram.verify(final)).toThrow(ScramRefused)
  }
  expect(scram.proven).toBe(false)
})

test('a server may neither answer another login nor ask for endless work', async () => {
  const first = (text: string) => new Scram('pencil', { kind: 'none' }, NONCE).clientFinal(text)
  await expect(first('r=other%hv,s=W22ZaJ0S,i=4096')).rejects.toThrow('nonce')
  await expect(first(`r=${NONCE},s=W22ZaJ0S,i=4096`)).rejects.toThrow('nonce')
  await expect(first(`r=${NONCE}x,s=W22ZaJ0S,i=1000001`)).rejects.toThrow('iterations')
  await expect(first(`r=${NONCE}x,s=W22ZaJ0S,i=0`)).rejects.toThrow('malformed')
  await expect(first('e=unknown-user')).rejects.toThrow('malformed')
})

test('passwords are prepared as RFC 4013 has it, and used as they are where it does not allow them', () => {
  expect(saslprep('I\u00adX')).toBe('IX')
  expect(saslprep('user')).toBe('user')
  expect(saslprep('\u00aa')).toBe('a')
  expect(saslprep('\u2168')).toBe('IX')
  expect(saslprep('a\u00a0b')).toBe('a b')
  expect(saslprep('\u0007\u2168')).toBe('\u0007\u2168')
  expect(saslprep('\u0627\u2168')).toBe('\u0627\u2168')
})

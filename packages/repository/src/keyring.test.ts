import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import { expect, test, vi } from 'vitest'
import { KEYS, TIME } from './backup.fixture.ts'
import { createKeys, createSigningKey } from './create-keys.ts'
import { type KeyFile, keyIdOf, listKeys, publicOnly, serializeKeyFile, type WrappingEntry } from './key-file.ts'
import { openKeyring, parseKeyring } from './keyring.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const LATER = '2026-01-01T00:00:00.000000Z'
const ring = openKeyring(KEYS.keyring, 'k.json', true)
const key = randomBytes(32)

const failure = (bytes: string | Buffer): SalvorError => {
  try {
    parseKeyring(Buffer.from(bytes), 'k.json', true)
  } catch (error) {
    return error as SalvorError
  }
  throw new Error('accepted')
}

test('what one ring signs, another with the public half checks, and nothing else passes', () => {
  const message = Buffer.from('a manifest')
  const signature = ring.sign(message)
  const reader = openKeyring(publicOnly(KEYS.keyring, { signing: false }), 'k.json', true)
  expect(reader.check(message, signature)).toBe('trusted')
  expect(reader.check(Buffer.from('a manifesT'), signature)).toBe('bad')
  expect(reader.check(message, { ...signature, signer: '0123456789abcdef' })).toBe('unknown')
  expect(() => reader.sign(message)).toThrow(expect.objectContaining({ code: 'KEYRING_INVALID' }))
})

test('a worker wraps and cannot open; the operating key and the printed recovery key each open', () => {
  const worker = openKeyring(publicOnly(KEYS.keyring), 'k.json', true)
  const wrapped = worker.wrap(key, 'clinic', 'full')
  expect(wrapped.map(({ purpose }) => purpose)).toEqual(['operating', 'recovery'])
  expect(() => worker.unwrap(wrapped, 'x.keys.1.json')).toThrow(expect.objectContaining({ code: 'KEY_MISSING' }))
  expect(ring.unwrap(wrapped, 'x').equals(key)).toBe(true)
  const safe: KeyFile = structuredClone(publicOnly(KEYS.keyring))
  safe.wrapping.find(({ purpose }) => purpose === 'recovery')!.private_key = KEYS.recovery
  expect(openKeyring(safe, 'safe.json', true).unwrap(wrapped, 'x').equals(key)).toBe(true)
  expect(JSON.stringify(KEYS.keyring)).not.toContain(KEYS.recovery.split('\n')[3])
})

test('a wrapped key that does not open is passed over for one that does', () => {
  const wrapped = ring.wrap(key, 'clinic', 'full')
  const spoilt = { ...wrapped[0]!, wrapped: Buffer.alloc(384, 7).toString('base64') }
  expect(ring.unwrap([spoilt, ...wrapped], 'x').equals(key)).toBe(true)
  expect(() => ring.unwrap([spoilt], 'x')).toThrow(expect.objectContaining({ code: 'KEY_MISSING' }))
})

test('the most specific pair is taken: the named source, its parent, the class, then the newest', () => {
  const [a, b] = [KEYS.keyring.wrapping[0]!, KEYS.keyring.wrapping[1]!]
  type Scope = Pick<WrappingEntry, 'source' | 'retention_class'> & { readonly created_at?: string }
  /** Which of two pairs is taken. */
  const taken = (first: Scope, second: Scope, source: string, retentionClass: RetentionClass) => {
    const pair = (entry: WrappingEntry, scope: Scope) =>
      (['operating', 'recovery'] as const).map((purpose) => ({ ...entry, ...scope, purpose }))
    const file = { ...KEYS.keyring, wrapping: [...pair(a, first), ...pair(b, second)] }
    const ids = openKeyring(file, 'k.json', true)
      .wrap(key, source, retentionClass)
      .map(({ key_id }) => key_id)
    expect(new Set(ids).size).toBe(1)
    return ids[0] === a.key_id ? 'first' : 'second'
  }
  const all = { source: '*', retention_class: '*' } as const
  const monthly = { source: '*', retention_class: 'monthly' } as const
  const parent = { source: 'tenants', retention_class: '*' } as const
  const exact = { source: 'tenants/a.db', retention_class: '*' } as const
  expect(taken(all, monthly, 'clinic', 'monthly')).toBe('second')
  expect(taken(all, monthly, 'clinic', 'full')).toBe('first')
  expect(taken(parent, monthly, 'tenants/b.db', 'monthly')).toBe('first')
  expect(taken(parent, exact, 'tenants/a.db', 'full')).toBe('second')
  expect(taken(all, parent, 'tenantsx', 'full')).toBe('first')
  expect(taken(parent, { ...parent, retention_class: 'full' }, 'tenants', 'full')).toBe('second')
  expect(taken({ ...all, created_at: LATER }, all, 'clinic', 'full')).toBe('first')
  expect(taken(all, { ...all, created_at: LATER }, 'clinic', 'full')).toBe('second')
})

test('new keys are usable, and the recovery half is in no file', () => {
  const { keyring, recovery } = createKeys(TIME)
  const made = parseKeyring(serializeKeyFile(keyring), 'k.json', true)
  expect(made.unwrap(made.wrap(key, 'clinic', 'full'), 'x').equals(key)).toBe(true)
  expect(keyring.wrapping.map((entry) => entry.private_key === null)).toEqual([false, true])
  expect(keyIdOf(createPublicKey(recovery))).toBe(keyring.wrapping[1]!.key_id)
})

test('an installation without a keyring signs, and says that it cannot encrypt', () => {
  const own = openKeyring(createSigningKey(TIME), 'data/signing-key.json', false)
  expect(own.configured).toBe(false)
  expect(own.check(Buffer.from('x'), own.sign(Buffer.from('x')))).toBe('trusted')
  expect(() => own.wrap(key, 'clinic', 'full')).toThrow(expect.objectContaining({ code: 'KEYRING_INVALID' }))
})

test('a keyring comes back from its file, and is listed without key material', () => {
  const file = serializeKeyFile(KEYS.keyring)
  expect(parseKeyring(file, 'k.json', true).check(Buffer.from('x'), ring.sign(Buffer.from('x')))).toBe('trusted')
  const listed = listKeys(KEYS.keyring)
  expect(listed.map(({ purpose, private: own }) => [purpose, own])).toEqual([
    ['signing', true],
    ['operating', true],
    ['recovery', false],
  ])
  expect(JSON.stringify(listed)).not.toContain('KEY-----')
})

test('a keyring that cannot be right is refused with its reason, and no part of a key is told', () => {
  const change = (edit: (file: KeyFile) => void) => {
    const file = structuredClone(KEYS.keyring)
    edit(file)
    return failure(serializeKeyFile(file))
  }
  const weak = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
  const weakPem = weak.export({ type: 'spki', format: 'pem' }) as string
  const other = createSigningKey(TIME).signing[0]!
  const secret = KEYS.keyring.signing[0]!.private_key!
  const errors = [
    failure('not json'),
    failure(`{"signing": "${secret.replaceAll('\n', '')}`),
    failure('{}'),
    failure(Buffer.alloc(5 << 20, 32)),
    change((file) => (file.signing[0]!.key_id = '0000000000000000')),
    change((file) => (file.wrapping[1]!.key_id = '0000000000000000')),
    change((file) => (file.signing[0]!.private_key = other.private_key)),
    change((file) => (file.signing[0]!.public_key = 'x')),
    change((file) => (file.signing[0]!.public_key = KEYS.keyring.wrapping[0]!.public_key)),
    change((file) =>
      Object.assign(file.wrapping[0]!, { public_key: weakPem, private_key: null, key_id: keyIdOf(weak) }),
    ),
    change((file) => Object.assign(file.wrapping[0]!, { source: '../x' })),
  ]
  for (const error of errors) {
    expect(error.code).toBe('KEYRING_INVALID')
    expect(error.message).toContain('k.json')
    expect(`${error.message}${String(error.cause)}`).not.toContain(secret.split('\n')[1])
  }
  expect(createPrivateKey(KEYS.recovery).asymmetricKeyDetails?.modulusLength).toBe(3072)
})

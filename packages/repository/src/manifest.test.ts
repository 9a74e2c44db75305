import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { describe, expect, test, vi } from 'vitest'
import { bytes, giving, KEYS, MANIFEST, never, request, RING, TIME } from './backup.fixture.ts'
import { createSigningKey } from './create-keys.ts'
import { openKeyring } from './keyring.ts'
import { Manifest, parseManifest, serializeManifest } from './manifest.ts'
import { clipNotices } from './notices.ts'
import { writeBackup } from './write-backup.ts'

// Each round starts threads: a second or more on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const store = new MemoryStore()
await writeBackup(request(store), giving(bytes(100_000)), never)
const FILE = store.bytes(MANIFEST)
const GOOD = parseManifest(FILE, MANIFEST, RING).manifest

const failure = (file: Uint8Array, key = MANIFEST, ring = RING): string => {
  try {
    parseManifest(file, key, ring)
    return 'accepted'
  } catch (error) {
    return (error as { code: string }).code
  }
}
const signed = (changes: Partial<Record<keyof Manifest, unknown>>): Buffer =>
  serializeManifest({ ...GOOD, ...changes } as Manifest, RING)

test('a manifest that was written is read back, and written again it is the same bytes', () => {
  const { manifest, signer } = parseManifest(FILE, MANIFEST, RING)
  expect(signer).toBe('trusted')
  expect(serializeManifest(manifest, RING).equals(FILE)).toBe(true)
  expect(Object.keys(JSON.parse(FILE.toString())).at(-1)).toBe('signature')
})

test('every flipped bit of a manifest is noticed', () => {
  for (let at = 0; at < FILE.length; at++) {
    const bad = Buffer.from(FILE)
    bad[at]! ^= 1 << (at % 8)
    expect(failure(bad), `bit ${at % 8} of byte ${at}`).toMatch(/^(MANIFEST_INVALID|SIGNER_UNKNOWN)$/)
  }
})

describe('bytes that are no manifest are refused', () => {
  const text = FILE.toString()
  test.each([
    ['empty', ''],
    ['cut', text.slice(0, -10)],
    ['without the last newline', text.slice(0, -1)],
    ['with one newline more', `${text}\n`],
    ['with other blanks', text.replace('"format_version": 1', '"format_version":  1')],
    ['with a member twice', text.replace('"format_version": 1,', '"format_version": 1,\n  "format_version": 1,')],
    ['with a member more', text.replace('"format_version": 1,', '"format_version": 1,\n  "extra": 1,')],
    ['with a byte order mark', `\uFEFF${text}`],
    ['unsigned', JSON.stringify({ ...JSON.parse(text), signature: undefined }, null, 2)],
    ['minified', JSON.stringify(JSON.parse(text))],
    ['of another format version', text.replace('"format_version": 1', '"format_version": 2')],
    ['an array', '[]\n'],
    ['too large', `${text}${' '.repeat(70_000)}`],
  ])('%s', (_what, bad) => {
    expect(failure(Buffer.from(bad))).toBe('MANIFEST_INVALID')
  })

  test('not UTF-8', () => {
    expect(failure(Buffer.concat([FILE, Buffer.from([0xff])]))).toBe('MANIFEST_INVALID')
  })
})

test('a signed manifest is still refused when it names another place, type or number than its own', () => {
  const bad: Partial<Record<keyof Manifest, unknown>>[] = [
    { filename: '../../etc/passwd' },
    { filename: 'backup_full_20251127_203930.db.zst' },
    { filename: 'backup_full_20251127_203931.db.zst.enc' },
    { filename: 'backup_full_20251127_203930.exe.zst.enc' },
    { source: 'other' },
    { type: 'pre_restore' },
    { timestamp: '2025-11-27T20:39:31.294774Z' },
    { keys: null },
    { keys: '../keys.*.json' },
    { frames: GOOD.frames + 1 },
    { segments: GOOD.frames + 1 },
  ]
  for (const changes of bad)
    expect(failure(signed(changes)), `with ${JSON.stringify(changes)}`).toBe('MANIFEST_INVALID')
  expect(failure(FILE, 'other/backup_full_20251127_203930.manifest.json')).toBe('MANIFEST_INVALID')
  expect(failure(FILE, 'clinic/backup_full_20251127_203931.manifest.json')).toBe('MANIFEST_INVALID')
  expect(failure(signed({}))).toBe('accepted')
})

test('a stranger is refused where a keyring is configured, and named where none is', () => {
  const stranger = createSigningKey(TIME)
  expect(failure(FILE, MANIFEST, openKeyring(stranger, 'k', true))).toBe('SIGNER_UNKNOWN')
  expect(parseManifest(FILE, MANIFEST, openKeyring(stranger, 'k', false)).signer).toBe('unknown')
  const other = signed({ engine: 'postgres' })
  const swapped = JSON.parse(FILE.toString())
  swapped.signature.value = JSON.parse(other.toString()).signature.value
  expect(failure(Buffer.from(`${JSON.stringify(swapped, null, 2)}\n`))).toBe('MANIFEST_INVALID')
  expect(KEYS.keyring.signing[0]!.key_id).toBe(swapped.signature.signer)
})

test('facts of the engine are put in order, and notices never make a manifest too large', () => {
  const facts = { zebra: 1, apple: null, m_2: true }
  expect(serializeManifest({ ...GOOD, engine_facts: facts }, RING).toString()).toMatch(/apple.*m_2.*zebra/s)
  expect(() => serializeManifest({ ...GOOD, engine_facts: { 'Not allowed': 1 } }, RING)).toThrow(/invalid_key/)
  const notices = clipNotices(Array.from({ length: 1000 }, () => '\u0001語𝒳'.repeat(1000)))
  expect(notices.at(-1)).toBe('and 970 more')
  const file = serializeManifest({ ...GOOD, notices }, RING)
  expect(parseManifest(file, MANIFEST, RING).manifest.notices).toEqual(notices)
})

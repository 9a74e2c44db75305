import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { afterAll, describe, expect, test } from 'vitest'
import { bytes, giving, KEYS, never, request } from './backup.fixture.ts'
import { type BackupRequest, writeBackup } from './write-backup.ts'

const folder = mkdtempSync(join(tmpdir(), 'salvor-recovery-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The commands need these, and this machine may not have them. */
const programs = ['bash', 'sha256sum', 'zstd', 'gzip', 'openssl', 'tar', 'python3']
const missing = programs.filter((program) => spawnSync(program, ['--version']).error)
if (missing.length > 0) console.log(`RECOVERY.md is not run: ${missing.join(', ')} missing on this machine`)
const DATA = bytes(700_000)

function tarOf(data: Uint8Array): Buffer {
  const root = join(folder, 'data')
  mkdirSync(join(root, 'base/1'), { recursive: true })
  writeFileSync(join(root, 'PG_VERSION'), '17\n')
  writeFileSync(join(root, 'base/1/1259'), data)
  return execFileSync('tar', ['-c', '-C', root, '.'], { maxBuffer: 1 << 24 })
}

/** The objects of a backup in a folder of their own, and the blocks of its RECOVERY.md as one script. */
async function laidOut(name: string, data: Uint8Array, overrides: Partial<BackupRequest>) {
  const store = new MemoryStore()
  await writeBackup(request(store, { segment_bytes: 100_000, ...overrides }), giving(data), never)
  const place = join(folder, name)
  mkdirSync(place)
  for (const key of store.keys()) writeFileSync(join(place, basename(key)), store.bytes(key))
  const text = store.bytes(store.keys().find((key) => key.endsWith('.md'))!).toString()
  const script = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join('')
  return { place, script, text }
}

function run(place: string, script: string) {
  return spawnSync('bash', ['-c', script], { cwd: place, encoding: 'utf8' })
}

describe.skipIf(missing.length > 0)('RECOVERY.md', () => {
  test.each([
    ['an encrypted database of several segments', { artifact: 'db' }],
    ['a plain database', { artifact: 'db', encrypt: false }],
    ['an encrypted tar of several segments', { artifact: 'tar' }],
    ['a plain tar', { artifact: 'tar', encrypt: false }],
    ['an encrypted tar with gzip', { artifact: 'tar', compression: { algorithm: 'gzip', level: 6 } }],
    ['a plain database with gzip', { artifact: 'db', encrypt: false, compression: { algorithm: 'gzip', level: 1 } }],
  ] as [string, Partial<BackupRequest>][])(
    '%s comes back by the commands of its RECOVERY.md alone',
    async (name, overrides) => {
      const isTar = overrides.artifact === 'tar'
      const { place, script, text } = await laidOut(name, isTar ? tarOf(DATA) : DATA, overrides)
      const encrypted = overrides.encrypt !== false
      if (encrypted) writeFileSync(join(place, 'recovery.pem'), KEYS.recovery)
      const { status, stderr } = run(place, script)
      expect(`${status} ${stderr}`).toBe('0 ')
      const found = readFileSync(join(place, isTar ? 'restored/base/1/1259' : 'restored.db'))
      expect(found.equals(DATA)).toBe(true)
      expect(text.includes('openssl')).toBe(encrypted)
      const segments = text.match(/^\d+ \d+ [0-9a-f]{24}$/gm) ?? []
      expect(segments.length > 3).toBe(encrypted)
    },
  )

  test('the operating key opens the commands too', async () => {
    const { place, script } = await laidOut('operating', DATA, {})
    writeFileSync(join(place, 'recovery.pem'), KEYS.keyring.wrapping[0]!.private_key!)
    const swapped = script.replace(/^WRAPPED=/m, '#UNUSED=').replace(/^#WRAPPED=/m, 'WRAPPED=')
    expect(run(place, swapped).status).toBe(0)
    expect(readFileSync(join(place, 'restored.db')).equals(DATA)).toBe(true)
  })

  test('an empty database comes back empty', async () => {
    const { place, script } = await laidOut('empty', Buffer.alloc(0), { encrypt: false })
    expect(run(place, script).status).toBe(0)
    expect(readFileSync(join(place, 'restored.db'))).toHaveLength(0)
  })

  test('a damaged artifact and a wrong key stop the commands', async () => {
    const { place, script } = await laidOut('damaged', DATA, {})
    writeFileSync(join(place, 'recovery.pem'), KEYS.keyring.wrapping[0]!.private_key!)
    expect(run(place, script).status).not.toBe(0)
    writeFileSync(join(place, 'recovery.pem'), KEYS.recovery)
    const artifact = join(place, 'backup_full_20251127_203930.db.zst.enc')
    const stored = readFileSync(artifact)
    stored[5000]! ^= 1
    writeFileSync(artifact, stored)
    expect(run(place, script).stdout).toContain('FAILED')
    expect(run(place, script).status).not.toBe(0)
  })

  test.each([true, false])('a chain of pages comes back by its RECOVERY.md files (encrypted: %s)', async (encrypt) => {
    const size = 4096
    const page = (seed: number) => bytes(size, seed)
    const full = Buffer.concat([page(1), page(2), page(3)])
    const head = (pages: number) =>
      Buffer.from(`${JSON.stringify({ format: 'salvor-pages', version: 1, page_size: size, page_count: pages })}\n`)
    const u32 = (...values: number[]) =>
      Buffer.concat(values.map((value) => Buffer.from(Uint32Array.of(value).buffer).swap32()))
    const grown = Buffer.concat([head(5), u32(1, 2), page(22), u32(2, 4, 5), page(4), page(5), u32(0)])
    const shrunk = Buffer.concat([head(2), u32(1, 1), page(11), u32(0)])
    const place = join(folder, `chain-${encrypt}`)
    mkdirSync(place)
    if (encrypt) writeFileSync(join(place, 'recovery.pem'), KEYS.recovery)
    const links = [full, grown, shrunk]
    const chain: { id: string; filename: string }[] = []
    const scripts: string[] = []
    for (const [n, data] of links.entries()) {
      const store = new MemoryStore()
      const id = `019ac6f5-77f6-7c31-8000-00000000000${n}`
      const how = n === 0 ? {} : ({ type: 'incremental', retention_class: 'incremental', artifact: 'pages' } as const)
      const wish = { id, encrypt, parent: chain.at(-1)?.id ?? null, chain: [...chain], ...how }
      const timestamp = `2025-11-27T20:39:3${n}.294774Z`
      const { backup } = await writeBackup(request(store, { timestamp, ...wish }), giving(data), never)
      for (const key of store.keys()) writeFileSync(join(place, basename(key)), store.bytes(key))
      const text = store.bytes(store.keys().find((key) => key.endsWith('.md'))!).toString()
      const blocks = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
      // What is below needs its first steps only: the last one puts the whole chain together.
      scripts.push((n > 0 && n < links.length - 1 ? blocks.slice(0, -1) : blocks).join(''))
      chain.push({ id, filename: backup.filename })
    }
    for (const script of scripts) {
      const { status, stderr } = run(place, script)
      expect(`${status} ${stderr}`).toBe('0 ')
    }
    expect(readFileSync(join(place, 'restored.db')).equals(Buffer.concat([page(11), page(22)]))).toBe(true)
  })
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../engine.fixture.ts'
import { DigestsWriter } from './digests-writer.ts'
import { PAGE } from './form.ts'
import { NameTable } from './name-table.ts'
import { KEY_BYTES } from './page-digest.ts'
import { ParentFile, ParentUnknown } from './parent-file.ts'

const key = Buffer.alloc(KEY_BYTES, 7)
const digesting = { algorithm: 'nh128', key } as const
const names = Array.from({ length: 3000 }, (_, i) => `base/${5 + (i % 7)}/${16_384 + i}`)
const sizes = names.map((_, i) => (i % 5 === 0 ? 150 : 1 + (i % 3)))
const page = Buffer.alloc(PAGE)
const pageOf = (file: number, number: number): Buffer => {
  page.writeUInt32LE(file, 0)
  page.writeUInt32LE(number, 4)
  return page
}

describe('digests of a parent', () => {
  test('are the same however the bytes come, and are found by name', () => {
    using folder = temporaryFolder()
    const [own, other] = ['own', 'other'].map((name) => join(folder.path, name)) as [string, string]
    const writer = new DigestsWriter(own, digesting)
    const inPieces = new DigestsWriter(other, digesting)
    for (const [file, name] of names.entries()) {
      writer.file(name, sizes[file]!)
      inPieces.file(name, sizes[file]!)
      for (let number = 0; number < sizes[file]!; number++) {
        writer.pages(pageOf(file, number))
        const bytes = pageOf(file, number)
        // In pieces that end within pages, as they come from a server.
        inPieces.pages(bytes.subarray(0, 5000))
        inPieces.pages(bytes.subarray(5000))
      }
    }
    const manifest = randomBytes(3_000_000)
    writer.manifest(manifest)
    inPieces.manifest(manifest)
    writer.close()
    inPieces.close()
    expect(readFileSync(own).equals(readFileSync(other))).toBe(true)
    using parent = new ParentFile(own)
    const given: Buffer[] = []
    for (const chunk of parent.manifest()) given.push(Buffer.from(chunk))
    expect(Buffer.concat(given).equals(manifest)).toBe(true)
    for (const [file, name] of names.entries()) expect(parent.digestsOf(name)?.bytes.length).toBe(sizes[file]! * 8)
    expect(parent.digestsOf('base/5/1')).toBe(null)
    expect(parent.digestsOf(names[0]!)!.bytes.equals(parent.digestsOf(names[35]!)!.bytes)).toBe(false)
  })

  test('that are cut, or of another form, are refused', () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'digests')
    const writer = new DigestsWriter(file, digesting)
    writer.file('base/5/1', 2)
    writer.pages(Buffer.alloc(2 * PAGE))
    writer.close()
    expect(() => new ParentFile(file)).toThrow(ParentUnknown)
    for (const text of ['', 'hello', '{"format":"salvor-pg-parent","version":3,"pages":null}\n\0\0\0\0']) {
      writeFileSync(file, text)
      expect(() => new ParentFile(file)).toThrow(ParentUnknown)
    }
  })

  test('of a chain that an older Salvor began are GMACs, and go on as such', () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'digests')
    const writer = new DigestsWriter(file, { algorithm: 'gmac', key })
    writer.file('base/5/1', 40)
    const pages = randomBytes(40 * PAGE)
    writer.pages(pages)
    writer.manifest(Buffer.from('manifest'))
    writer.close()
    const head = `{"format":"salvor-pg-parent","version":1,"pages":{"page_size":8192,"digest_bytes":8,"key":"${key.toString('hex')}"}}`
    expect(readFileSync(file, 'latin1').split('\n')[0]).toBe(head)
    using parent = new ParentFile(file)
    expect(parent.digesting).toEqual({ algorithm: 'gmac', key })
    const plainly = (page: Buffer): Buffer => {
      const gmac = createCipheriv('aes-128-gcm', key, Buffer.alloc(12))
      gmac.setAAD(page).final()
      return gmac.getAuthTag().subarray(0, 8)
    }
    const wanted = Array.from({ length: 40 }, (_, n) => plainly(pages.subarray(n * PAGE, (n + 1) * PAGE)))
    expect(parent.digestsOf('base/5/1')!.bytes.equals(Buffer.concat(wanted))).toBe(true)
  })

  test('find a million names in little memory', () => {
    const table = new NameTable()
    const name = (i: number) => `base/16384/${i}`
    for (let i = 0; i < 300_000; i++) table.add(name(i), i)
    for (let i = 0; i < 300_000; i += 1013) expect(table.find(name(i), (value) => value === i)).toBe(i)
    let asked = 0
    expect(table.find(name(300_001), () => (asked++, false))).toBe(null)
    expect(asked).toBeLessThan(3)
  })
})

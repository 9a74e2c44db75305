import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeManifest } from '../combine/chain-manifest.ts'
import { ScratchTable } from '../combine/scratch-table.ts'
import { DigestsWriter } from '../incremental/digests-writer.ts'
import { DIGEST_BYTES, KEY_BYTES } from '../incremental/page-digest.ts'
import { ParentFile } from '../incremental/parent-file.ts'
import { compareWithManifest } from './compare.ts'
import { ManifestWriter } from './manifest-writer.ts'

// A process for each thing that is kept of a cluster's files, so that its memory can be measured: for so many of them.

const [what, folder, many] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const never = new AbortController().signal
const name = (i: number): string => `base/${5 + (i % 7)}/${16_384 + i}`
const file = (path: string): string => join(folder, `${what}.${path}`)

const SHOWN: Readonly<Record<string, () => number | Promise<number>>> = {
  manifest: () => compared(0),
  // All files are out of place: half of them were unpacked before the others.
  order: () => compared(many >> 1),
  parent,
  table,
}

async function compared(first: number): Promise<number> {
  const writer = new ManifestWriter()
  writeFileSync(file('newest'), `${writer.head(18, '7575')}${writer.tail([{ timeline: 1, start: '0/1', end: '0/2' }])}`)
  writeJournal(file('journal'), 0)
  writeJournal(file('found'), first)
  const label = { start: '', timeline: 1, from: null }
  const newest = { label, labelText: '', systemId: '7575', manifest: file('newest') }
  await writeManifest(file('manifest'), newest, { journal: file('journal'), major: 18, mtime: 0 }, never)
  return (await compareWithManifest(file('manifest'), file('found'), never)).files
}

function writeJournal(journal: string, first: number): void {
  let lines = ''
  for (let i = 0; i < many; i++) {
    lines += `${JSON.stringify([name((i + first) % many), 8192, '00000000'])}\n`
    if (lines.length < 65_536 && i < many - 1) continue
    appendFileSync(journal, lines)
    lines = ''
  }
}

function parent(): number {
  const digests = new DigestsWriter(file('digests'), { algorithm: 'nh128', key: Buffer.alloc(KEY_BYTES) })
  for (let i = 0; i < many; i++) {
    digests.file(name(i), 1)
    digests.digests(Buffer.alloc(DIGEST_BYTES))
  }
  digests.manifest(Buffer.from('{}'))
  digests.close()
  using known = new ParentFile(file('digests'))
  return known.digestsOf(name(many - 1))?.bytes.length === DIGEST_BYTES ? many : 0
}

function table(): number {
  using waiting = new ScratchTable(file('table'))
  for (let i = 0; i < many; i++) waiting.add(name(i), 1, Uint32Array.of())
  return waiting.waiting
}

const before = process.memoryUsage().rss
const files = await SHOWN[what]()
console.log(JSON.stringify({ files, grown: Math.round(process.resourceUsage().maxRSS / 1024 - before / 1024 / 1024) }))

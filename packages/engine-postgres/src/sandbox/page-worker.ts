import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { judgePage } from './page-checksum.ts'

export interface PageWork {
  readonly root: string
  /** Byte strings below the root. */
  readonly files: readonly string[]
  readonly blockSize: number
  readonly blocksPerSegment: number
}

export interface PageReport {
  readonly pages: number
  readonly bad: number
  /** The first file with a bad page. */
  readonly firstBad: string | null
}

const { root, files, blockSize, blocksPerSegment } = workerData as PageWork
const PAGES_AT_ONCE = 128
const buffer = new Uint8Array(PAGES_AT_ONCE * blockSize)
const words = new Int32Array(buffer.buffer)
const report = { pages: 0, bad: 0, firstBad: null as string | null }

for (const name of files) {
  const segment = Number(/\.(\d+)$/.exec(name)?.[1] ?? 0)
  if (verify(name, segment * blocksPerSegment) > 0) report.firstBad ??= name
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort!.postMessage(report satisfies PageReport)

/** Counts the bad pages of one file; a page that is cut short is one. */
function verify(name: string, firstBlock: number): number {
  const before = report.bad
  const file = openSync(Buffer.from(`${root}/${name}`, 'utf8'), 'r')
  let block = firstBlock
  for (let filled; (filled = readFull(file)) > 0;) {
    for (let at = 0; at + blockSize <= filled; at += blockSize, block++) {
      report.pages++
      if (judgePage(words, at / 4, blockSize / 4, block) === 'bad') report.bad++
    }
    if (filled % blockSize !== 0) report.bad++
  }
  closeSync(file)
  return report.bad - before
}

function readFull(file: number): number {
  let filled = 0
  for (let count; filled < buffer.length && (count = readSync(file, buffer, filled, buffer.length - filled, null)) > 0;)
    filled += count
  return filled
}

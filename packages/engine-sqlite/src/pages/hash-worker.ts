import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { HashRange, HashReply, HashWork } from './hash-messages.ts'
import { digestBytes, pageDigester } from './page-digester.ts'

/** The body of one hashing thread: ranges of whole pages in, a digest for each page out. It reads, and opens nothing. */
const { fd, page_size, zeros, ...digesting } = workerData as HashWork
const digester = pageDigester(digesting, page_size)
const { piece } = digester
const digest_bytes = digestBytes(digesting)

function digestsOf({ offset, length }: HashRange): Buffer {
  const digests = Buffer.alloc((length / page_size) * digest_bytes)
  for (let at = 0; at < length; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, length - at))
    readExactly(part, offset + at)
    digests.set(digester.digest(part.length), (at / page_size) * digest_bytes)
  }
  return digests
}

/** Where nothing is ever stored, there are zeros, whatever lies in the file. */
function readExactly(into: Buffer, offset: number): void {
  for (let done = 0; done < into.length;) {
    const count = readSync(fd, into, done, into.length - done, offset + done)
    if (count === 0) throw Object.assign(new Error('the file ends early'), { code: 'SHORT' })
    done += count
  }
  for (const range of zeros) {
    const from = Math.max(0, range.offset - offset)
    const to = Math.min(into.length, range.offset + range.length - offset)
    if (from < to) into.fill(0, from, to)
  }
}

parentPort!.on('message', (range: HashRange) => {
  let reply: HashReply
  try {
    reply = { digests: digestsOf(range), failure: null }
  } catch (error) {
    reply = { digests: Buffer.alloc(0), failure: (error as NodeJS.ErrnoException).code ?? 'unknown' }
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort!.postMessage(reply)
})

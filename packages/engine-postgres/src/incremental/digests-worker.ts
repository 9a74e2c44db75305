import { parentPort, workerData } from 'node:worker_threads'
import { DigestsWriter } from './digests-writer.ts'

export interface DigestsWork {
  readonly file: string
  readonly key: Uint8Array
}

/** What a slot of bytes holds: pages of files, in order, or a part of the manifest. Null: the end. */
export type DigestsBatch = {
  readonly slot: SharedArrayBuffer
  readonly length: number
  readonly files: readonly DigestsPart[] | null
} | null

/** `begins`: a file of so many pages; null: pages of the file before. */
export interface DigestsPart {
  readonly begins: { readonly name: string; readonly pages: number } | null
  readonly bytes: number
}

const { file, key } = workerData as DigestsWork
const writer = new DigestsWriter(file, key)

parentPort!.on('message', (batch: DigestsBatch) => {
  if (batch === null) {
    writer.close()
    parentPort!.close()
    return
  }
  const bytes = new Uint8Array(batch.slot, 0, batch.length)
  if (batch.files === null) writer.manifest(bytes)
  else take(bytes, batch.files)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort!.postMessage(batch.slot)
})

function take(bytes: Uint8Array, files: readonly DigestsPart[]): void {
  let at = 0
  for (const { begins, bytes: length } of files) {
    if (begins) writer.file(begins.name, begins.pages)
    writer.pages(bytes.subarray(at, at + length))
    at += length
  }
}

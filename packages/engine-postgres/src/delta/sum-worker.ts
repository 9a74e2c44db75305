import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32c, crcHex } from '../data-folder/crc32c.ts'

// Tells of each file of a batch whether it is there with that size and CRC-32C, as a plain file that no other name leads to.

type Wanted = readonly [name: string, size: number, crc: string]

const { root } = workerData as { root: Uint8Array }
const buffer = new Uint8Array(1024 * 1024)
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

parentPort!.on('message', (batch: readonly Wanted[] | null) => {
  if (batch === null) parentPort!.close()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  else parentPort!.postMessage(batch.map((wanted) => isThere(wanted)))
})

/** A file that cannot be read is not there: it is written anew. */
function isThere([name, size, crc]: Wanted): boolean {
  let file: number | null = null
  try {
    file = openSync(Buffer.concat([root, Buffer.from(name, 'latin1')]), FLAGS)
    const found = fstatSync(file)
    if (!found.isFile() || found.size !== size || found.nlink !== 1) return false
    let sum = 0
    for (let count; (count = readSync(file, buffer)) > 0;) sum = crc32c(buffer.subarray(0, count), sum)
    return crcHex(sum) === crc
  } catch {
    return false
  } finally {
    if (file !== null) closeSync(file)
  }
}

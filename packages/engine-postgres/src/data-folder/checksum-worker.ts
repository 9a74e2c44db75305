import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32c } from './crc32c.ts'
import { Journal } from './journal.ts'

// Reads each file back as it was written, and puts it into the journal.

const { root, journal: path } = workerData as { root: Uint8Array; journal: string }
const journal = new Journal(path)
const buffer = new Uint8Array(1024 * 1024)

parentPort!.on('message', (name: string | null) => {
  if (name === null) {
    journal.flush()
    journal[Symbol.dispose]()
    parentPort!.close()
    return
  }
  const file = openSync(Buffer.concat([root, Buffer.from(name, 'latin1')]), 'r')
  let size = 0
  let crc = 0
  for (let count; (count = readSync(file, buffer)) > 0; size += count) crc = crc32c(buffer.subarray(0, count), crc)
  closeSync(file)
  journal.add(name, size, crc)
})

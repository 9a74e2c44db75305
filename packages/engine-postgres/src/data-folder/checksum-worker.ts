import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32c, crcHex } from './crc32c.ts'
import { Journal, type SummedFile } from './journal.ts'

// Reads each file back as it was written, and puts it into the journal. What is summed already comes as its line.

interface Setup {
  readonly root: Uint8Array
  readonly journal: string
  readonly aside: { readonly name: string; readonly path: Uint8Array } | null
}

const { root, journal: path, aside } = workerData as Setup
const journal = new Journal(path, true)
const buffer = new Uint8Array(1024 * 1024)

parentPort!.on('message', (told: string | readonly SummedFile[] | null) => {
  if (told !== null) {
    for (const file of typeof told === 'string' ? [[told, ...summed(told)] as const] : told) journal.add(file)
    return
  }
  journal.end()
  parentPort!.close()
})

function summed(name: string): [size: number, crc: string] {
  const path = name === aside?.name ? Buffer.from(aside.path) : Buffer.concat([root, Buffer.from(name, 'latin1')])
  const file = openSync(path, 'r')
  let size = 0
  let crc = 0
  for (let count; (count = readSync(file, buffer)) > 0; size += count) crc = crc32c(buffer.subarray(0, count), crc)
  closeSync(file)
  return [size, crcHex(crc)]
}

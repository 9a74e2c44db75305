import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32c, crcHex } from './crc32c.ts'

// Reads each file back as it was written, and writes one journal line per file: [name, size, CRC-32C].

const { root, journal } = workerData as { root: Uint8Array; journal: string }
const out = openSync(journal, 'wx', 0o600)
const buffer = new Uint8Array(1024 * 1024)
let lines = ''

parentPort!.on('message', (name: string | null) => {
  if (name !== null) {
    const file = openSync(Buffer.concat([root, Buffer.from(name, 'latin1')]), 'r')
    let size = 0
    let crc = 0
    for (let count; (count = readSync(file, buffer)) > 0; size += count) crc = crc32c(buffer.subarray(0, count), crc)
    closeSync(file)
    lines += `${JSON.stringify([name, size, crcHex(crc)])}\n`
  }
  if (lines.length > 65_536 || name === null) {
    writeSync(out, lines)
    lines = ''
  }
  if (name === null) {
    closeSync(out)
    parentPort!.close()
  }
})

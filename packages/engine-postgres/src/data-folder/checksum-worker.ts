import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32c, crcHex } from './crc32c.ts'

// Reads each file back as it was written, and writes one journal line per file: [name, size, CRC-32C]. Lines that are known come as such.

interface Setup {
  readonly root: Uint8Array
  readonly journal: string
  readonly aside: { readonly name: string; readonly path: Uint8Array } | null
}

const { root, journal, aside } = workerData as Setup
const out = openSync(journal, 'wx', 0o600)
const buffer = new Uint8Array(1024 * 1024)
let lines = ''

parentPort!.on('message', (told: string | readonly (readonly [string, number, string])[] | null) => {
  if (typeof told === 'string') lines += `${JSON.stringify([told, ...summed(told)])}\n`
  else for (const line of told ?? []) lines += `${JSON.stringify(line)}\n`
  if (lines.length > 65_536 || told === null) {
    writeSync(out, lines)
    lines = ''
  }
  if (told === null) {
    closeSync(out)
    parentPort!.close()
  }
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

import { createDecipheriv, hash } from 'node:crypto'
import fs from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { inPieces } from './encrypt.ts'
import type {
  CompressJob,
  DecodeJob,
  FilePart,
  FrameJob,
  FrameReply,
  JobFailure,
  WorkerReady,
  WorkerSetup,
} from './frame-jobs.ts'
import { copyInto } from './copy-into.ts'
import { FrameMemory } from './frame-jobs.ts'
import { freeBuffer } from './free-buffer.ts'
import { codecWorks, compressFrame, decompressFrame } from './frames.ts'
import { PageHash } from './page-hash.ts'
import { Sealer } from './sealer.ts'

/** The body of one compression thread: synchronous, one job after another, all state in the shared slots. */
const setup = workerData as WorkerSetup
const memory = new FrameMemory(setup.memory, setup.slotBytes)
const sealer = new Sealer(memory)
let pageHash: PageHash | null = null

class Failed extends Error {
  readonly kind: JobFailure

  constructor(kind: JobFailure, detail: string) {
    super(detail)
    this.kind = kind
  }
}

/** Runs `work`; what the system or a codec throws becomes a failure of that kind, named by its code only. */
function guarded<T>(kind: JobFailure, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Failed(kind, (error as NodeJS.ErrnoException).code ?? 'unknown')
  }
}

function readPart(part: FilePart, into: Uint8Array): void {
  let at = 0
  for (const [offset, length] of [...part.zeros, [part.length, 0] as const]) {
    readExactly(part.fd, into.subarray(at, offset), part.offset + at)
    into.fill(0, offset, offset + length)
    at = offset + length
  }
}

function readExactly(fd: number, into: Uint8Array, offset: number): void {
  for (let done = 0; done < into.length;) {
    const count = guarded('read', () => fs.readSync(fd, into, done, into.length - done, offset + done))
    if (count === 0) throw new Failed('short', `the file ends at byte ${offset + done}`)
    done += count
  }
}

function compress(job: CompressJob): number {
  const input = memory.input(job.slot)
  const length = job.filled + (job.file?.length ?? 0)
  if (job.file) readPart(job.file, input.subarray(job.filled, length))
  if (job.page_size !== undefined) digestPages(job.slot, length, job.page_size)
  const frame = guarded('compress', () => compressFrame(input.subarray(0, length), setup.compression))
  copyInto(memory.output(job.slot), frame)
  const { length: stored } = frame
  freeBuffer(frame)
  return stored
}

function digestPages(slot: number, length: number, page_size: number): void {
  const count = length / page_size
  pageHash ??= new PageHash(setup.memory)
  const [at, key, out] = [memory.input(slot), memory.pageKey, memory.digests(slot, count)].map(
    (area) => area.byteOffset,
  )
  pageHash.hash({ at: at!, count, page_size, key: key!, out: out! })
}

function decode(job: DecodeJob): number {
  const stored = memory.input(job.slot).subarray(0, job.stored)
  if (hash('sha256', stored, 'hex') !== job.sha256) throw new Failed('digest', '')
  const compressed = decrypted(job, stored)
  const plain = guarded('decode', () => decompressFrame(compressed, job.plain, setup.compression.algorithm))
  if (!job.into) copyInto(memory.output(job.slot), plain)
  else writeExactly(job.into.fd, plain, job.into.offset)
  freeBuffer(plain)
  return job.plain
}

function decrypted({ slot, cipher }: DecodeJob, stored: Uint8Array): Uint8Array {
  if (cipher === null) return stored
  const output = memory.output(slot)
  return cipher === 'opened' ? output.subarray(0, stored.length) : decrypt(stored, cipher, output)
}

/** AES-256-CTR from the frame's place in its GCM segment: counter block 2 is the segment's first. */
function decrypt(stored: Uint8Array, cipher: { iv: string; position: number }, into: Buffer): Uint8Array {
  const counter = Buffer.alloc(16)
  counter.write(cipher.iv, 'hex')
  counter.writeUInt32BE(2 + Math.floor(cipher.position / 16), 12)
  const decipher = createDecipheriv('aes-256-ctr', memory.key, counter)
  decipher.update(new Uint8Array(cipher.position % 16))
  inPieces(stored, (piece) => decipher.update(piece), into)
  return into.subarray(0, stored.length)
}

function writeExactly(fd: number, plain: Uint8Array, offset: number): void {
  for (let done = 0; done < plain.length;)
    done += guarded('write', () => fs.writeSync(fd, plain, done, plain.length - done, offset + done))
}

function perform(job: FrameJob): number {
  if (job.kind === 'compress') return compress(job)
  if (job.kind === 'decode') return decode(job)
  return guarded('seal', () => (job.kind === 'seal' ? sealer.seal(job) : sealer.close(job)))
}

function reply(job: FrameJob): FrameReply {
  try {
    return { slot: job.slot, length: perform(job), failure: null }
  } catch (error) {
    const kind = error instanceof Failed ? error.kind : 'decode'
    return { slot: job.slot, length: 0, failure: { kind, detail: (error as Error).message } }
  }
}

function send(message: FrameReply | WorkerReady): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort!.postMessage(message)
}

parentPort!.on('message', (job: FrameJob) => send(reply(job)))
send({ codecWorks: codecWorks() })

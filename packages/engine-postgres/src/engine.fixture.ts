import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ArtifactContent, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { Engine, EngineContext, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import { DEADLINES, type Deadlines, type Environment } from './environment.ts'
import { adapter } from './index.ts'

// Engines for tests: a private folder each, artifacts in plain files.

export const now = (): Instant => instantOf(BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)))
export const never = new AbortController().signal

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }

export interface TemporaryFolder extends Disposable {
  readonly path: string
}

const left = new Set<string>()
const remove = (path: string): void => {
  left.delete(path)
  rmSync(path, { recursive: true, force: true })
}
process.once('exit', () => left.forEach(remove))

/** A folder that is gone at the end of the block, or of the process (a filter that leaves no test of a block). */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'salvor-engine-postgres-'))
  left.add(path)
  return { path, [Symbol.dispose]: () => remove(path) }
}

export function contextIn(folder: string, more: Partial<EngineContext> = {}): EngineContext {
  const scratch_dir = mkdtempSync(join(folder, 'scratch-'))
  return { source: 'clinic', scratch_dir, log: quiet, now, progress() {}, server_programs: [], ...more }
}

export function engineOf(url: string, folder: string, more: Partial<EngineContext> = {}): Engine {
  return adapter.open(adapter.schema.parse({ url }), contextIn(folder, more))
}

/** With `password_file`. */
export function engineWithPasswordFile(url: string, password_file: string, folder: string): Engine {
  return adapter.open(adapter.schema.parse({ url, password_file }), contextIn(folder))
}

export function environmentOf(url: string, folder: string, deadlines: Partial<Deadlines> = {}): Environment {
  return {
    source: { url, passwordFile: null },
    context: contextIn(folder),
    deadlines: { ...DEADLINES, ...deadlines },
    maxWalHold: 10n ** 12n,
    incrementals: 'auto',
    versionGates: [],
  }
}

export interface FileSink extends SnapshotSink, Disposable {
  readonly file: string
  bytes: number
}

/** `onWrite` may wait: the engine must not go on before. */
export function fileSink(file: string, onWrite?: (bytes: number) => Promise<void> | undefined): FileSink {
  const fd = openSync(file, 'w', 0o600)
  const sink: FileSink = {
    file,
    bytes: 0,
    write(chunk) {
      writeSync(fd, chunk)
      sink.bytes += chunk.length
      return onWrite?.(sink.bytes)
    },
    writeFile: () => Promise.reject(new Error('not used by this engine')),
    [Symbol.dispose]: () => closeSync(fd),
  }
  return sink
}

export async function backUp(engine: Engine, file: string): Promise<SnapshotFacts> {
  using sink = fileSink(file)
  return await engine.snapshot(sink, never)
}

/** An artifact in a file; `chunk` bytes at a time. */
export function contentOf(file: string, chunk = 1024 * 1024): ArtifactContent {
  return {
    size: statSync(file).size,
    async *chunks(signal) {
      const fd = openSync(file, 'r')
      const buffer = new Uint8Array(chunk)
      try {
        for (let count; (count = readSync(fd, buffer)) > 0;) {
          signal.throwIfAborted()
          yield buffer.subarray(0, count)
        }
      } finally {
        closeSync(fd)
      }
    },
    writeTo: () => Promise.reject(new Error('not used by this engine')),
  }
}

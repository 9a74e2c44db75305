import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { claimSource } from '@salvor/backup-worker/claim-source'
import { storeWal } from '@salvor/backup-worker/wal/store-wal'
import { walStores } from '@salvor/policy/copies'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { WalSource } from '@salvor/shared/ports/wal'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { openForCommand } from '../context.ts'
import { bytes, done, type Answer } from '../output.ts'
import { Pushed, readyBeside } from '../wal/pushed.ts'
import { sourceOf, type WalOptions } from '../wal/source-of.ts'

const NO_STORE = 'add wal to the classes of a store under `copies`'
/** Files that one call stores beyond its own, and how many of them side by side. */
const AHEAD = 16
const AT_ONCE = 4

interface Push {
  readonly runtime: Runtime
  readonly settings: SourceSettings
  readonly wal: WalSource
  readonly store: string
}

/**
 * `salvor wal push PATH`, as archive_command calls it: done only when the file is durable in the first store of the rule and in
 * the catalog. The same file again is done, another one of its name is refused. Stores what the server will hand over next as
 * well; each of these is done at its own call, if its bytes are still the ones that were stored.
 */
export async function walPush(path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { settings, wal } = sourceOf(runtime, options.source)
  const source = settings.name
  const [store] = walStores(settings)
  if (store === undefined)
    throw new SalvorError('WAL_NOT_STREAMED', { source, reason: 'no store takes wal', fix: NO_STORE })
  const file = resolve(path)
  const name = basename(path)
  const pushed = new Pushed(join(runtime.deps.settings().data_dir, 'wal-pushed', encodeURIComponent(source), store))
  if (await pushed.take(name, file))
    return done(
      { source, store, name, ahead: true },
      [`${source}  ${name} in ${store}, stored by an earlier call`],
      EXIT.done,
    )
  const push = { runtime, settings, wal, store }
  const { size_bytes } = await storeFile(push, name, file, signal)
  await storeAhead(push, file, await readyBeside(file, name), pushed, signal)
  return done({ source, store, name, size_bytes }, [`${source}  ${name} in ${store}, ${bytes(size_bytes)}`], EXIT.done)
}

/** Stores one file, and gives the SHA-256 of what was stored. */
async function storeFile(
  { runtime: { deps }, settings, wal, store }: Push,
  name: string,
  file: string,
  signal: AbortSignal,
): Promise<WalFile & { readonly sha256: string }> {
  const source = settings.name
  const piece = await wal.describe(name, file)
  const end = await deps.catalog.walEnd(source)
  if (end !== null && piece.system_id !== null && end.system_id !== piece.system_id) {
    const why = `it is of another cluster (system identifier ${piece.system_id}, was ${end.system_id})`
    throw new SalvorError('WAL_CONFLICT', { source, name: piece.name, store, why })
  }
  if (!(await deps.catalog.hasClaim(source, store))) await claimSource(deps, source, store, signal)
  let sha256 = ''
  const content = async function* (): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(file)) {
      hash.update(chunk as Buffer)
      yield chunk as Buffer
    }
    sha256 = hash.digest('hex')
  }
  return { ...(await storeWal(deps, settings, store, { piece, content }, signal)), sha256 }
}

/** Never rejects: what fails here is told at its own call. */
async function storeAhead(
  push: Push,
  file: string,
  ready: readonly string[],
  pushed: Pushed,
  signal: AbortSignal,
): Promise<void> {
  const queue = ready.slice(0, AHEAD).values()
  let failed = false
  const work = async (): Promise<void> => {
    for (const name of queue) {
      if (failed || signal.aborted) return
      try {
        const { sha256 } = await storeFile(push, name, join(dirname(file), name), signal)
        await pushed.add(name, sha256)
      } catch {
        failed = true
      }
    }
  }
  await pushed.keepOnly(ready).catch(() => undefined)
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

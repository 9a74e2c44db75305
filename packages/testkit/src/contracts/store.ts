import type { Store } from '@salvor/shared/ports/store'
import { describe } from 'vitest'
import { accessContract } from './store-access.ts'
import { leftoversContract } from './store-leftovers.ts'
import { writeContract } from './store-writes.ts'

/** An empty place, opened. Disposing closes the stores and removes the place. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store
  /** The same place opened again, as another process would; for stores whose content outlives one opening. */
  readonly second?: Store
  /** Changes bytes of a stored object, its size kept, behind the store's back. */
  corrupt?(key: string): Promise<void>
  /** It keeps the parts of an upload until somebody drops them. */
  readonly keepsUploads?: boolean
  /** A fake that holds what is written in this process's memory. */
  readonly inMemory?: boolean
  /** Bytes that went over the wire so far: shows what a resumed upload sends. */
  sentBytes?(): number
}

export type OpenStore = () => Promise<StoreUnderTest>

/**
 * Every promise of the Store port, for a fake and for the real thing. A double that does not pass may not be used.
 * `open` is called anew for each test.
 */
export function storeContract(name: string, open: OpenStore): void {
  describe(`store contract: ${name}`, () => {
    writeContract(open)
    accessContract(open)
    leftoversContract(open)
  })
}

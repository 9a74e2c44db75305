import { describe } from 'vitest'
import { auditContract } from './catalog-audit.ts'
import { backupContract } from './catalog-backups.ts'
import { deliveryContract } from './catalog-delivery.ts'
import { figuresContract } from './catalog-figures.ts'
import { leaseContract } from './catalog-leases.ts'
import { pruneContract } from './catalog-prune.ts'
import { queueContract } from './catalog-queue.ts'
import { runContract } from './catalog-runs.ts'
import type { OpenCatalog } from './catalog-samples.ts'
import { sourceContract } from './catalog-sources.ts'
import { transactionContract } from './catalog-transactions.ts'
import { changesContract } from './catalog-changes.ts'
import { walContract } from './catalog-wal.ts'

export { type CatalogUnderTest, type OpenCatalog, sampleHolderAlive, testIds } from './catalog-samples.ts'

/**
 * Every promise of the Catalog port, for each database. `open` is called anew for each test; the catalog is opened with
 * `sampleHolderAlive`.
 */
export function catalogContract(name: string, open: OpenCatalog): void {
  describe(`catalog contract: ${name}`, () => {
    transactionContract(open)
    sourceContract(open)
    runContract(open)
    queueContract(open)
    deliveryContract(open)
    pruneContract(open)
    backupContract(open)
    figuresContract(open)
    leaseContract(open)
    auditContract(open)
    walContract(open)
    changesContract(open)
  })
}

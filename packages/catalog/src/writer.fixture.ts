import { writeSync } from 'node:fs'
import { completedEvent, sampleHolderAlive, testIds } from '@salvor/testkit/contracts/catalog-samples'
import { openCatalog } from './open-catalog.ts'

// A process of its own that opens the catalog in argv[2], prints its id, then writes transaction after transaction until
// it is killed; each has rows in four tables, and its name is printed once it was acknowledged. Stops after argv[3].

const [, , data_dir = '', count = '0'] = process.argv
const catalog = await openCatalog({ url: null, data_dir, ids: testIds(), holderAlive: sampleHolderAlive })
writeSync(1, `${catalog.id}\n`)
for (let index = 0; index < Number(count); index += 1) {
  const name = `w${process.pid}-${index}`
  await catalog.transaction({ service: 'backup-worker' }, async (tx) => {
    await tx.enqueue({ job: 'plan-tick', params: {}, source: name })
    await tx.recordClaim(name, 'local')
    await tx.publish({ ...completedEvent(), subject: name })
    await tx.audit({ actor: 'writer', action: 'write', object: name, outcome: 'done' })
  })
  writeSync(1, `${name}\n`)
}
await catalog.close()

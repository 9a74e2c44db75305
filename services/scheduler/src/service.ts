import { registerSources } from '@salvor/runtime/register-sources'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { checkStores } from './handlers/check-stores.ts'
import { planTick } from './handlers/plan-tick.ts'
import { queuesPage } from './queues-page.ts'

/** Knows when what is due, and nothing of how it is done. */
export const scheduler: ServiceDefinition = {
  name: 'scheduler',
  jobs: { 'plan-tick': planTick, 'check-stores': checkStores },
  subscriptions: {},
  http: queuesPage,
  async start(deps) {
    await registerSources(deps, 'scheduler')
    await deps.catalog.transaction({ service: 'scheduler' }, async (tx) => {
      await tx.enqueue({ job: 'plan-tick', params: {}, unique_key: 'plan-tick' })
      await tx.enqueue({ job: 'check-stores', params: {}, unique_key: 'check-stores' })
    })
  },
}

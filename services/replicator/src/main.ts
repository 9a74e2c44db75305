import { openCatalog } from '@salvor/catalog/open-catalog'
import { runMain } from '@salvor/runtime/run-main'
import { replicator } from './service.ts'

await runMain([replicator], openCatalog)

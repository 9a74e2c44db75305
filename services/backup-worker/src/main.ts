import { openCatalog } from '@salvor/catalog/open-catalog'
import { runMain } from '@salvor/runtime/run-main'
import { backupWorker } from './service.ts'

await runMain([backupWorker], openCatalog)

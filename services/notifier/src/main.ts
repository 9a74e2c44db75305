import { openCatalog } from '@salvor/catalog/open-catalog'
import { runMain } from '@salvor/runtime/run-main'
import { notifier } from './service.ts'

await runMain([notifier], openCatalog)

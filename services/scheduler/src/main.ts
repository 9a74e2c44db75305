import { openCatalog } from '@salvor/catalog/open-catalog'
import { runMain } from '@salvor/runtime/run-main'
import { scheduler } from './service.ts'

await runMain([scheduler], openCatalog)

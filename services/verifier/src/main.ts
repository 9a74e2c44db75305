import { openCatalog } from '@salvor/catalog/open-catalog'
import { runMain } from '@salvor/runtime/run-main'
import { verifier } from './service.ts'

await runMain([verifier], openCatalog)

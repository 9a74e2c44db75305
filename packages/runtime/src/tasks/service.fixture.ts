import { loadConfig } from '../config/load-config.ts'
import { fakeAdapters } from '../config/fake-adapters.fixture.ts'
import { createLog } from '../log.ts'
import { forkTasks } from '../task-process.ts'

/** A service with one task under way, to be killed: `<file> <way>`. */
const [, , file = '', way = ''] = process.argv
const config = await loadConfig(file, process.env, fakeAdapters())
const tasks = forkTasks({
  config: () => config,
  env: process.env,
  max_old_space_mb: 128,
  log: createLog({ level: 'error', secrets: () => [] }),
  main: new URL('./task-main.fixture.ts', import.meta.url),
})
const input = { store: way, manifest_key: 'k', manifest_sha256: null, level: 'checksum' } as const
await tasks.run('inspect', input, () => {}, new AbortController().signal)

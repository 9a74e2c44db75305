import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { pause } from './lease.ts'
import { fakeAdapters } from './config/fake-adapters.fixture.ts'
import { runServices } from './run-service.ts'
import { QUICK } from './service.fixture.ts'
import { service } from './world.fixture.ts'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'

/** A service process to be killed, stopped and continued: `<folder> <name of this process>`. */
const [, , folder = '', name = ''] = process.argv
const at = (file: string): string => join(folder, file)
const say = (file: string, line: string): void => appendFileSync(at(file), `${line}\n`)

const worker = service('backup-worker', {
  jobs: {
    'take-backup': {
      async handle(run, _deps, signal) {
        say('executions', `${run.id} ${name}`)
        // As long as the file is there, the work goes on: `hold` for everybody, `hold-<name>` for one.
        while (existsSync(at('hold')) || existsSync(at(`hold-${name}`))) {
          if (!(await pause(20, signal))) throw signal.reason
        }
        return { result: name, commit: async (tx) => void (await tx.openIncident(`${run.id}/${name}`, null, 'effect')) }
      },
    },
  },
  subscriptions: {
    async 'source.registered'(event) {
      say('heard', `${event.id} ${Date.now()}`)
      return async (tx) => void (await tx.openIncident(`heard/${event.id}`, null, 'effect'))
    },
  },
})

try {
  await runServices([worker], {
    config_file: at('salvor.yaml'),
    env: process.env,
    openCatalog,
    adapters: fakeAdapters(),
    timing: QUICK,
    onReady: ({ http_port }) => say(`ready-${name}`, String(http_port)),
  })
} catch (error) {
  process.stderr.write(`${asSalvorError(error).message}\n`)
  process.exitCode = asSalvorError(error).exit
}

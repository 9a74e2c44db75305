import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import type { OpenCatalog } from './open-runtime.ts'
import { runServices } from './run-service.ts'

/** What a service's main.ts does: runs it by `SALVOR_CONFIG` (or ./salvor.yaml), says once what stopped it, and sets the exit code. */
export async function runMain(definitions: readonly ServiceDefinition[], openCatalog: OpenCatalog): Promise<void> {
  process.umask(0o077)
  const { env } = process
  try {
    await runServices(definitions, { config_file: env['SALVOR_CONFIG'] ?? 'salvor.yaml', env, openCatalog })
  } catch (thrown) {
    const error = asSalvorError(thrown)
    process.stderr.write(`${JSON.stringify({ error: error.toFailure() })}\n`)
    process.exitCode = error.exit
  }
}

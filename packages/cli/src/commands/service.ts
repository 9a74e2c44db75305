import { openCatalog } from '@salvor/catalog/open-catalog'
import { runServices } from '@salvor/runtime/run-service'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { JOBS, type JobName } from '@salvor/shared/messages/jobs'
import type { GlobalOptions } from '../context.ts'
import { done, type Answer } from '../output.ts'
import { DEFINITIONS } from '../definitions.ts'

/** `salvor service NAME`: runs until it is told to stop. */
export async function service(
  name: string,
  wish: { jobs?: string; port?: number },
  options: GlobalOptions,
): Promise<Answer> {
  const definition = DEFINITIONS.find((one) => one.name === name)
  if (!definition) throw new SalvorError('USAGE', { reason: `No service is called ${name}`, command: 'service' })
  const jobs = wish.jobs?.split(',').map((job) => job.trim())
  const unknown = jobs?.find((job) => !(job in JOBS && job in definition.jobs))
  if (unknown !== undefined) {
    throw new SalvorError('USAGE', {
      reason: `${name} has no job ${unknown}; it has ${Object.keys(definition.jobs).join(', ')}`,
      command: 'service',
    })
  }
  await runServices([definition], {
    config_file: options.config,
    env: process.env,
    openCatalog,
    ...(jobs ? { jobs: jobs as JobName[] } : {}),
    ...(wish.port ? { http_port: wish.port } : {}),
  })
  return done({ service: name, stopped: true }, [])
}

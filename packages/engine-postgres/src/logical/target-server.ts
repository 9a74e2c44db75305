import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { parseServers, serviceOf } from '../connect/servers.ts'
import { splitUrl } from '../connect/url.ts'
import { DEADLINES, type Environment } from '../environment.ts'

/** A target that is a server, not a folder. */
export const isServerUrl = (target: string): boolean => /^postgres(?:ql)?:\/\//.test(target)

/** Refuses a URL that cannot be kept: targets are written into the catalog, events and the audit, so it holds no secret. */
export function assertServerUrl(target: string): void {
  const parts = splitUrl(target)
  const secret = parts?.password || parts?.options.get('password') || parts?.options.get('sslpassword')
  if (secret)
    throw usage(
      'the URL after --to holds a password; put it into ~/.pgpass, or name a file of that form: ?passfile=FILE',
    )
  const parsed = serviceOf(target) === null ? parseServers(target) : null
  if (parsed !== null && 'problem' in parsed) throw usage(`--to: ${parsed.problem}`)
}

export function targetEnvironment(context: EngineContext, url: string): Environment {
  assertServerUrl(url)
  return {
    source: { url, passwordFile: null },
    context,
    deadlines: DEADLINES,
    maxWalHold: 0n,
    incrementals: 'auto',
    versionGates: [],
  }
}

const usage = (reason: string): SalvorError => new SalvorError('USAGE', { reason, command: 'restore' })

import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Environment } from '../environment.ts'
import { loginFailure, shortReason } from '../failures.ts'
import { Link, type LinkMode, type LinkSettings } from '../protocol/link.ts'
import { LinkLost, ServerError } from '../protocol/server-error.ts'
import { whereIs, type Address } from './address.ts'
import { withPassword } from './password.ts'
import { parseServers, serviceOf, type Servers } from './servers.ts'
import { readService } from './service-file.ts'
import { misfit } from './session.ts'

/** libpq's name for what a replication connection is a connection to. */
const REPLICATION = 'replication'

interface Attempt {
  readonly address: Address
  readonly reason: string
}

/**
 * Connects to the first server of the source that answers and is what target_session_attrs asks for. A refused login ends
 * the search: the next server would refuse it, too. Files of passwords and services are read anew each time.
 */
export async function openLink(
  env: Environment,
  mode: LinkMode,
  signal: AbortSignal,
  settings: LinkSettings = {},
): Promise<Link> {
  const servers = await serversOf(env)
  const failed: Attempt[] = []
  const open = (address: Address): Promise<Link> => Link.open(address, mode, signal, settings)
  const found = await firstThatFits(env, servers, mode, open, failed, signal)
  if (found !== null) return found
  if (servers.wanted === 'prefer-standby') {
    const any = await firstThatFits(env, { ...servers, wanted: 'any' }, mode, open, [], signal)
    if (any !== null) return any
  }
  throw noServer(env, servers, failed)
}

/** A second connection to the very server of `link`. */
export async function openBeside(env: Environment, link: Link, mode: LinkMode, signal: AbortSignal): Promise<Link> {
  return await Link.open(await addressBeside(env, link, mode), mode, signal)
}

/** How the very server of `link` is reached once more, with the password that is valid now. */
export async function addressBeside(env: Environment, link: Link, mode: LinkMode, database?: string): Promise<Address> {
  const { passfile, addresses } = await serversOf(env)
  const { host, port } = link.address
  const address = addresses.find((other) => other.host === host && other.port === port) ?? link.address
  return await complete(env, database === undefined ? address : { ...address, database }, passfile, mode)
}

/** A connection to one server of the source, whatever it is. */
export async function openAt(
  env: Environment,
  address: Address,
  passfile: string | null,
  mode: LinkMode,
  signal: AbortSignal,
): Promise<Link> {
  return await Link.open(await complete(env, address, passfile, mode), mode, signal)
}

export async function serversOf({ source, context }: Pick<Environment, 'source' | 'context'>): Promise<Servers> {
  const name = serviceOf(source.url)
  const service = name === null ? undefined : await readService(context.source, name, context.environment ?? {})
  const servers = parseServers(source.url, service)
  if (!('problem' in servers)) return servers
  const key = `sources.${context.source}.url`
  throw new SalvorError('SECRET_MISSING', { key, what: `the service ${name ?? ''}`, reason: servers.problem })
}

async function complete(env: Environment, address: Address, passfile: string | null, mode: LinkMode): Promise<Address> {
  const { environment = {}, source } = env.context
  const places = {
    source,
    passwordFile: env.source.passwordFile,
    passfile: passfile ?? environment['PGPASSFILE'] ?? null,
    home: environment['HOME'] ?? null,
  }
  return await withPassword(address, places, mode === 'replication' ? REPLICATION : address.database)
}

async function firstThatFits(
  env: Environment,
  servers: Servers,
  mode: LinkMode,
  open: (address: Address) => Promise<Link>,
  failed: Attempt[],
  signal: AbortSignal,
): Promise<Link | null> {
  for (const place of servers.addresses) {
    const address = await complete(env, place, servers.passfile, mode)
    try {
      const link = await open(address)
      const reason = await misfitOf(link, servers, signal)
      if (reason === null) return link
      failed.push({ address, reason })
    } catch (error) {
      signal.throwIfAborted()
      if (servers.addresses.length === 1 || !mayGoOn(error)) throw loginFailure(error, env.context.source, address)
      failed.push({ address, reason: shortReason(error) })
    }
  }
  return null
}

async function misfitOf(link: Link, { wanted }: Servers, signal: AbortSignal): Promise<string | null> {
  try {
    const reason = await misfit(link, wanted, signal)
    if (reason !== null) await link[Symbol.asyncDispose]()
    return reason
  } catch (error) {
    link.close()
    throw error
  }
}

/** The server is not there, or not yet (57P03: it starts up). */
const mayGoOn = (error: unknown): error is LinkLost | ServerError =>
  error instanceof LinkLost || (error instanceof ServerError && error.sqlState === '57P03')

function noServer({ context }: Environment, { wanted }: Servers, failed: readonly Attempt[]): SalvorError {
  const [first] = failed
  const reasons = failed.map(({ address, reason }) => `${whereIs(address)}: ${reason}`)
  const where = failed.length === 1 ? whereIs(first!.address) : `any of ${failed.length} servers`
  const asked = wanted === 'any' ? '' : ` (target_session_attrs=${wanted})`
  return new SalvorError('SOURCE_UNREACHABLE', {
    source: context.source,
    where,
    reason: `${reasons.join('; ')}${asked}`,
  })
}

import { isLocal, SSL_MODES, type Address } from './address.ts'
import { splitUrl, type UrlParts } from './url.ts'

export const SESSION_ATTRS = ['any', 'primary', 'standby', 'prefer-standby', 'read-write', 'read-only'] as const
export type SessionAttrs = (typeof SESSION_ATTRS)[number]

/** Servers that stand for one source, tried in their order. */
export interface Servers {
  readonly addresses: readonly Address[]
  /** Which of them will do, as libpq means it. */
  readonly wanted: SessionAttrs
  /** A file of passwords that the URL names instead of the user's own. */
  readonly passfile: string | null
}

export interface Problem {
  readonly problem: string
}

const KNOWN = new Set(
  `host port user password passfile dbname service sslmode sslrootcert sslcert sslkey sslpassword channel_binding
  connect_timeout require_auth application_name target_session_attrs`.split(/\s+/),
)
const FORM = 'not a URL of the form postgres://user:password@host:port/database'

/** Name of the service that the URL refers to. */
export const serviceOf = (url: string): string | null => splitUrl(url)?.options.get('service') || null

/**
 * Reads a connection URL; `service` is what a service file says, and counts where the URL is silent. An option that is
 * not known is a problem, since a mistyped `sslmode` must not pass unseen.
 */
export function parseServers(url: string, service: ReadonlyMap<string, string> = new Map()): Servers | Problem {
  const parts = splitUrl(url)
  if (parts === null) return { problem: FORM }
  const unknown = [...parts.options.keys(), ...service.keys()].find((key) => !KNOWN.has(key))
  if (unknown !== undefined) return { problem: `unknown option ${unknown} in the URL` }
  const option = (name: string): string | null =>
    parts.options.get(name) || ofUrl(parts, name) || service.get(name) || null
  const places = placesOf(parts, option)
  if ('problem' in places) return places
  const user = option('user')
  if (user === null) return { problem: 'the URL names no user' }
  const login = loginOf(option, user)
  if ('problem' in login) return login
  const wanted = option('target_session_attrs') ?? 'any'
  if (!isOneOf(SESSION_ATTRS, wanted)) {
    return { problem: `target_session_attrs must be one of ${SESSION_ATTRS.join(', ')}` }
  }
  const mode = option('sslmode')
  if (mode !== null && !isOneOf(SSL_MODES, mode)) return { problem: `sslmode must be one of ${SSL_MODES.join(', ')}` }
  const addresses = places.map(({ host, port }) => {
    const sslmode = mode ?? (isLocal(host) ? 'prefer' : 'verify-full')
    return { ...login, host, port, sslmode }
  })
  return { addresses, wanted, passfile: option('passfile') }
}

/** What a URL says outside of its options, under the options' names. */
function ofUrl({ user, password, database }: UrlParts, name: string): string | undefined {
  const said: Readonly<Record<string, string>> = { user, password, dbname: database }
  return said[name]
}

type Option = (name: string) => string | null

function placesOf(parts: UrlParts, option: Option): { host: string; port: number }[] | Problem {
  const ofOptions = (option('host') ?? '').split(',')
  const named =
    parts.options.has('host') || parts.hosts.length === 0 ? ofOptions.map((host) => ({ host, port: '' })) : parts.hosts
  const ports = option('port')?.split(',') ?? []
  if (ports.length > 1 && ports.length !== named.length) {
    return { problem: `the URL names ${named.length} hosts and ${ports.length} ports` }
  }
  const places = named.map(({ host, port }, i) => ({ host, port: Number(port || ports[i] || ports[0] || '5432') }))
  if (places.some(({ host }) => host === '')) return { problem: 'the URL names no host' }
  const bad = places.some(({ port }) => !Number.isInteger(port) || port < 1 || port > 65535)
  return bad ? { problem: 'the port must be a number up to 65535' } : places
}

type Login = Omit<Address, 'host' | 'port' | 'sslmode'>

function loginOf(option: Option, user: string): Login | Problem {
  const channelBinding = option('channel_binding') ?? 'prefer'
  if (!isOneOf(['disable', 'prefer', 'require'], channelBinding)) {
    return { problem: 'channel_binding must be disable, prefer or require' }
  }
  const seconds = Number(option('connect_timeout') ?? '15')
  if (!(seconds > 0)) return { problem: 'connect_timeout must be a number of seconds' }
  return {
    user,
    password: option('password'),
    database: option('dbname') ?? 'postgres',
    sslrootcert: option('sslrootcert'),
    sslcert: option('sslcert'),
    sslkey: option('sslkey'),
    sslpassword: option('sslpassword'),
    channelBinding,
    connectSeconds: Math.max(2, seconds),
    allowCleartext: option('require_auth') === 'password',
  }
}

function isOneOf<T extends string>(choices: readonly T[], value: string): value is T {
  return (choices as readonly string[]).includes(value)
}

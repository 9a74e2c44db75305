import { isIP } from 'node:net'

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

/** Where a server is, who logs in, and how much TLS must prove. Holds a password: never log it, never put it in a message. */
export interface Address {
  /** A host name, an IP address, or the folder of a Unix socket (begins with `/`). */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | null
  readonly database: string
  readonly sslmode: SslMode
  /** A PEM file, or `system`; null: the authorities that Node brings and those of the system. */
  readonly sslrootcert: string | null
  readonly sslcert: string | null
  readonly sslkey: string | null
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  readonly connectSeconds: number
  /** A password may be sent as it is, inside a TLS link whose server is verified. */
  readonly allowCleartext: boolean
}

const KNOWN = new Set(
  'host port user password dbname sslmode sslrootcert sslcert sslkey channel_binding connect_timeout require_auth application_name'.split(
    ' ',
  ),
)

/** Reads a connection URL; an option that is not known is a problem, since a mistyped `sslmode` must not pass unseen. */
export function parseAddress(url: string): Address | { readonly problem: string } {
  const parts = split(url)
  if (parts === null) return { problem: 'not a URL of the form postgres://user:password@host:port/database' }
  const { base, options } = parts
  const unknown = [...options.keys()].find((key) => !KNOWN.has(key))
  if (unknown !== undefined) return { problem: `unknown option ${unknown} in the URL` }
  const option = (name: string): string | null => options.get(name) || null
  const host = option('host') ?? base.host
  const user = option('user') ?? base.user
  if (host === '') return { problem: 'the URL names no host' }
  if (host.includes(',')) return { problem: 'the URL names several hosts; name one' }
  if (user === '') return { problem: 'the URL names no user' }
  const sslmode = option('sslmode') ?? (isLocal(host) ? 'prefer' : 'verify-full')
  if (!isOneOf(SSL_MODES, sslmode)) return { problem: `sslmode must be one of ${SSL_MODES.join(', ')}` }
  const binding = option('channel_binding') ?? 'prefer'
  if (!isOneOf(['disable', 'prefer', 'require'], binding)) {
    return { problem: 'channel_binding must be disable, prefer or require' }
  }
  const port = Number(option('port') ?? (base.port || '5432'))
  if (!Number.isInteger(port) || port < 1 || port > 65535) return { problem: 'the port must be a number up to 65535' }
  const seconds = Number(option('connect_timeout') ?? '15')
  if (!(seconds > 0)) return { problem: 'connect_timeout must be a number of seconds' }
  return {
    host,
    port,
    user,
    password: option('password') ?? (base.password || null),
    database: option('dbname') ?? (base.database || 'postgres'),
    sslmode,
    sslrootcert: option('sslrootcert'),
    sslcert: option('sslcert'),
    sslkey: option('sslkey'),
    channelBinding: binding,
    connectSeconds: Math.max(2, seconds),
    allowCleartext: option('require_auth') === 'password',
  }
}

interface Parts {
  readonly base: { host: string; port: string; user: string; password: string; database: string }
  readonly options: URLSearchParams
}

const NOBODY = 'no-host.invalid'

function split(text: string): Parts | null {
  // WHATWG URLs do not allow a user without a host, as `postgres://user@/db?host=/var/run/postgresql` has it.
  const url = URL.parse(text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, `$1${NOBODY}`))
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) return null
  try {
    const host = decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1'))
    const base = {
      host: host === NOBODY ? '' : host,
      port: url.port,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
    }
    return { base, options: url.searchParams }
  } catch {
    return null
  }
}

/** Bytes to and from such a host do not leave this machine. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** For people and messages: where, without a password. */
export function whereIs(address: Address): string {
  if (address.host.startsWith('/')) return `${address.host}:${address.port}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

function isOneOf<T extends string>(choices: readonly T[], value: string): value is T {
  return (choices as readonly string[]).includes(value)
}

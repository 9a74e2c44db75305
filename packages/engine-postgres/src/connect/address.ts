import { isIP } from 'node:net'

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

/** Where one server is, who logs in, and how much TLS must prove. Holds a password: never log it, never put it in a message. */
export interface Address {
  /** A host name, an IP address, or the folder of a Unix socket (begins with `/`). */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | null
  /** Why there is no password, for people; null: nobody gave one. */
  readonly passwordLack?: string | null
  readonly database: string
  readonly sslmode: SslMode
  /** A PEM file, or `system`; null: the authorities that Node brings and those of the system. */
  readonly sslrootcert: string | null
  readonly sslcert: string | null
  readonly sslkey: string | null
  /** Opens an encrypted sslkey. */
  readonly sslpassword?: string | null
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  readonly connectSeconds: number
  /** A password may be sent as it is, inside a TLS link whose server is verified. */
  readonly allowCleartext: boolean
}

/** Bytes to and from such a host do not leave this machine. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** For people and messages: where, without a password. */
export function whereIs({ host, port }: Pick<Address, 'host' | 'port'>): string {
  if (host.startsWith('/')) return `${host}:${port}`
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Address } from '../connect/address.ts'
import { authorities } from '../protocol/tls.ts'
import type { ClientProgram } from './programs.ts'

const SERVICE = 'salvor'
/** A network that is gone is noticed after about two minutes, though a dump may be silent for longer. */
const KEEP_ALIVE = { keepalives: '1', keepalives_idle: '60', keepalives_interval: '15', keepalives_count: '4' }

/** How PostgreSQL's programs reach a server: by files that only this user can read. Nothing secret is in argv or the environment. */
export interface ClientFiles {
  /** The whole environment of such a program. */
  readonly env: Readonly<Record<string, string>>
  /** A connection string for its argv: names the service and the database. */
  readonly conninfo: (database: string) => string
}

/** Writes them into `folder`, a private one that the caller removes. */
export async function clientFiles(
  folder: string,
  address: Address,
  program: ClientProgram,
  source: string,
): Promise<ClientFiles> {
  const roots = join(folder, 'authorities.pem')
  const own = (text: string, name: string) => writeFile(join(folder, name), text, { mode: 0o600 })
  const options = { ...optionsOf(address, program, roots), ...KEEP_ALIVE }
  const lines = Object.entries(options).map(([key, value]) => `${key}=${oneLine(value, key, source)}`)
  await own(`[${SERVICE}]\n${lines.join('\n')}\n`, 'pg_service.conf')
  await own(
    address.password === null ? '' : `*:*:*:*:${passfileText(oneLine(address.password, 'password', source))}\n`,
    'passfile',
  )
  if (verifies(address)) await own((await authorities(address.sslrootcert)).join('\n'), 'authorities.pem')
  return {
    env: {
      PATH: '/usr/bin:/bin',
      LC_ALL: 'C',
      HOME: folder,
      PGSYSCONFDIR: folder,
      PGSERVICEFILE: join(folder, 'pg_service.conf'),
      PGPASSFILE: join(folder, 'passfile'),
    },
    conninfo: (database) => `service=${SERVICE} dbname=${quotedValue(database)}`,
  }
}

const verifies = ({ sslmode, sslrootcert, host }: Address): boolean =>
  !host.startsWith('/') && (sslmode === 'verify-ca' || sslmode === 'verify-full' || sslrootcert !== null)

function optionsOf(address: Address, program: ClientProgram, roots: string): Record<string, string> {
  const { host, port, user, sslmode, sslcert, sslkey, sslpassword, channelBinding, connectSeconds } = address
  return {
    host,
    port: String(port),
    user,
    application_name: 'salvor',
    connect_timeout: String(Math.ceil(connectSeconds)),
    sslmode: host.startsWith('/') ? 'disable' : sslmode,
    // Where nothing is verified it names no file: one of the user's own would change what the mode means.
    sslrootcert: roots,
    ...(sslcert === null ? {} : { sslcert }),
    ...(sslkey === null ? {} : { sslkey }),
    ...(sslpassword ? { sslpassword } : {}),
    channel_binding: channelBinding,
    // A ticket of Kerberos that lies on this machine would come before TLS, and before what it proves.
    gssencmode: 'disable',
    // Older programs cannot be told; Salvor's own login to the same server came first, and refuses these.
    ...(program.major >= 16
      ? { require_auth: address.allowCleartext ? 'scram-sha-256,password,none' : 'scram-sha-256,none' }
      : {}),
  }
}

function oneLine(value: string, key: string, source: string): string {
  if (!/[\r\n\0]/.test(value)) return value
  const what = `PostgreSQL's programs take no line break in ${key}`
  throw new SalvorError('SOURCE_UNSUPPORTED', { source, what, fix: `choose another ${key}` })
}

const passfileText = (password: string): string => password.replace(/[\\:]/g, '\\$&')
const quotedValue = (value: string): string => `'${value.replace(/[\\']/g, '\\$&')}'`

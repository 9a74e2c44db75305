import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { whereIs, type Address } from './connect/address.ts'
import { ManifestInvalid } from './base-backup/manifest-spool.ts'
import { ScramRefused } from './protocol/scram.ts'
import { LinkLost, ServerError } from './protocol/server-error.ts'
import { LoginRefused } from './protocol/startup.ts'
import { TlsRefused } from './protocol/tls.ts'
import { TarInvalid } from './tar/header.ts'

/** What a failed login means to the person who set the source up. */
export function loginFailure(error: unknown, source: string, address: Address): unknown {
  const facts = { source, where: whereIs(address), user: address.user }
  if (error instanceof TlsRefused)
    return new SalvorError('SOURCE_TLS_FAILED', { ...facts, reason: error.message }, error)
  if (error instanceof LoginRefused || error instanceof ScramRefused) {
    return new SalvorError('SOURCE_AUTH_FAILED', { ...facts, reason: error.message }, error)
  }
  if (error instanceof LinkLost) {
    return new SalvorError('SOURCE_UNREACHABLE', { ...facts, reason: networkReason(error.message) }, error)
  }
  if (!(error instanceof ServerError)) return error
  switch (error.sqlState) {
    case '28P01':
    case '28000':
      return new SalvorError('SOURCE_AUTH_FAILED', { ...facts, reason: authReason(error, address) }, error)
    case '42501':
      return privilegeMissing(error, source, address)
    case '53300':
      return noWalSenders(error, source) ?? unreachable(error, facts)
    default:
      return unreachable(error, facts)
  }
}

const unreachable = (error: ServerError, facts: { source: string; where: string }): SalvorError =>
  new SalvorError('SOURCE_UNREACHABLE', { ...facts, reason: said(error) }, error)

/** The message is translated by the server's locale; the number in it is not. */
function noWalSenders(error: ServerError, source: string): SalvorError | null {
  if (!/max_wal_senders.*\b0\)?/.test(error.message)) return null
  const facts = { source, what: 'the server allows no backups: max_wal_senders is 0' }
  return new SalvorError(
    'SOURCE_UNSUPPORTED',
    { ...facts, fix: "ALTER SYSTEM SET wal_level = 'replica'; ALTER SYSTEM SET max_wal_senders = 10; then restart it" },
    error,
  )
}

function authReason(error: ServerError, address: Address): string {
  if (error.sqlState === '28P01') return 'wrong password, or the role has none'
  const line = `hostssl replication ${quoted(address.user)} <address of this machine> scram-sha-256`
  return `${said(error)}; pg_hba.conf needs a line like: ${address.host.startsWith('/') ? `local replication ${quoted(address.user)} peer` : line}`
}

export function privilegeMissing(error: ServerError, source: string, { user }: Address): SalvorError {
  const fix = `run on the server: ALTER ROLE ${quoted(user)} WITH LOGIN REPLICATION;`
  return new SalvorError('SOURCE_PRIVILEGE_MISSING', { source, user, what: 'take base backups', fix }, error)
}

export const quoted = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no way to that host',
  ENETUNREACH: 'no way to that network',
  ENOENT: 'there is no such socket',
  EACCES: 'the socket may not be opened',
}

/** A few words on why one of several servers was passed over. */
export const shortReason = (error: LinkLost | ServerError): string =>
  error instanceof ServerError ? said(error) : networkReason(error.message)

const networkReason = (message: string): string => NETWORK[message] ?? message
const said = (error: ServerError): string => `${error.message} (${error.sqlState})`

/** The message is translated by the server's locale; the setting that is named in it is not. */
function standbyFailure(error: ServerError, source: string): SalvorError {
  if (error.message.includes('full_page_writes')) {
    const what = 'a standby cannot be backed up while full_page_writes is off at its primary'
    const fix = 'ALTER SYSTEM SET full_page_writes = on at the primary, then CHECKPOINT; or back up the primary'
    return new SalvorError('SOURCE_UNSUPPORTED', { source, what, fix }, error)
  }
  const reason = /promot/i.test(error.message) ? `the standby was promoted meanwhile: ${said(error)}` : said(error)
  return new SalvorError('SOURCE_BROKE_OFF', { source, reason }, error)
}

/** What a failure in the middle of a copy means. */
export function copyFailure(error: unknown, source: string, address: Address): unknown {
  if (error instanceof LinkLost) return new SalvorError('SOURCE_BROKE_OFF', { source, reason: error.message }, error)
  if (error instanceof RangeError || error instanceof TarInvalid || error instanceof ManifestInvalid) {
    return new SalvorError(
      'SOURCE_BROKE_OFF',
      { source, reason: `what came is not a base backup: ${error.message}` },
      error,
    )
  }
  if (!(error instanceof ServerError)) return error
  if (error.sqlState === '42501') return privilegeMissing(error, source, address)
  if (error.sqlState === '55000') return standbyFailure(error, source)
  if (error.sqlState === 'XX001') return new SalvorError('SOURCE_DAMAGED', { source, reason: said(error) }, error)
  return new SalvorError('SOURCE_BROKE_OFF', { source, reason: said(error) }, error)
}

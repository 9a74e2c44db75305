import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, getCACertificates, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Address } from '../connect/address.ts'
import { sslRequest } from './messages.ts'
import { LinkLost } from './server-error.ts'
import { keepAlive } from './wire.ts'

/** There is no TLS as the address demands it. The message is fit for a person. */
export class TlsRefused extends Error {
  constructor(reason: string, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause })
    this.name = 'TlsRefused'
  }
}

/** Opens TLS by SSLRequest. Null: the server has none and `prefer` does not insist. */
export async function openTls(address: Address, signal: AbortSignal): Promise<TLSSocket | null> {
  const options = await tlsOptions(address)
  const socket = connectTcp({ host: address.host, port: address.port })
  // Whoever waits hears of an error through `once`; between two waits it must not end the process.
  socket.on('error', () => undefined)
  const abort = () => socket.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await answer(once(socket, 'connect', { signal }))
    keepAlive(socket)
    socket.write(sslRequest())
    if (await offersTls(socket, signal)) return await handshake(socket, options, signal)
    socket.destroy()
    if (address.sslmode === 'prefer') return null
    throw new TlsRefused('the server does not speak TLS; say sslmode=disable only where the network is trusted')
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** One byte, and not a byte more: what came in clear before the handshake must not be taken for the server's. */
async function offersTls(socket: Socket, signal: AbortSignal): Promise<boolean> {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const closed = once(socket, 'close', { signal: both }).then(() => null)
  const read = once(socket, 'readable', { signal: both }).then(() => socket.read() as Buffer | null)
  closed.catch(() => undefined)
  read.catch(() => undefined)
  const bytes = await answer(Promise.race([read, closed]))
  ended.abort()
  if (bytes === null) throw new LinkLost('the server closed the connection')
  if (bytes.length !== 1) throw new TlsRefused('there were bytes in clear before the TLS handshake')
  if (bytes[0] === 0x53) return true
  if (bytes[0] === 0x4e) return false
  throw new LinkLost('what listens there is not a PostgreSQL server')
}

async function handshake(socket: Socket, options: ConnectionOptions, signal: AbortSignal): Promise<TLSSocket> {
  const secured = connectTls({ ...options, socket })
  try {
    await once(secured, 'secureConnect', { signal })
  } catch (error) {
    secured.on('error', () => undefined)
    secured.destroy()
    if (signal.aborted) throw error
    throw new TlsRefused(tlsReason(error as NodeJS.ErrnoException), error)
  }
  return secured
}

async function tlsOptions(address: Address): Promise<ConnectionOptions> {
  const verify = address.sslmode === 'verify-ca' || address.sslmode === 'verify-full' || address.sslrootcert !== null
  const options: ConnectionOptions = { minVersion: 'TLSv1.2', rejectUnauthorized: verify }
  if (isIP(address.host) === 0) options.servername = address.host
  if (address.sslmode !== 'verify-full') options.checkServerIdentity = () => undefined
  else options.host = address.host
  if (verify) options.ca = await authorities(address.sslrootcert)
  if (address.sslcert !== null) options.cert = await pem(address.sslcert, 'sslcert')
  if (address.sslkey !== null) {
    await assertPrivate(address.sslkey)
    options.key = await pem(address.sslkey, 'sslkey')
    if (address.sslpassword) options.passphrase = address.sslpassword
  }
  return options
}

/** The certificates of the authorities that `sslrootcert` stands for, as PEM. */
export async function authorities(sslrootcert: string | null): Promise<string[]> {
  if (sslrootcert === 'system') return getCACertificates('system')
  if (sslrootcert !== null) return [await pem(sslrootcert, 'sslrootcert')]
  return [...getCACertificates('bundled'), ...getCACertificates('system'), ...getCACertificates('extra')]
}

/** libpq's rule: a key is its owner's; one of root may be lent to a group. */
async function assertPrivate(file: string): Promise<void> {
  const found = await stat(file).catch(() => null)
  if (found === null || (found.mode & (found.uid === 0 ? 0o037 : 0o077)) === 0) return
  throw new TlsRefused(`others may read sslkey ${file}; chmod 600 it`)
}

async function pem(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new TlsRefused(`${option} ${file} cannot be read`, error)
  }
}

async function answer<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw code === undefined || code === 'ABORT_ERR' ? error : new LinkLost(code, error)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed and not in sslrootcert',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate comes from an authority that is not in sslrootcert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate comes from an authority that is not in sslrootcert',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate comes from an authority that is not in sslrootcert',
  CERT_SIGNATURE_FAILURE: 'the certificate was not signed by the authority in sslrootcert',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
}

function tlsReason(error: NodeJS.ErrnoException): string {
  return REASONS[error.code ?? ''] ?? `the handshake failed (${error.code ?? 'closed'})`
}

/** tls-server-end-point (RFC 5929): the certificate under the hash of its own signature. Null where that is not defined. */
export function serverEndPoint(socket: TLSSocket): Buffer | null {
  const raw = socket.getPeerCertificate(true).raw as Buffer | undefined
  if (raw === undefined) return null
  const algorithm = new X509Certificate(raw).signatureAlgorithm ?? ''
  const hash = /sha-?(1|224|256|384|512)|md5/i.exec(algorithm)?.[0].toLowerCase().replace('-', '')
  if (hash === undefined) return null
  return createHash(hash === 'md5' || hash === 'sha1' ? 'sha256' : hash)
    .update(raw)
    .digest()
}

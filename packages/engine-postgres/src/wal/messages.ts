import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'

const POSTGRES_EPOCH = 946_684_800_000_000n
export const WAL_HEADER = 25
export const KEEPALIVE = 18

export interface WalHeader {
  readonly start: bigint
  readonly serverEnd: bigint
  readonly sentAt: Instant
}
export interface Keepalive {
  readonly serverEnd: bigint
  readonly sentAt: Instant
  readonly replyRequested: boolean
}

const instantAt = (buffer: Buffer, at: number): Instant => instantOf(buffer.readBigInt64BE(at) + POSTGRES_EPOCH)

export function walHeader(buffer: Buffer): WalHeader {
  return { start: buffer.readBigUInt64BE(1), serverEnd: buffer.readBigUInt64BE(9), sentAt: instantAt(buffer, 17) }
}

export function keepalive(buffer: Buffer): Keepalive {
  return { serverEnd: buffer.readBigUInt64BE(1), sentAt: instantAt(buffer, 9), replyRequested: buffer[17] === 1 }
}

/** `flushed` frees WAL on the server: it must be durable here. */
export function standbyStatus(received: bigint, flushed: bigint, askReply: boolean): Buffer {
  const body = Buffer.alloc(34)
  body.write('r', 0, 'latin1')
  body.writeBigUInt64BE(received, 1)
  body.writeBigUInt64BE(flushed, 9)
  // Nothing is applied here. The time is for people who look at pg_stat_replication, so it is left out.
  body[33] = askReply ? 1 : 0
  return body
}

import { createHash } from 'node:crypto'
import type { AuditTable } from './tables.ts'

const ABSENT = 0xff_ff_ff_ff

/**
 * h(n) = SHA-256(h(n-1) || canonical(row n)), in hex; h(0) is the random genesis of the catalog. canonical is the fields in
 * the order below, each as UTF-8 after its length in four bytes (big endian; ffffffff: absent), so no two rows share it.
 */
export function auditHash(previous: string, row: Omit<AuditTable, 'hash'>): string {
  const hash = createHash('sha256').update(Buffer.from(previous, 'hex'))
  const fields = [
    String(row.n),
    row.at,
    row.service,
    row.actor,
    row.action,
    row.object,
    row.outcome,
    row.correlation_id,
  ]
  for (const field of fields) {
    const bytes = field === null ? null : Buffer.from(field, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes === null ? ABSENT : bytes.length)
    hash.update(length)
    if (bytes !== null) hash.update(bytes)
  }
  return hash.digest('hex')
}

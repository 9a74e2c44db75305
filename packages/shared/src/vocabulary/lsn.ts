/** A position in the WAL of PostgreSQL as people write it: `16/B374D848`, two hex halves of 64 bits, without leading zeros. */
export type Lsn = string

const FORM = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

export function isLsn(text: string): boolean {
  return FORM.test(text)
}

/** As a number; RangeError for anything else. */
export function lsnValue(lsn: Lsn): bigint {
  const parts = FORM.exec(lsn)
  if (!parts) throw new RangeError(`not a WAL position: ${lsn}`)
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)
}

export function lsnText(value: bigint): Lsn {
  const hex = (half: bigint): string => half.toString(16).toUpperCase()
  return `${hex(value >> 32n)}/${hex(value & 0xffff_ffffn)}`
}

/** 16 hex digits: sorts as text, and may stand in a file name. */
export function lsnKey(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(16, '0')
}

export function lsnOfKey(key: string): Lsn {
  return lsnText(BigInt(`0x${key}`))
}

/** A position in the WAL, `16/B374D848`, as a number. */
export function lsnValue(lsn: string): bigint {
  const parts = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(lsn)
  if (!parts) throw new RangeError(`not a WAL position: ${lsn}`)
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)
}

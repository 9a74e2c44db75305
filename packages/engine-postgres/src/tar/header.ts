/** Blocks and padding of a tar stream. */
export const BLOCK = 512

export type TarType = 'file' | 'directory' | 'other'

/** One member's header. Names are byte strings (latin1), since a file name need not be UTF-8. */
export interface TarHeader {
  readonly name: string
  readonly type: TarType
  readonly typeflag: string
  readonly size: number
}

/** A block that is no tar header, or one that only a hostile or broken writer makes. */
export class TarInvalid extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'TarInvalid'
  }
}

export function isZeroBlock(block: Buffer): boolean {
  for (let at = 0; at < BLOCK; at++) if (block[at] !== 0) return false
  return true
}

/** Bytes that a member's data take in the archive. */
export const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK

export function parseHeader(block: Buffer): TarHeader {
  if (checksum(block) !== number(block, 148, 8)) throw new TarInvalid('a tar header with a wrong checksum')
  const prefix = block.toString('latin1', 257, 262) === 'ustar' ? text(block, 345, 155) : ''
  const name = text(block, 0, 100)
  const typeflag = String.fromCharCode(block[156]! || 0x30)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: typeflag === '0' || typeflag === '7' ? 'file' : typeflag === '5' ? 'directory' : 'other',
    typeflag,
    size: typeflag === '0' || typeflag === '7' ? number(block, 124, 12) : 0,
  }
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.toString('latin1', 0, end === -1 ? length : end)
}

/** Octal text, or base-256 where it would not fit. */
function number(block: Buffer, at: number, length: number): number {
  if (block[at]! & 0x80) {
    let value = BigInt(block[at]! & 0x7f)
    for (let i = 1; i < length; i++) value = value * 256n + BigInt(block[at + i]!)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TarInvalid('a tar member with an impossible size')
    return Number(value)
  }
  const digits = /^ *([0-7]*)[ \0]*$/.exec(block.toString('latin1', at, at + length))
  if (!digits) throw new TarInvalid('a tar header with a malformed number')
  return digits[1] === '' ? 0 : Number.parseInt(digits[1]!, 8)
}

/** The sum of all bytes, its own field taken as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at]!
  return sum
}

export interface NewMember {
  readonly name: string
  readonly type: 'file' | 'directory'
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  readonly uid: number
  readonly gid: number
}

/** A ustar header, readable by every tar. */
export function makeHeader(member: NewMember): Buffer {
  const block = Buffer.alloc(BLOCK)
  const { name, prefix } = splitName(member.name)
  block.write(name, 0, 'latin1')
  const directory = member.type === 'directory'
  octal(block, 100, 8, directory ? 0o700 : 0o600)
  octal(block, 108, 8, member.uid)
  octal(block, 116, 8, member.gid)
  octal(block, 124, 12, member.size)
  octal(block, 136, 12, Math.max(0, Math.floor(member.mtime)))
  block.write(directory ? '5' : '0', 156, 'latin1')
  block.write('ustar\u000000', 257, 'latin1')
  block.write('postgres', 265, 'latin1')
  block.write('postgres', 297, 'latin1')
  block.write(prefix, 345, 'latin1')
  return sealed(block)
}

/** The same owner and form as `template`, another member: so that one archive looks as if written by one hand. */
export function headerLike(template: Buffer, name: string, size: number, mtime: number): Buffer {
  const block = Buffer.from(template)
  block.fill(0, 0, 100).write(name, 0, 'latin1')
  octal(block, 100, 8, 0o600)
  octal(block, 124, 12, size)
  octal(block, 136, 12, mtime)
  block.write('0', 156, 'latin1')
  return sealed(block)
}

/** Puts a member below `folder`, in place. For servers' own headers, which leave the prefix field empty. */
export function moveBelow(block: Buffer, folder: string): void {
  if (block[345] !== 0) throw new TarInvalid('a tar header with a prefix where none was expected')
  block.write(folder, 345, 'latin1')
  sealed(block)
}

/** A member's own header for another name and size. */
export function renamedHeader(header: Buffer, name: string, size: number): Buffer {
  const block = Buffer.from(header)
  block.fill(0, 0, 100).fill(0, 345, 500)
  const short = splitName(name)
  block.write(short.name, 0, 'latin1')
  block.write(short.prefix, 345, 'latin1')
  octal(block, 124, 12, size)
  return sealed(block)
}

function sealed(block: Buffer): Buffer {
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  const digits = value.toString(8)
  if (digits.length < length) {
    block.write(`${digits.padStart(length - 1, '0')} `, at, 'latin1')
    return
  }
  let rest = BigInt(value)
  for (let i = length - 1; i > 0; i--, rest >>= 8n) block[at + i] = Number(rest & 0xffn)
  block[at] = 0x80
}

function splitName(full: string): { name: string; prefix: string } {
  if (full.length <= 99) return { name: full, prefix: '' }
  for (let at = full.indexOf('/'); at !== -1; at = full.indexOf('/', at + 1)) {
    if (at <= 155 && full.length - at - 1 <= 100 && full.length > at + 1) {
      return { name: full.slice(at + 1), prefix: full.slice(0, at) }
    }
  }
  throw new TarInvalid(`a file name too long for tar: ${full}`)
}

import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** What a call asks its helper for. */
export interface HelperRequest {
  /** The program that the caller would run itself: a helper of another one is out of date. */
  readonly main: string
  readonly config: string
  readonly verb: 'push' | 'get'
  /** Empty: the only one. */
  readonly source: string
  readonly json: boolean
  /** push: the file's absolute path. get: the name, and the absolute path where it shall appear. */
  readonly words: readonly string[]
  /** The caller's environment, a line `NAME=value` each, sorted. */
  readonly environment: readonly string[]
}

/** What the caller prints, and its exit code. */
export interface HelperReply {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Sent every few seconds while a request is worked on: silence means that the helper hangs. */
export const ALIVE = '.'
export const ALIVE_EVERY_MS = 2_000
/** The caller does the work itself. */
export const DECLINED = '-'
const REPLY = '='
const LONGEST = 1 << 20
const LONGEST_LENGTH = 8
/** Fields before the environment. */
const FIXED = 7

/** Both directions: a length in digits, then so many bytes, fields with a NUL between them. */
function packed(fields: readonly string[]): Buffer {
  const body = Buffer.from(fields.join('\0'))
  return Buffer.concat([Buffer.from(`${body.length}\0`), body])
}

/** The fields once all of them are there; null before. USAGE: this is no message. */
function unpacked(bytes: Buffer): readonly string[] | null {
  const end = bytes.indexOf(0)
  const length = Number(bytes.toString('latin1', 0, end === -1 ? Math.min(bytes.length, LONGEST_LENGTH) : end))
  if (end > LONGEST_LENGTH || (end === -1 && bytes.length > LONGEST_LENGTH) || !(length <= LONGEST))
    throw new SalvorError('USAGE', { reason: 'no request', command: 'wal' })
  if (end === -1 || bytes.length < end + 1 + length) return null
  return bytes.toString('utf8', end + 1, end + 1 + length).split('\0')
}

export function packRequest(request: HelperRequest): Buffer {
  const { main, config, verb, source, json, words, environment } = request
  return packed([main, config, verb, source, json ? '1' : '', words[0] ?? '', words[1] ?? '', ...environment])
}

/** Null: it is not whole yet. */
export function unpackRequest(bytes: Buffer): HelperRequest | null {
  const fields = unpacked(bytes)
  if (fields === null) return null
  const [main = '', config = '', verb = '', source = '', json = '', first = '', second = ''] = fields
  if (verb !== 'push' && verb !== 'get') throw new SalvorError('USAGE', { reason: 'no request', command: 'wal' })
  const words = [first, second].slice(0, verb === 'get' ? 2 : 1)
  return { main, config, verb, source, json: json === '1', words, environment: fields.slice(FIXED).toSorted() }
}

export function packReply({ exit, stdout, stderr }: HelperReply): Buffer {
  return Buffer.concat([Buffer.from(REPLY), packed([String(exit), stdout, stderr])])
}

/** Null: nothing that can be used has come; `declined` beside it: nothing will. */
export function unpackReply(bytes: Buffer): HelperReply | 'declined' | null {
  let at = 0
  while (bytes[at] === ALIVE.charCodeAt(0)) at += 1
  if (at === bytes.length) return null
  if (bytes[at] !== REPLY.charCodeAt(0)) return 'declined'
  const fields = unpacked(bytes.subarray(at + 1))
  if (fields === null) return null
  const [exit = '', stdout = '', stderr = ''] = fields
  return { exit: Number(exit), stdout, stderr }
}

/** Set by a shell, or by what starts the command, differently from call to call. */
const NOT_COMPARED = /^(_|SHLVL|PWD|OLDPWD|MALLOC_ARENA_MAX|NODE_COMPILE_CACHE|REDIS_SERVER|SALVOR_WAL_HELPER)=/

/** Variables that a configuration may name, or an adapter may read. */
export function comparedEnvironment(lines: readonly string[]): string {
  return lines.filter((line) => !NOT_COMPARED.test(line)).join('\0')
}

export function environmentLines(): string[] {
  return Object.entries(process.env)
    .map(([name, value]) => `${name}=${value}`)
    .toSorted()
}

import { strings } from './messages.ts'

const LONGEST = 300

/**
 * What the server said, in its primary message only: DETAIL, HINT, CONTEXT and the other fields may quote rows and are
 * dropped while they are read.
 */
export class ServerError extends Error {
  readonly severity: string
  /** SQLSTATE. */
  readonly sqlState: string

  constructor(severity: string, sqlState: string, message: string) {
    super(message)
    this.name = 'ServerError'
    this.severity = severity
    this.sqlState = sqlState
  }
  get fatal(): boolean {
    return this.severity === 'FATAL' || this.severity === 'PANIC'
  }
}

/** The link went away, or the other side does not speak the protocol. */
export class LinkLost extends Error {
  constructor(reason: string, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause })
    this.name = 'LinkLost'
  }
}

/** Body of an ErrorResponse or NoticeResponse. */
export function serverError(body: Buffer): ServerError {
  const fields = new Map(strings(body).map((field) => [field[0], field.slice(1)]))
  // V is the severity that no locale translates.
  const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR'
  return new ServerError(severity, fields.get('C') ?? 'XX000', plain(fields.get('M') ?? ''))
}

/** One line without control characters: what a server says goes into terminals and logs. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, LONGEST)
}

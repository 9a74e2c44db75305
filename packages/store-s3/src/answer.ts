import type { ErrorCode } from '@salvor/shared/errors/codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** What a request came to when it did not succeed. */
export type Outcome =
  | 'absent'
  | 'no-upload'
  | 'taken'
  | 'range'
  | 'denied'
  | 'full'
  | 'throttled'
  | 'damaged'
  | 'timeout'
  | 'broken'
  | 'untrusted'

/** A failed request, told by name AND status, never by its text: gateways disagree about texts, and HEAD has none. */
export class Answer extends Error {
  readonly outcome: Outcome
  /** Name and status, safe to show. */
  readonly reason: string

  constructor(outcome: Outcome, reason: string, cause: unknown) {
    super(reason, { cause })
    this.name = 'Answer'
    this.outcome = outcome
    this.reason = reason
  }
  /** The same request may succeed in a moment. Its outcome is unknown: it may have succeeded already. */
  get passing(): boolean {
    return ['throttled', 'damaged', 'timeout', 'broken'].includes(this.outcome)
  }
}

const BY_NAME: Readonly<Record<string, Outcome>> = {
  NoSuchUpload: 'no-upload',
  NoSuchBucket: 'denied',
  ConditionalRequestConflict: 'broken',
  OperationAborted: 'broken',
  RequestTimeTooSkewed: 'broken',
  RequestTimeout: 'broken',
  BadDigest: 'damaged',
  InvalidDigest: 'damaged',
  XAmzContentSHA256Mismatch: 'damaged',
  IncompleteBody: 'damaged',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  SlowDown: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  RequestLimitExceeded: 'throttled',
  TooManyRequests: 'throttled',
  TimeoutError: 'timeout',
}

const BY_STATUS: Readonly<Record<number, Outcome>> = {
  404: 'absent',
  409: 'broken',
  412: 'taken',
  416: 'range',
  429: 'throttled',
  503: 'throttled',
  507: 'full',
}

const NETWORK =
  /^(ECONN|ENOTFOUND|EAI_|EPIPE|ETIMEDOUT|EHOST|ENET|EADDRNOTAVAIL|EPROTO|ERR_STREAM_PREMATURE_CLOSE|ERR_SSL|HPE_|UND_)/
const CERTIFICATE = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS)/

interface SdkError {
  readonly name?: string
  readonly code?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly statusCode?: number }
}

/** Anything thrown by a request as an Answer; what is not about a request at all is a bug and passes through. */
export function answerOf(thrown: unknown): Answer {
  if (thrown instanceof Answer) return thrown
  const error = thrown as SdkError
  const name = error.name ?? ''
  const code = typeof error.code === 'string' ? error.code : ''
  const status = error.$metadata?.httpStatusCode ?? error.$response?.statusCode
  if (CERTIFICATE.test(code)) return new Answer('untrusted', code, thrown)
  // The SDK calls a reset connection a TimeoutError, too: the code is more exact.
  if (NETWORK.test(code)) return new Answer(code === 'ETIMEDOUT' ? 'timeout' : 'broken', code, thrown)
  const known = BY_NAME[name]
  if (known !== undefined) return new Answer(known, status === undefined ? name : `${name} ${status}`, thrown)
  if (status === undefined) throw thrown
  const outcome = BY_STATUS[status] ?? (status >= 500 || status < 300 ? 'broken' : 'denied')
  return new Answer(outcome, name === '' || name === 'Unknown' ? `HTTP ${status}` : `${name} ${status}`, thrown)
}

const CODE_OF: Readonly<Record<Outcome, ErrorCode>> = {
  absent: 'STORE_NOT_FOUND',
  taken: 'STORE_CONFLICT',
  denied: 'STORE_DENIED',
  full: 'STORE_FULL',
  throttled: 'STORE_THROTTLED',
  damaged: 'STORE_BAD_ECHO',
  'no-upload': 'STORE_BAD_ECHO',
  range: 'STORE_TRUNCATED',
  timeout: 'STORE_UNREACHABLE',
  broken: 'STORE_UNREACHABLE',
  untrusted: 'STORE_UNREACHABLE',
}

/** The Answer as the product's own error. `what` is a verb: "write", "list". */
export function storeError(store: string, what: string, key: string, answer: Answer): SalvorError {
  const facts = { store, key, what: key === '' ? what : `${what} ${key}`, reason: answer.reason }
  return new SalvorError(CODE_OF[answer.outcome], facts, answer)
}

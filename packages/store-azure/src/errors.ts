import { retryAfterSeconds } from '@salvor/policy/retry-after'
import type { ErrorCode } from '@salvor/shared/errors/codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** What an answer of the service, or its absence, means here. */
export type Refusal =
  /** No such object. */
  | 'missing'
  /** The name is taken: what a condition was there to find out. */
  | 'exists'
  /** The object is shorter than the range. */
  | 'range'
  /** Bytes arrived other than they were sent. */
  | 'altered'
  /** Staged blocks are not there any more. */
  | 'unstaged'
  /** In the archive tier: cannot be read before hours. */
  | 'archived'
  | 'busy'
  /** No answer, or one that a repetition may change. */
  | 'outage'
  | 'denied'

const BY_CODE: Readonly<Record<string, Refusal>> = {
  BlobNotFound: 'missing',
  ContainerNotFound: 'denied',
  ContainerDisabled: 'denied',
  ContainerBeingDeleted: 'denied',
  BlobAlreadyExists: 'exists',
  ConditionNotMet: 'exists',
  TargetConditionNotMet: 'exists',
  InvalidRange: 'range',
  Md5Mismatch: 'altered',
  Crc64Mismatch: 'altered',
  InvalidBlockList: 'unstaged',
  BlobArchived: 'archived',
  BlobBeingRehydrated: 'archived',
  ServerBusy: 'busy',
  OperationTimedOut: 'outage',
  InternalError: 'outage',
}

const BY_STATUS: Readonly<Record<number, Refusal>> = {
  404: 'missing',
  408: 'outage',
  412: 'exists',
  416: 'range',
  429: 'busy',
  503: 'busy',
}

/**
 * A failed request without its secrets: the SDK's own error holds the request, and so a signature or a key. Decided by the
 * service's code and the status, never by a message.
 */
export class ServiceError extends Error {
  readonly refusal: Refusal
  readonly waitMs: number

  constructor(thrown: unknown) {
    const { status, code, retryAfter, date, requestId } = factsOf(thrown)
    super([code, status && `HTTP ${status}`, requestId && `request ${requestId}`].filter(Boolean).join(', '))
    this.name = 'ServiceError'
    this.refusal = refusalOf(status, code)
    this.waitMs = 1000 * (retryAfterSeconds(retryAfter, date) ?? 0)
  }
  get mayPass(): boolean {
    return this.refusal === 'busy' || this.refusal === 'outage' || this.refusal === 'altered'
  }
}

export function isRefusal(error: unknown, refusal: Refusal): boolean {
  return error instanceof ServiceError && error.refusal === refusal
}

const CODE_OF: Readonly<Record<Refusal, ErrorCode>> = {
  missing: 'STORE_NOT_FOUND',
  exists: 'STORE_CONFLICT',
  range: 'STORE_TRUNCATED',
  altered: 'STORE_BAD_ECHO',
  unstaged: 'STORE_BAD_ECHO',
  archived: 'STORE_DENIED',
  busy: 'STORE_THROTTLED',
  outage: 'STORE_UNREACHABLE',
  denied: 'STORE_DENIED',
}
const REASON_OF: Readonly<Partial<Record<Refusal, string>>> = {
  archived: 'it is in the archive tier; set its tier to Hot, which takes hours, and try again then',
  altered: 'bytes arrived there other than they were sent',
  unstaged: 'the service dropped the blocks that had been staged',
}

/** Any failure in the words of the port. `what`: the thing that was tried, as in "refused to …". */
export function storeError(store: string, what: string, key: string, error: unknown): SalvorError {
  if (error instanceof SalvorError) return error
  const cause = error instanceof ServiceError ? error : new ServiceError(error)
  const reason = REASON_OF[cause.refusal] ?? cause.message
  return new SalvorError(CODE_OF[cause.refusal], { store, what, key, reason }, cause)
}

interface Facts {
  readonly status: number | undefined
  readonly code: string
  readonly retryAfter: string | null
  readonly date: string | null
  readonly requestId: string | undefined
}

function factsOf(thrown: unknown): Facts {
  const error = thrown as {
    readonly name?: string
    readonly code?: unknown
    readonly statusCode?: number
    readonly response?: { readonly headers?: { get(name: string): string | undefined } }
  }
  const header = (name: string) => error?.response?.headers?.get(name)
  // A HEAD has no body: its code is in a header, where the service sends one.
  const code = typeof error?.code === 'string' ? error.code : header('x-ms-error-code')
  return {
    status: typeof error?.statusCode === 'number' ? error.statusCode : undefined,
    code: code ?? (error?.name === 'AbortError' || error?.name === 'TimeoutError' ? 'no answer in time' : 'no answer'),
    retryAfter: header('retry-after') ?? null,
    date: header('date') ?? null,
    requestId: header('x-ms-request-id'),
  }
}

function refusalOf(status: number | undefined, code: string): Refusal {
  const known = BY_CODE[code] ?? (status === undefined ? 'outage' : BY_STATUS[status])
  return known ?? (status !== undefined && status < 500 ? 'denied' : 'outage')
}

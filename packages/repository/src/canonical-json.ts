import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ErrorCode } from '@salvor/shared/errors/codes'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import { sha256 } from './hash.ts'
import { sourceOf } from './read-object.ts'

/** Largest signed document: a manifest, a key file or a claim. */
export const MAX_DOCUMENT_BYTES = 65_536

/** Base64 in the one form that the same bytes have: the unused bits of the last digit are zero. */
export const Base64 = z
  .base64()
  .max(4096)
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text)

export const Signature = z.strictObject({
  signer: z.string().regex(/^[0-9a-f]{16}$/),
  value: Base64.length(88),
})

export type Signer = 'trusted' | 'unknown'
export interface Signed<T> {
  readonly body: T
  readonly signer: Signer
  /** Id of the key that signed. */
  readonly signed_by: string
  /** SHA-256 of the file's bytes, hex. */
  readonly sha256: string
}

/** The form of docs/format.md section 7; `schema` gives the members their order. */
export function canonicalBytes<T extends object>(schema: z.ZodType<T>, body: T): Buffer {
  return asBytes(schema.parse(body))
}

/** The canonical form of `body` with the ring's signature as last member. */
export function signDocument<T extends object>(schema: z.ZodType<T>, body: T, keyring: KeyRing): Buffer {
  const ordered = schema.parse(body)
  return asBytes({ ...ordered, signature: keyring.sign(asBytes(ordered)) })
}

/**
 * Reads a signed document. Too large, not JSON, not of the schema, not canonical, or bytes that are not what was signed:
 * `code` with the reason. Signed by a stranger: SIGNER_UNKNOWN where a keyring is configured, else reported as `unknown`.
 */
export function readDocument<T extends object>(
  schema: z.ZodType<T>,
  bytes: Uint8Array,
  key: string,
  keyring: KeyRing,
  code: ErrorCode,
): Signed<T> {
  const invalid = (reason: string, cause?: unknown) =>
    new SalvorError(code, { key, reason, source: sourceOf(key) }, cause)
  if (bytes.length > MAX_DOCUMENT_BYTES) throw invalid(`larger than ${MAX_DOCUMENT_BYTES} bytes`)
  let body: T
  let signature: z.infer<typeof Signature>
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const { signature: found, ...rest } = z.looseObject({}).parse(JSON.parse(text))
    body = schema.parse(rest)
    signature = Signature.parse(found)
  } catch (error) {
    throw invalid(whatIsWrong(error), error)
  }
  if (!asBytes({ ...body, signature }).equals(bytes)) throw invalid('it is not in canonical form')
  const verdict = keyring.check(asBytes(body), signature)
  if (verdict === 'bad') throw invalid('the signature is not of these bytes')
  if (verdict === 'unknown' && keyring.configured)
    throw new SalvorError('SIGNER_UNKNOWN', { key, signer: signature.signer })
  return { body, signer: verdict, signed_by: signature.signer, sha256: sha256(bytes) }
}

function asBytes(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
}

function whatIsWrong(error: unknown): string {
  if (!(error instanceof z.ZodError)) return 'it is not JSON'
  const issue = error.issues[0]
  return issue ? `${issue.path.join('.') || 'document'}: ${issue.code}` : 'unknown form'
}

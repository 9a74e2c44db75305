import { z } from 'zod'

const later = z.never('is not available yet').optional()
const secret = z.string().min(1)

/** One login may serve all; a second one for reading and a third for deleting keep what each program can do apart. */
export const S3StoreConfig = z
  .strictObject({
    bucket: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/, 'a bucket name'),
    /** Before every key, without slashes at its ends. */
    prefix: z
      .string()
      .regex(
        /^([A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9_]|[A-Za-z0-9_])(\/([A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9_]|[A-Za-z0-9_]))*$/,
        'a path such as prod or backups/prod',
      )
      .max(100)
      .optional(),
    region: z.string().min(1),
    /** Of a service other than AWS; empty: AWS. */
    endpoint: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]).optional(),
    path_style: z.boolean().default(false),
    access_key_id: secret,
    secret_access_key: secret,
    /** Of a login that was lent for a while. */
    session_token: secret.optional(),
    read_access_key_id: secret.optional(),
    read_secret_access_key: secret.optional(),
    delete_access_key_id: secret.optional(),
    delete_secret_access_key: secret.optional(),
    storage_class: z
      .string()
      .regex(/^[A-Z0-9_]+$/, 'a storage class such as STANDARD_IA')
      .optional(),
    sse: z.enum(['AES256', 'aws:kms']).optional(),
    object_lock: later,
    lock: later,
    lock_credentials: later,
  })
  .refine((config) => (config.read_access_key_id === undefined) === (config.read_secret_access_key === undefined), {
    path: ['read_access_key_id'],
    message: 'read_access_key_id and read_secret_access_key go together',
  })
  .refine((config) => (config.delete_access_key_id === undefined) === (config.delete_secret_access_key === undefined), {
    path: ['delete_access_key_id'],
    message: 'delete_access_key_id and delete_secret_access_key go together',
  })
export type S3StoreConfig = z.infer<typeof S3StoreConfig>

export const SECRETS = [
  'access_key_id',
  'secret_access_key',
  'session_token',
  'read_access_key_id',
  'read_secret_access_key',
  'delete_access_key_id',
  'delete_secret_access_key',
] as const

export type Identity = 'write' | 'read' | 'delete'

interface Login {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export function loginOf(config: S3StoreConfig, identity: Identity): Login {
  const { session_token } = config
  const main = {
    accessKeyId: config.access_key_id,
    secretAccessKey: config.secret_access_key,
    ...(session_token === undefined ? {} : { sessionToken: session_token }),
  }
  if (identity === 'write') return main
  const id = config[`${identity}_access_key_id`]
  const key = config[`${identity}_secret_access_key`]
  return id === undefined || key === undefined ? main : { accessKeyId: id, secretAccessKey: key }
}

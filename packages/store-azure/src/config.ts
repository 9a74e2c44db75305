import { whyNotSafe } from '@salvor/policy/web-address'
import { z } from 'zod'

const PREFIX = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/
const CONTAINER = /^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/

/** Keys of a store of kind azure: a container, and who may use it. */
export const AzureStoreConfig = z
  .strictObject({
    container: z.string().regex(CONTAINER, 'the name of a container: lower-case letters, digits and single hyphens'),
    /** As the portal shows it, with an account key or a shared access signature. */
    connection_string: z.string().optional(),
    /** Instead of it: `https://ACCOUNT.blob.core.windows.net` with `sas`. */
    account_url: z.string().optional(),
    sas: z.string().optional(),
    prefix: z.string().max(100).regex(PREFIX, 'letters, digits, _ and -, parts separated by /').optional(),
    /** Of objects above 1 MiB; smaller ones (manifests, indexes) stay where they can be read at once. */
    tier: z.enum(['hot', 'cool', 'cold', 'archive']).optional(),
  })
  .superRefine((config, context) => {
    const problem = loginProblem(config)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })
export type AzureStoreConfig = z.infer<typeof AzureStoreConfig>

type Login = Pick<AzureStoreConfig, 'connection_string' | 'account_url' | 'sas'>

/** The reasons never quote what was given: all of it may be secret. */
function loginProblem({ connection_string, account_url, sas }: Login): string | null {
  if (connection_string === undefined) {
    if (account_url === undefined || sas === undefined) return 'give connection_string, or account_url with sas'
    const reason = whyNotSafe(account_url)
    return reason && `account_url ${reason}`
  }
  if (account_url !== undefined || sas !== undefined) return 'connection_string and account_url exclude each other'
  const parts = connectionParts(connection_string)
  if (parts.get('usedevelopmentstorage') === 'true') return null
  if (!parts.get('accountkey') && !parts.get('sharedaccesssignature')) return 'connection_string has no AccountKey'
  const reason = whyNotSafe(endpointOf(parts))
  return reason && `the endpoint in connection_string ${reason}`
}

function connectionParts(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(';').map((part) => {
      const [name = '', value = ''] = part.split(/=(.*)/s, 2)
      return [name.trim().toLowerCase(), value.trim()]
    }),
  )
}

function endpointOf(parts: ReadonlyMap<string, string>): string {
  const suffix = parts.get('endpointsuffix') ?? 'core.windows.net'
  const made = `${parts.get('defaultendpointsprotocol') ?? 'https'}://${parts.get('accountname') ?? ''}.blob.${suffix}`
  return parts.get('blobendpoint') ?? made
}

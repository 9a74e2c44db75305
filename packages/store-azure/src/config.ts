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
    /** Another login that reads (lists, looks, reads back what was written), and one that deletes; absent: the first serves all. */
    read_connection_string: z.string().optional(),
    read_sas: z.string().optional(),
    delete_connection_string: z.string().optional(),
    delete_sas: z.string().optional(),
    prefix: z.string().max(100).regex(PREFIX, 'letters, digits, _ and -, parts separated by /').optional(),
    /** Of objects above 1 MiB; smaller ones (manifests, indexes) stay where they can be read at once. */
    tier: z.enum(['hot', 'cool', 'cold', 'archive']).optional(),
  })
  .superRefine((config, context) => {
    for (const identity of IDENTITIES) {
      const problem = loginProblem(loginOf(config, identity), identity === 'write' ? '' : `${identity}_`)
      if (problem) context.addIssue({ code: 'custom', message: problem })
    }
  })
export type AzureStoreConfig = z.infer<typeof AzureStoreConfig>

export type Identity = 'write' | 'read' | 'delete'
const IDENTITIES: readonly Identity[] = ['write', 'read', 'delete']
export const SECRETS = ['', 'read_', 'delete_'].flatMap((of) => [`${of}connection_string`, `${of}sas`])

export interface Login {
  readonly connection_string?: string | undefined
  readonly account_url?: string | undefined
  readonly sas?: string | undefined
}

/** What an identity opens the container with: its own keys, or those that serve all. */
export function loginOf(config: Login & Partial<Record<string, unknown>>, identity: Identity): Login {
  const { connection_string, account_url, sas } = config
  if (identity === 'write') return { connection_string, account_url, sas }
  const own = config as Partial<Record<string, string>>
  const [text, token] = [own[`${identity}_connection_string`], own[`${identity}_sas`]]
  if (text === undefined && token === undefined) return { connection_string, account_url, sas }
  return { connection_string: text, sas: token, account_url: token === undefined ? undefined : account_url }
}

/** The reasons never quote what was given: all of it may be secret. */
function loginProblem({ connection_string, account_url, sas }: Login, of: string): string | null {
  if (connection_string === undefined) {
    if (account_url === undefined || sas === undefined)
      return `give ${of}connection_string, or account_url with ${of}sas`
    const reason = whyNotSafe(account_url)
    return reason && `account_url ${reason}`
  }
  if (account_url !== undefined || sas !== undefined) return `${of}connection_string and account_url exclude each other`
  const parts = connectionParts(connection_string)
  if (parts.get('usedevelopmentstorage') === 'true') return null
  if (!parts.get('accountkey') && !parts.get('sharedaccesssignature')) return `${of}connection_string has no AccountKey`
  const reason = whyNotSafe(endpointOf(parts))
  return reason && `the endpoint in ${of}connection_string ${reason}`
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

import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Environment, LoadedConfig } from './loaded-config.ts'

/** A store as a block of the configuration, `kind` among its keys. Values may name variables of the environment. */
export type StoreBlock = Readonly<Record<string, string | boolean>>

export function isStoreUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

/**
 * The store that a URL names: `file:///mnt/backups`, `s3://BUCKET/PREFIX`, `azblob://CONTAINER/PREFIX`. Who may read it comes
 * from the variables that the SDKs know; a missing one is named when the block is read. USAGE for any other URL.
 */
export function storeOfUrl(text: string, env: Environment): StoreBlock {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') throw unusable(text)
  if (url.protocol === 'file:') return { kind: 'local', path: plain(pathOf(url, text)) }
  const name = decodeURIComponent(url.hostname)
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  const place = prefix === '' ? {} : { prefix: plain(prefix) }
  if (name === '') throw unusable(text)
  if (url.protocol === 's3:') return { kind: 's3', bucket: plain(name), ...place, ...s3Login(env) }
  if (url.protocol === 'azblob:') return { kind: 'azure', container: plain(name), ...place, ...azureLogin(env) }
  throw unusable(text)
}

/**
 * The text of a configuration that has this store, under the name of its kind, and no source. Keys, sandbox and server programs
 * are those of `base`, where this machine has a configuration.
 */
export function storeOnlyText(store: StoreBlock, base: LoadedConfig | null, data_dir: string): string {
  const { kind } = store
  const keyring = base?.keyring_file
  return JSON.stringify({
    data_dir: plain(base?.settings.data_dir ?? data_dir),
    sandbox_dir: plain(base?.sandbox_dir ?? `${data_dir}/sandbox`),
    ...(keyring ? { encryption: { keyring_file: plain(keyring) } } : {}),
    verifier: { postgres_bin: (base?.server_programs ?? []).map(plain) },
    stores: { [String(kind)]: store },
    sources: [],
  })
}

function s3Login(env: Environment): StoreBlock {
  const endpoint = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((name) => env[name])
  const region = ['AWS_REGION', 'AWS_DEFAULT_REGION'].find((name) => env[name])
  return {
    region: region === undefined ? 'us-east-1' : `\${${region}}`,
    // Services other than AWS seldom have a host name for each bucket.
    ...(endpoint === undefined ? {} : { endpoint: `\${${endpoint}}`, path_style: true }),
    access_key_id: '${AWS_ACCESS_KEY_ID}',
    secret_access_key: '${AWS_SECRET_ACCESS_KEY}',
    ...(env['AWS_SESSION_TOKEN'] ? { session_token: '${AWS_SESSION_TOKEN}' } : {}),
  }
}

function azureLogin(env: Environment): StoreBlock {
  if (env['AZURE_STORAGE_SAS_TOKEN']) {
    return { account_url: 'https://${AZURE_STORAGE_ACCOUNT}.blob.core.windows.net', sas: '${AZURE_STORAGE_SAS_TOKEN}' }
  }
  if (env['AZURE_STORAGE_KEY'] && !env['AZURE_STORAGE_CONNECTION_STRING']) {
    const parts = [
      'DefaultEndpointsProtocol=https',
      'AccountName=${AZURE_STORAGE_ACCOUNT}',
      'AccountKey=${AZURE_STORAGE_KEY}',
    ]
    return { connection_string: [...parts, 'EndpointSuffix=core.windows.net'].join(';') }
  }
  return { connection_string: '${AZURE_STORAGE_CONNECTION_STRING}' }
}

function pathOf(url: URL, text: string): string {
  try {
    const path = fileURLToPath(url)
    if (isAbsolute(path)) return path
  } catch {
    // A host name, or an encoded slash.
  }
  throw unusable(text)
}

/** What a person typed is no variable. */
function plain(text: string): string {
  return text.replaceAll('${', () => '$${')
}

/** A URL may hold a password: only its scheme is repeated. */
function unusable(text: string): SalvorError {
  const scheme = text.slice(0, text.indexOf('://') + 3)
  return new SalvorError('USAGE', {
    reason: `${scheme}… names no store: write file:///FOLDER, s3://BUCKET/PREFIX or azblob://CONTAINER/PREFIX`,
    command: 'restore',
  })
}

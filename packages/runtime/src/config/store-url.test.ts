import { expect, test } from 'vitest'
import { parseConfig } from './load-config.ts'
import { isStoreUrl, storeOfUrl, storeOnlyText } from './store-url.ts'

const AWS = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'top-secret' }

test('a store is a name or a URL', () => {
  expect(['file:///mnt', 's3://b', 'azblob://c/p', 'local', 'my-store'].map(isStoreUrl)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
})

test('a URL names a folder, a bucket or a container, and where in it', () => {
  expect(storeOfUrl('file:///mnt/usb%20stick/backups', {})).toEqual({ kind: 'local', path: '/mnt/usb stick/backups' })
  expect(storeOfUrl('s3://clinic-backups/prod/eu/', {})).toMatchObject({
    kind: 's3',
    bucket: 'clinic-backups',
    prefix: 'prod/eu',
    region: 'us-east-1',
  })
  expect(storeOfUrl('azblob://backups', {})).toEqual({
    kind: 'azure',
    container: 'backups',
    connection_string: '${AZURE_STORAGE_CONNECTION_STRING}',
  })
})

test.each(['ftp://h/x', 's3://', 's3://b?x=1', 'file://host/x', 'azblob:///x', 's3://user:secret@b'])(
  '%j names no store, and is not repeated',
  (url) => {
    expect(() => storeOfUrl(url, {})).toThrow(/names no store/)
    expect(() => storeOfUrl(url, {})).not.toThrow(/secret|x=1/)
  },
)

test('who may read it comes from the variables that the SDKs know', async () => {
  const env = {
    ...AWS,
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL_S3: 'https://minio.test',
    AWS_SESSION_TOKEN: 'lent-one',
  }
  const text = storeOnlyText(storeOfUrl('s3://clinic-backups/p', env), null, '/tmp/none')
  expect(text).not.toContain('top-secret')
  const config = await parseConfig(text, '--from', env)
  expect(config.settings.stores.get('s3')).toMatchObject({ kind: 's3' })
  expect(config.settings.sources.size).toBe(0)
  expect(config.secrets).toEqual(expect.arrayContaining(['top-secret', 'lent-one']))
  const store = await config.openStore('s3')
  await store.close()
})

test('an account of Azure is given as a connection string, a key, or a token', () => {
  expect(storeOfUrl('azblob://c', { AZURE_STORAGE_ACCOUNT: 'a', AZURE_STORAGE_SAS_TOKEN: 't' })).toMatchObject({
    account_url: 'https://${AZURE_STORAGE_ACCOUNT}.blob.core.windows.net',
    sas: '${AZURE_STORAGE_SAS_TOKEN}',
  })
  expect(
    storeOfUrl('azblob://c', { AZURE_STORAGE_ACCOUNT: 'a', AZURE_STORAGE_KEY: 'k' })['connection_string'],
  ).toContain('AccountKey=${AZURE_STORAGE_KEY}')
})

test('a variable that is missing is named', async () => {
  const text = storeOnlyText(storeOfUrl('s3://clinic-backups', {}), null, '/tmp/none')
  await expect(parseConfig(text, '--from', {})).rejects.toThrow('AWS_ACCESS_KEY_ID is not set')
})

test('what a person typed is no variable', async () => {
  const text = storeOnlyText(storeOfUrl('file:///mnt/${HOME}', { HOME: '/root' }), null, '/tmp/none')
  const config = await parseConfig(text, '--from', { HOME: '/root' })
  const store = (await config.openStore('local')) as unknown as { localPath(key: string): string }
  expect(() => store.localPath('a')).toThrow(/a/)
  expect(config.variables).toEqual([])
})

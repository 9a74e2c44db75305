import { expect, test } from 'vitest'
import { adapter } from './index.ts'

const KEY = Buffer.from('canary').toString('base64')
const login = `AccountName=clinic;AccountKey=${KEY}`
const given = (config: object) => adapter.schema.safeParse({ container: 'backups', ...config })

test('a connection string, or an address with a shared access signature, opens a container', () => {
  for (const good of [
    { connection_string: `DefaultEndpointsProtocol=https;${login};EndpointSuffix=core.windows.net` },
    { connection_string: `BlobEndpoint=http://127.0.0.1:10000/clinic;${login}` },
    { connection_string: 'UseDevelopmentStorage=true' },
    { connection_string: 'BlobEndpoint=https://clinic.blob.core.windows.net;SharedAccessSignature=sv=1&sig=canary' },
    { connection_string: login, read_connection_string: login, delete_connection_string: login },
    { account_url: 'https://clinic.blob.core.windows.net', sas: 'sig=w', read_sas: 'sig=r', delete_sas: 'sig=d' },
    { account_url: 'https://clinic.blob.core.windows.net', sas: '?sv=1&sig=canary', prefix: 'prod/eu', tier: 'cool' },
  ])
    expect(given(good).error).toBeUndefined()
})

test('what cannot work, or would send a key in the clear, is refused without repeating it', () => {
  for (const [bad, reason] of [
    [{}, /give connection_string, or account_url with sas/],
    [{ account_url: 'https://clinic.blob.core.windows.net' }, /account_url with sas/],
    [{ account_url: 'http://clinic.blob.core.windows.net', sas: 'sig=canary' }, /https/],
    [{ connection_string: login, sas: 'sig=canary' }, /exclude each other/],
    [{ connection_string: login, read_sas: 'sig=canary' }, /give read_connection_string, or account_url with read_sas/],
    [{ connection_string: login, delete_connection_string: 'canary' }, /delete_connection_string has no AccountKey/],
    [{ connection_string: 'canary' }, /no AccountKey/],
    [{ connection_string: `DefaultEndpointsProtocol=http;${login}` }, /https/],
    [{ connection_string: `BlobEndpoint=http://10.0.0.1/clinic;${login}` }, /https/],
    [{ connection_string: login, container: 'No_Such' }, /name of a container/],
    [{ connection_string: login, prefix: '../x' }, /letters, digits/],
    [{ connection_string: login, lock: '14d' }, /lock/],
  ] as const) {
    const { error } = given(bad)
    expect(error?.message).toMatch(reason)
    expect(error?.message).not.toMatch(new RegExp(`canary|${KEY}`))
  }
})

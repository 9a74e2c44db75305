import { createServer, request as ask } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { inspect } from 'node:util'
import { ContainerSASPermissions } from '@azure/storage-blob'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { bytes, codeOf, feed, listAll, MiB, never, put, readAll, sha256 } from '@salvor/testkit/contracts/store-bytes'
import { startAzurite, type RealAzurite } from '@salvor/testkit/real/azurite'
import { startFaultProxy, type RequestSeen } from '@salvor/testkit/real/fault-proxy'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AzureStoreConfig } from './config.ts'
import { AzureStore } from './index.ts'

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
const HASTY = { answerMs: 1500, blockMs: 4000, idleMs: 700, tries: 3, backoffMs: 20 }

let azurite: RealAzurite
beforeAll(async () => {
  azurite = await startAzurite()
})
afterAll(() => azurite?.stop())

/** A store whose requests pass through a proxy that can harm them. */
async function openHarmed(config: Partial<AzureStoreConfig> = {}, timing = HASTY) {
  const container = await azurite.createContainer()
  const proxy = await startFaultProxy(azurite.endpoint, { speaks: 'http' })
  const connection_string = throughProxy(proxy.url)
  const store = new AzureStore('azure', { container, connection_string, ...config }, timing)
  return {
    store,
    proxy,
    container,
    /** The same container without a proxy. */
    direct: new AzureStore('azure', { container, connection_string: azurite.connection_string }),
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await azurite.client().deleteContainer(container)
    },
  }
}

function throughProxy(url: string): string {
  return azurite.connection_string.replaceAll(new URL(azurite.endpoint).origin, url)
}

const isPut = ({ method, path }: RequestSeen) => method === 'PUT' && !path.includes('comp=')
const isBlock = ({ method, path }: RequestSeen) => method === 'PUT' && /comp=block(&|$)/.test(path)
const isCommit = ({ method, path }: RequestSeen) => method === 'PUT' && path.includes('comp=blocklist')
const isGet = ({ method, path }: RequestSeen) => method === 'GET' && !path.includes('comp=')

async function failureOf(work: Promise<unknown>): Promise<SalvorError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SalvorError)
  const seen = inspect(error, { depth: 20, showHidden: true })
  const secrets = ['canary', Buffer.from('canary').toString('base64').slice(0, 7), 'sig=', 'SharedKey']
  for (const secret of secrets) expect(seen).not.toContain(secret)
  return error as SalvorError
}

test('a service that is busy is asked again, and told apart from one that is broken', async () => {
  await using at = await openHarmed()
  at.proxy.next({ kind: 'answer', status: 503 }, { times: 2, when: isPut })
  await put(at.store, KEY, bytes(1000))
  expect((await readAll(at.direct, KEY)).equals(bytes(1000))).toBe(true)
  at.proxy.next({ kind: 'answer', status: 503 }, { times: 3 })
  expect((await failureOf(at.store.head(KEY, never))).code).toBe('STORE_THROTTLED')
  at.proxy.next({ kind: 'answer', status: 500 }, { times: 3 })
  expect((await failureOf(at.store.head(KEY, never))).code).toBe('STORE_UNREACHABLE')
  expect(await at.store.head(KEY, never)).toMatchObject({ size: 1000 })
})

test.each([
  ['small', 1000, isPut],
  ['large', 20 * MiB, isCommit],
] as const)('an object that arrived without our hearing of it counts: %s', async (_size, size, when) => {
  for (const fault of [{ kind: 'withhold' }, { kind: 'withhold', silent: true }] as const) {
    await using at = await openHarmed({}, { ...HASTY, blockMs: 3000 })
    at.proxy.next(fault, { when })
    expect(await put(at.store, KEY, bytes(size))).toEqual({ key: KEY, size, sha256: sha256(bytes(size)) })
    expect(at.proxy.seen.requests.filter(when)).toHaveLength(2)
    expect(await listAll(at.direct)).toHaveLength(1)
  }
})

test.each([
  ['small', 1000, isPut],
  ['large', 20 * MiB, isBlock],
] as const)(
  'a bit that flips on the way up is refused by the service and sent again: %s',
  async (_size, size, when) => {
    await using at = await openHarmed()
    at.proxy.next({ kind: 'flip', body: 'request', at: 500 }, { when })
    await put(at.store, KEY, bytes(size))
    expect((await readAll(at.direct, KEY)).equals(bytes(size))).toBe(true)
    at.proxy.next({ kind: 'flip', body: 'request', at: 500 }, { when, times: 6 })
    expect((await failureOf(put(at.store, 'clinic/other', bytes(size)))).code).toBe('STORE_BAD_ECHO')
    expect(await at.direct.head('clinic/other', never)).toBeNull()
  },
)

test('where the service names no checksum of a block, the whole object is read back, and a bad byte is found', async () => {
  await using at = await openHarmed()
  at.proxy.next({ kind: 'flip', body: 'response', at: 17 * MiB }, { when: isGet })
  const failure = await failureOf(put(at.store, KEY, bytes(20 * MiB)))
  expect([failure.code, failure.retryable]).toEqual(['STORE_BAD_ECHO', true])
  expect(failure.message).toContain('holds other bytes than were sent')
  expect((await put(at.store, KEY, bytes(20 * MiB))).size).toBe(20 * MiB)
})

test('where the service names the checksum of each block, the list of blocks proves the object', async () => {
  await using at = await openHarmed()
  await using echoing = await startEcho((md5) => md5)
  const store = new AzureStore(
    'azure',
    { container: at.container, connection_string: throughProxy(echoing.url) },
    HASTY,
  )
  await put(store, KEY, bytes(40 * MiB))
  expect(echoing.gets).toEqual(['blocklist'])
  expect((await put(store, KEY, bytes(40 * MiB))).sha256).toBe(sha256(bytes(40 * MiB)))
  expect(echoing.gets).toEqual(['blocklist', 'blocklist'])
  expect((await readAll(at.direct, KEY)).equals(bytes(40 * MiB))).toBe(true)
})

test('a block whose checksum comes back as another one is never committed', async () => {
  await using at = await openHarmed()
  await using echoing = await startEcho(() => Buffer.alloc(16).toString('base64'))
  const store = new AzureStore(
    'azure',
    { container: at.container, connection_string: throughProxy(echoing.url) },
    HASTY,
  )
  expect((await failureOf(put(store, KEY, bytes(20 * MiB)))).code).toBe('STORE_BAD_ECHO')
  expect(await at.direct.head(KEY, never)).toBeNull()
})

test('staged blocks that the service dropped are an error that the next attempt gets over', async () => {
  await using at = await openHarmed()
  const body = '<?xml version="1.0"?><Error><Code>InvalidBlockList</Code><Message>.</Message></Error>'
  at.proxy.next({ kind: 'answer', status: 400, body }, { when: isCommit })
  const failure = await failureOf(put(at.store, KEY, bytes(20 * MiB)))
  expect([failure.code, failure.retryable]).toEqual(['STORE_BAD_ECHO', true])
  await put(at.store, KEY, bytes(20 * MiB))
})

test('a body that is cut again and again is read on from where it ended', async () => {
  await using at = await openHarmed()
  const data = bytes(9 * MiB)
  await put(at.store, KEY, data)
  at.proxy.next({ kind: 'cut', body: 'response', after: 2 * MiB }, { times: 4, when: isGet })
  expect((await readAll(at.store, KEY)).equals(data)).toBe(true)
  const asked = at.proxy.seen.requests.filter(isGet)
  expect(asked).toHaveLength(5)
  expect(asked.at(-1)!.headers['if-match']).toBeDefined()
  at.proxy.next({ kind: 'shorten', to: 1000 }, { when: isGet })
  expect((await readAll(at.store, KEY, { offset: 5, length: 8 * MiB })).equals(data.subarray(5, 8 * MiB + 5))).toBe(
    true,
  )
})

test('a line that goes silent ends a read and a write with an error, in bounded time', async () => {
  await using at = await openHarmed({}, { ...HASTY, answerMs: 700, blockMs: 1200 })
  await put(at.store, KEY, bytes(9 * MiB))
  const reading = (async () => {
    for await (const _ of at.store.read(KEY, null, never)) at.proxy.line({ halfOpen: true })
  })()
  expect((await failureOf(reading)).code).toBe('STORE_UNREACHABLE')
  expect((await failureOf(put(at.store, 'clinic/other', bytes(1000)))).code).toBe('STORE_UNREACHABLE')
  at.proxy.heal()
  at.proxy.cut()
  expect((await readAll(at.store, KEY)).equals(bytes(9 * MiB))).toBe(true)
})

test('an interruption ends a read that hangs', async () => {
  await using at = await openHarmed({}, { ...HASTY, idleMs: 60_000, answerMs: 60_000 })
  await put(at.store, KEY, bytes(9 * MiB))
  const stop = new AbortController()
  const reading = (async () => {
    for await (const _ of at.store.read(KEY, null, stop.signal)) {
      at.proxy.line({ halfOpen: true })
      setTimeout(() => stop.abort(), 100)
    }
  })()
  expect((await failureOf(reading)).code).toBe('INTERRUPTED')
})

test('an upload that broke off sends only what is missing', async () => {
  await using at = await openHarmed({}, { ...HASTY, blockMs: 30_000 })
  const data = bytes(56 * MiB)
  const first = await at.store.create(KEY, { size: data.length }, never)
  await feed(first, data.subarray(0, 50 * MiB))
  await at.proxy.down()
  expect((await failureOf(feed(first, data.subarray(50 * MiB)).then(() => first.finish()))).code).toBe(
    'STORE_UNREACHABLE',
  )
  await first.abort({ keepParts: true })
  await at.proxy.up()
  const before = at.proxy.seen.up
  const second = await at.store.create(KEY, { size: data.length, resume: first.resumeToken }, never)
  expect(second.resumeToken).toBe(first.resumeToken)
  await feed(second, data)
  expect(await second.finish()).toEqual({ key: KEY, size: data.length, sha256: sha256(data) })
  expect(at.proxy.seen.up - before).toBeLessThan(25 * MiB)
  expect((await readAll(at.direct, KEY)).equals(data)).toBe(true)
})

test('a wrong key, a missing container and an address where nobody listens are told apart, without the key', async () => {
  await using at = await openHarmed()
  const wrong =
    at.store &&
    azurite.connection_string.replace(/AccountKey=[^;]+/, `AccountKey=${Buffer.from('canary').toString('base64')}`)
  const codes: string[] = []
  for (const [container, connection_string] of [
    [at.container, wrong],
    ['no-such-container', azurite.connection_string],
    [at.container, throughProxy('http://127.0.0.1:9')],
  ] as const) {
    const store = new AzureStore('azure', { container, connection_string }, HASTY)
    codes.push((await failureOf(put(store, KEY, bytes(10)))).code)
  }
  expect(codes).toEqual(['STORE_DENIED', 'STORE_DENIED', 'STORE_UNREACHABLE'])
})

test('a shared access signature is enough, and what it does not allow is refused', async () => {
  await using at = await openHarmed()
  const expiresOn = new Date(Date.now() + 3_600_000)
  const signed = async (rights: string) => {
    const client = azurite.client().getContainerClient(at.container)
    const url = await client.generateSasUrl({ permissions: ContainerSASPermissions.parse(rights), expiresOn })
    const config = { container: at.container, account_url: azurite.endpoint, sas: new URL(url).search }
    return new AzureStore('azure', config, HASTY)
  }
  const store = await signed('rwl')
  await put(store, KEY, bytes(20 * MiB))
  expect(await listAll(store)).toHaveLength(1)
  expect((await failureOf(store.delete(KEY, never))).code).toBe('STORE_DENIED')
  // Without the right to read nothing can be proven, so nothing is called stored.
  expect((await failureOf(put(await signed('c'), 'clinic/other', bytes(10)))).code).toBe('STORE_DENIED')
})

test('one signature writes, one reads and one deletes: each is enough for its part and refused the others', async () => {
  await using at = await openHarmed()
  const expiresOn = new Date(Date.now() + 3_600_000)
  const signed = async (rights: string): Promise<string> => {
    const client = azurite.client().getContainerClient(at.container)
    return new URL(await client.generateSasUrl({ permissions: ContainerSASPermissions.parse(rights), expiresOn }))
      .search
  }
  const [writes, reads, deletes] = [await signed('cw'), await signed('rl'), await signed('d')]
  const place = { container: at.container, account_url: azurite.endpoint }
  const open = (sas: string, read_sas: string, delete_sas: string) =>
    new AzureStore('azure', { ...place, sas, read_sas, delete_sas }, HASTY)
  const store = open(writes, reads, deletes)
  const data = bytes(40 * MiB)
  const broken = await store.create(KEY, { size: data.length }, never)
  await feed(broken, data.subarray(0, 35 * MiB))
  await broken.abort({ keepParts: true })
  const resumed = await store.create(KEY, { size: data.length, resume: broken.resumeToken }, never)
  await feed(resumed, data)
  await resumed.finish()
  expect((await readAll(store, KEY)).equals(data)).toBe(true)
  expect(await listAll(store)).toHaveLength(1)
  expect((await failureOf(open(writes, reads, writes).delete(KEY, never))).code).toBe('STORE_DENIED')
  expect((await failureOf(open(reads, reads, reads).delete(KEY, never))).code).toBe('STORE_DENIED')
  expect((await failureOf(readAll(open(writes, writes, deletes), KEY))).code).toBe('STORE_DENIED')
  expect((await failureOf(put(open(reads, reads, deletes), `${KEY}.2`, bytes(10)))).code).toBe('STORE_DENIED')
  await store.delete(KEY, never)
  expect(await store.head(KEY, never)).toBeNull()
})

test('an object in the archive tier is proven by what can be seen of it, and reading it says what to do', async () => {
  await using at = await openHarmed({ tier: 'archive' })
  await put(at.store, KEY, bytes(20 * MiB))
  expect((await put(at.store, KEY, bytes(20 * MiB))).size).toBe(20 * MiB)
  const failure = await failureOf(readAll(at.store, KEY))
  expect([failure.code, failure.retryable]).toEqual(['STORE_DENIED', false])
  expect(failure.message).toContain('archive tier')
  await put(at.store, 'clinic/backup_full_20251127_203930.manifest.json', bytes(5000))
  expect(await readAll(at.store, 'clinic/backup_full_20251127_203930.manifest.json')).toHaveLength(5000)
})

test('objects of others in the container are passed over', async () => {
  await using at = await openHarmed({ prefix: 'prod' })
  const client = azurite.client().getContainerClient(at.container)
  for (const name of ['prod/.hidden', 'prod/a b', 'prod2/x', 'x']) await client.getBlockBlobClient(name).upload('x', 1)
  await put(at.store, KEY, bytes(10))
  expect((await listAll(at.store)).map(({ key }) => key)).toEqual([KEY])
  expect(await codeOf(at.store.replace(KEY, bytes(1), never))).toBe('STORE_DENIED')
})

/** Before Azurite, which keeps silent there: names a checksum of each staged block, as Azure itself does. */
async function startEcho(echo: (md5: string) => string) {
  const { hostname, port } = new URL(azurite.endpoint)
  const gets: string[] = []
  const server = createServer((request, response) => {
    const { method, url = '', headers } = request
    if (method === 'GET') gets.push(/comp=(\w+)/.exec(url)?.[1] ?? 'object')
    const onward = ask({ hostname, port, method, path: url, headers }, (reply) => {
      const md5 = headers['content-md5']
      const isStaged = method === 'PUT' && /comp=block(&|$)/.test(url) && typeof md5 === 'string'
      response.writeHead(reply.statusCode!, { ...reply.headers, ...(isStaged ? { 'content-md5': echo(md5) } : {}) })
      pipeline(reply, response).catch(() => response.destroy())
    })
    pipeline(request, onward).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    gets,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

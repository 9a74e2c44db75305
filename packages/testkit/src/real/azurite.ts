import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { BlobServiceClient } from '@azure/storage-blob'

/** A key that a leak test can look for. */
const KEY = Buffer.from('canary-azure-account-key-0000000').toString('base64')
const ACCOUNT = 'salvortest'

export interface RealAzurite extends AsyncDisposable {
  readonly connection_string: string
  readonly how: 'env' | 'local'
  /** Where the service listens, `http://127.0.0.1:port/account`. */
  readonly endpoint: string
  createContainer(name?: string): Promise<string>
  /** A client of the Azure SDK with every right, to look at and change things behind a store's back. */
  client(): BlobServiceClient
  stop(): Promise<void>
}

/**
 * Azure's blob service: the one of TEST_AZURITE_CONNECTION_STRING, else npm's Azurite on a free loopback port with its
 * data in a temporary folder (about 1.5 s). It ends with this process at the latest.
 */
export async function startAzurite(): Promise<RealAzurite> {
  const given = process.env['TEST_AZURITE_CONNECTION_STRING']
  if (given !== undefined && given !== '') return azurite(given, 'env', async () => undefined)
  const folder = mkdtempSync(join(tmpdir(), 'salvor-azurite-'))
  const child = spawnAzurite(folder)
  const stop = async (): Promise<void> => {
    child.stdin!.destroy()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const endpoint = `${await listens(child)}/${ACCOUNT}`
    const login = `AccountName=${ACCOUNT};AccountKey=${KEY}`
    return azurite(`DefaultEndpointsProtocol=http;${login};BlobEndpoint=${endpoint};`, 'local', stop)
  } catch (error) {
    await stop()
    throw error
  }
}

function azurite(connection_string: string, how: RealAzurite['how'], stop: () => Promise<void>): RealAzurite {
  const client = () => BlobServiceClient.fromConnectionString(connection_string)
  return {
    connection_string,
    how,
    endpoint: client().url.replace(/\/$/, ''),
    async createContainer(name = `c-${randomBytes(8).toString('hex')}`) {
      await client().createContainer(name)
      return name
    },
    client,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The server dies when the pipe to this process closes, for whatever reason. */
const WATCHED = `exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -KILL $server; } 2>/dev/null & watch=$!
wait $server 2>/dev/null
kill $watch 2>/dev/null`

function spawnAzurite(folder: string): ChildProcess {
  const program = join(dirname(createRequire(import.meta.url).resolve('azurite/package.json')), 'dist/src/blob/main.js')
  const where = ['--blobHost', '127.0.0.1', '--blobPort', '0', '--location', folder]
  // The SDK speaks a newer version of the API than this server knows.
  const how = ['--skipApiVersionCheck', '--disableTelemetry', '--silent']
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', process.execPath, program, ...where, ...how], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` },
  })
  child.stdin.on('error', () => undefined)
  return child
}

/** The address that it says it listens on. */
async function listens(child: ChildProcess): Promise<string> {
  const said: string[] = []
  child.stderr!.setEncoding('utf8').on('data', (text: string) => said.push(text))
  for await (const line of createInterface({ input: child.stdout! })) {
    const address = /listens on (http:\S+)/.exec(line)?.[1]
    said.push(line)
    if (address === undefined) continue
    child.stdout!.resume()
    return address
  }
  throw new Error(`Azurite did not start: ${said.join('\n').slice(-2000)}`)
}

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3'
import { NotPossibleHere } from './not-here.ts'

const SCRIPTS = fileURLToPath(new URL('../../real/s3-server/', import.meta.url))

export interface S3Login {
  readonly access_key_id: string
  readonly secret_access_key: string
}
/** A user of the same account who may do nothing until a bucket policy says so. */
export interface S3User extends S3Login {
  readonly arn: string
}

export interface RealS3 extends S3Login, AsyncDisposable {
  readonly endpoint: string
  readonly region: string
  /** Null where the server came from TEST_S3_URL: only one login is known there. */
  readonly writer: S3User | null
  readonly reader: S3User | null
  readonly how: 'env' | 'local'
  /** Of the instance, where it is our own: part of its mount and of its processes' arguments. */
  readonly name: string | null
  /** Makes a bucket; with `users`, writer and reader get a policy: one only writes, one only reads. Gives its name. */
  createBucket(options?: { readonly objectLock?: boolean; readonly users?: boolean }): Promise<string>
  /** kill -9 of a tier, then its return on the same data. Objects outlive it in a `bluestore` only. */
  crash(what: 'rgw' | 'osd' | 'mon' | 'all'): Promise<void>
  /** Leaves no process, no mount and no data. */
  stop(): Promise<void>
}

export interface S3Options {
  /** memstore (default) is fast and forgets on a crash. */
  readonly store?: 'memstore' | 'bluestore'
  readonly region?: string
}

/**
 * A real S3 gateway: the one of TEST_S3_URL (`http://KEY:SECRET@host:port?region=…`), else a Ceph RADOS Gateway of its own
 * on free loopback ports (3-4 s; the first one of a checkout also unpacks its packages: a minute). It ends with this process at the latest.
 */
export async function startS3(options: S3Options = {}): Promise<RealS3> {
  const given = process.env['TEST_S3_URL']
  if (given !== undefined && given !== '') return fromUrl(new URL(given))
  const data = mkdtempSync(join(tmpdir(), 'salvor-s3-'))
  const name = `t${randomBytes(6).toString('hex')}`
  const env = { S3_SERVER_TMP: data, S3_SERVER_STORE: options.store ?? 'memstore', S3_SERVER_NODE: process.execPath }
  const remove = async (): Promise<void> => {
    await script('down', [name], env)
    rmSync(data, { recursive: true, force: true })
  }
  try {
    const lines = await upOnFreePorts(name, options.region ?? 'us-east-1', env)
    return localS3(name, lines, env, removeWhenThisEnds(name, data, env), remove)
  } catch (error) {
    await remove()
    throw error
  }
}

async function upOnFreePorts(name: string, region: string, env: Env): Promise<Map<string, string>> {
  for (let attempt = 1; ; attempt++) {
    const { code, stdout, stderr } = await script('up', [name, String(await threeFreePorts()), region], env)
    if (code === 0)
      return new Map(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
      )
    const reason = /ERROR: (.*)/.exec(stderr)?.[1] ?? `ended with ${code}`
    if (code === 3) throw new NotPossibleHere(`no S3 server: TEST_S3_URL is not set, and ${reason}`)
    if (attempt === 4) throw new Error(`the S3 server did not start: ${stderr.slice(-3000)}`)
  }
}

function localS3(
  name: string,
  lines: Map<string, string>,
  env: Env,
  disarm: () => void,
  remove: () => Promise<void>,
): RealS3 {
  const line = (key: string): string => {
    const value = lines.get(`S3_${key}`)
    if (value === undefined) throw new Error(`the S3 server did not say S3_${key}`)
    return value
  }
  const login = (role: string): S3Login => ({
    access_key_id: line(`${role}ACCESS_KEY_ID`),
    secret_access_key: line(`${role}SECRET_ACCESS_KEY`),
  })
  const user = (role: 'WRITER_' | 'READER_'): S3User => ({ ...login(role), arn: line(`${role}ARN`) })
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => (stopped ??= remove().finally(disarm))
  const server = {
    endpoint: line('ENDPOINT'),
    region: line('REGION'),
    ...login(''),
    writer: user('WRITER_'),
    reader: user('READER_'),
  }
  return {
    ...server,
    how: 'local',
    name,
    createBucket: (options) => createBucket(server, options),
    crash: async (what) => {
      const { code, stderr } = await script('crash', [name, what], env)
      if (code !== 0) throw new Error(`the S3 server did not come back: ${stderr}`)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function fromUrl(url: URL): RealS3 {
  const server = {
    endpoint: url.origin,
    region: url.searchParams.get('region') ?? 'us-east-1',
    access_key_id: decodeURIComponent(url.username),
    secret_access_key: decodeURIComponent(url.password),
    writer: null,
    reader: null,
  }
  const nothing = async (): Promise<void> => undefined
  return {
    ...server,
    how: 'env',
    name: null,
    createBucket: (options) => createBucket(server, options),
    crash: () => Promise.reject(new NotPossibleHere('the server of TEST_S3_URL is not ours to crash')),
    stop: nothing,
    [Symbol.asyncDispose]: nothing,
  }
}

type Server = Pick<RealS3, 'endpoint' | 'region' | 'writer' | 'reader' | keyof S3Login>

async function createBucket(server: Server, options: { objectLock?: boolean; users?: boolean } = {}): Promise<string> {
  const Bucket = `b-${randomBytes(8).toString('hex')}`
  const client = s3Client(server)
  try {
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: options.objectLock ?? false }))
    if (options.users === true) {
      await client.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify(policyFor(Bucket, server)) }))
    }
    return Bucket
  } finally {
    client.destroy()
  }
}

/** A client of the AWS SDK with the main login, or with the one given. */
export function s3Client(
  server: Pick<RealS3, 'endpoint' | 'region' | keyof S3Login>,
  login: S3Login = server,
): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    forcePathStyle: true,
    credentials: { accessKeyId: login.access_key_id, secretAccessKey: login.secret_access_key },
  })
}

function policyFor(bucket: string, server: Server): object {
  if (server.writer === null || server.reader === null) throw new NotPossibleHere('TEST_S3_URL names one login only')
  const objects = `arn:aws:s3:::${bucket}/*`
  const allow = (user: S3User, Action: readonly string[]): object => ({
    Effect: 'Allow',
    Principal: { AWS: [user.arn] },
    Action,
    Resource: [`arn:aws:s3:::${bucket}`, objects],
  })
  return {
    Version: '2012-10-17',
    Statement: [
      {
        ...allow(server.writer, ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts']),
        Resource: [objects],
      },
      allow(server.reader, [
        's3:GetObject',
        's3:GetObjectVersion',
        's3:GetObjectRetention',
        's3:ListBucket',
        's3:ListBucketVersions',
      ]),
    ],
  }
}

type Env = Readonly<Record<string, string>>

/** Runs a starter script; its output goes to pipes that the daemons do not inherit. */
function script(
  name: 'up' | 'down' | 'crash',
  args: readonly string[],
  env: Env,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(join(SCRIPTS, name), args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...out }))
  })
}

/** A guard that outlives this process by one `down`: it waits for the end of a pipe that only this process holds open. */
function removeWhenThisEnds(name: string, data: string, env: Env): () => void {
  const wait = 'read -r word; [ "$word" = done ] && exit; "$0" "$1" 2>/dev/null; rm -rf "$2"'
  const guard = spawn('bash', ['-c', wait, join(SCRIPTS, 'down'), name, data], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  const pipe = guard.stdin
  pipe.on('error', () => undefined)
  ;(pipe as unknown as { unref?: () => void }).unref?.()
  return () => pipe.end('done\n')
}

/** The first of three free ports in a row, below the range that the kernel gives to clients. */
async function threeFreePorts(): Promise<number> {
  for (;;) {
    const port = 17_000 + (randomBytes(2).readUInt16BE() % 14_000)
    const free = await Promise.all([port, port + 1, port + 2].map(isFree))
    if (free.every(Boolean)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

// node --conditions=source packages/testkit/src/real/s3-main.ts [memstore|bluestore]
// Starts a gateway with one bucket, says so in one line of JSON, and stops it on SIGTERM, SIGINT or the end of stdin.
import { NotPossibleHere } from './not-here.ts'
import { startS3 } from './s3.ts'

try {
  const s3 = await startS3({ store: process.argv[2] === 'bluestore' ? 'bluestore' : 'memstore' })
  const bucket = await s3.createBucket()
  const { endpoint, region, access_key_id, secret_access_key, how } = s3
  console.log(JSON.stringify({ endpoint, region, bucket, access_key_id, secret_access_key, how }))
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve())
    process.stdin.resume().once('end', resolve)
  })
  await s3.stop()
  process.exit(0)
} catch (error) {
  if (!(error instanceof NotPossibleHere)) throw error
  console.error(error.skipReason)
  process.exit(3)
}

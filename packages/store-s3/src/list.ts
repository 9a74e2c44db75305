import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import type { StoredObject } from '@salvor/shared/ports/store'
import { assertKeyPrefix, isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { Answer } from './answer.ts'
import type { Session } from './session.ts'

/** Page after page, ascending. Names that Salvor would not write are passed over: the bucket may hold other things. */
export async function* listObjects(
  session: Session,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<StoredObject> {
  assertKeyPrefix(prefix)
  const above = session.full('')
  for (let from: string | undefined; ;) {
    const page = await session.send('read', signal, (client, options) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: session.bucket,
          Prefix: above + prefix,
          EncodingType: 'url',
          ContinuationToken: from,
          MaxKeys: session.patience.pageSize,
        }),
        options,
      ),
    )
    for (const { Key, Size } of page.Contents ?? []) {
      const key = decoded(Key ?? '').slice(above.length)
      if (isObjectKey(key) && Size !== undefined) yield { key, size: Size, sha256: null }
    }
    if (page.IsTruncated !== true) return
    from = page.NextContinuationToken
    if (from === undefined) throw new Answer('broken', 'its list ends without an end', null)
  }
}

/** Keys come encoded, so that a foreign name with control characters does not break the list. */
export function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return ''
  }
}

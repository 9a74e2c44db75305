import { expect, test } from 'vitest'
import { RING } from './backup.fixture.ts'
import { type Claim, parseClaim, serializeClaim } from './claim.ts'

const CLAIM: Claim = {
  format_version: 1,
  catalog_id: '019ac6f5-77f6-7c31-8000-0123456789ab',
  epoch: 3,
  source: 'clinic',
  since: '2025-11-27T20:39:30.294774Z',
}

test('a claim comes back from its file, for its own source and epoch only', () => {
  const file = serializeClaim(CLAIM, RING)
  expect(parseClaim(file, 'clinic/claims/3.json', RING)).toMatchObject({ body: CLAIM, signer: 'trusted' })
  for (const key of ['clinic/claims/4.json', 'other/claims/3.json'])
    expect(() => parseClaim(file, key, RING)).toThrow('another source or epoch')
  const forged = Buffer.from(file.toString().replace('"epoch": 3', '"epoch": 4'))
  expect(() => parseClaim(forged, 'clinic/claims/4.json', RING)).toThrow('signature')
})

import { loadKeyring } from './keyring-file.ts'

/** A process that wants the keyring of a data folder and tells who signs. */
const ring = await loadKeyring(
  { keyring_file: null, data_dir: process.argv[2] ?? '' },
  () => '2025-11-27T20:39:30.294774Z',
)
process.send!(ring.sign(Buffer.from('x')).signer, () => process.disconnect())

import type { SkippableBytes } from '@salvor/shared/ports/artifact'
import { BLOCK, isZeroBlock, padded, parseHeader, TarInvalid, type TarHeader } from './header.ts'

export type TarPart =
  /** `block`: the header as it came; valid until the next part is asked for. `skip`: its bytes are not wanted. */
  | { readonly kind: 'member'; readonly header: TarHeader; readonly block: Buffer; readonly skip: () => void }
  /** Valid as long as the chunk that it came in. */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  /** The member is whole. */
  | { readonly kind: 'end' }

/** A tar stream as its members and their bytes, in place. A stream that is cut short ends with TarInvalid. */
export async function* tarParts(chunks: AsyncIterable<Uint8Array> | SkippableBytes): AsyncGenerator<TarPart> {
  const held = Buffer.alloc(BLOCK)
  const state: State = { held, filled: 0, data: 0, padding: 0, open: false, ended: false }
  const skip = (): void => {
    state.padding += state.data
    state.data = 0
  }
  for await (const bytes of chunks) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at < chunk.length) {
      if (state.data > 0) {
        const end = Math.min(at + state.data, chunk.length)
        state.data -= end - at
        yield { kind: 'data', bytes: chunk.subarray(at, end) }
        at = end
      } else if (state.padding > 0) {
        const count = Math.min(state.padding, chunk.length - at)
        state.padding -= count
        at += count
        if (at === chunk.length && state.padding > 0 && 'skip' in chunks) {
          chunks.skip(state.padding)
          state.padding = 0
        }
      } else {
        const header = takeBlock(state, chunk, at)
        at += header.taken
        if (header.found) {
          state.open = true
          yield { kind: 'member', header: header.found, block: held, skip }
        }
      }
      if (state.open && state.data === 0) {
        state.open = false
        yield { kind: 'end' }
      }
    }
  }
  if (!state.ended || state.open || state.filled > 0) throw new TarInvalid('the archive ends too early')
}

interface State {
  readonly held: Buffer
  filled: number
  /** Bytes of the present member that are still to come, and those that fill its last block. */
  data: number
  padding: number
  open: boolean
  ended: boolean
}

function takeBlock(state: State, chunk: Buffer, at: number): { taken: number; found: TarHeader | null } {
  const taken = chunk.copy(state.held, state.filled, at)
  state.filled += taken
  if (state.filled < BLOCK) return { taken, found: null }
  state.filled = 0
  const zero = isZeroBlock(state.held)
  if (state.ended && !zero) throw new TarInvalid('there is something behind the end of the archive')
  state.ended = zero
  if (zero) return { taken, found: null }
  const found = parseHeader(state.held)
  state.data = found.size
  state.padding = padded(found.size) - found.size
  return { taken, found }
}

const GATHERED = 64 * 1024

/** Small pieces of text in few large ones. */
export async function* gathered(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let held = ''
  for await (const piece of pieces) {
    held += piece
    if (held.length < GATHERED) continue
    yield held
    held = ''
  }
  if (held !== '') yield held
}

/** Smaller ones may lie in memory that Node shares out among many. */
const OWN_BYTES = 64 << 10

/**
 * Gives the memory of bytes that nobody reads any more back at once; whoever still holds them sees none. Left to the garbage collector, a few
 * dead megabytes make it collect the whole heap: a third of the CPU of reading a segment.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength >= OWN_BYTES && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

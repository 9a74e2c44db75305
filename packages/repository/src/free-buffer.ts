/**
 * Gives the memory of a large buffer back at once. Frames come and go faster than the garbage collector looks at memory outside its
 * heap: without this a run holds several hundred MB of dead buffers. The buffer, and every view of it, is empty afterwards.
 * One that shares Node's pool is left alone.
 */
export function freeBuffer(buffer: Uint8Array): void {
  const memory = buffer.buffer
  if (!(memory instanceof ArrayBuffer)) return
  if (memory.byteLength > Buffer.poolSize || memory.byteLength === buffer.byteLength) memory.transfer(0)
}

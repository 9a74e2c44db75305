const LOAD = 0.6

/**
 * Finds a number by a name that is kept elsewhere (a scratch file): some 20 bytes a name, so that a million files fit
 * into little memory. Names are byte strings.
 */
export class NameTable {
  #hashes = new Uint32Array(1024)
  /** The number + 1; 0: free. */
  #values = new Float64Array(1024)
  size = 0

  /** `name` must not be there yet. */
  add(name: string, value: number): void {
    if (this.size >= this.#values.length * LOAD) this.#grow()
    this.#put(hashOf(name), value + 1)
    this.size++
  }

  /** `isIt` tells whether the name behind a number is the one that is looked for. */
  find(name: string, isIt: (value: number) => boolean): number | null {
    const hash = hashOf(name)
    const mask = this.#values.length - 1
    for (let at = hash & mask; this.#values[at] !== 0; at = (at + 1) & mask) {
      if (this.#hashes[at] === hash && isIt(this.#values[at]! - 1)) return this.#values[at]! - 1
    }
    return null
  }

  #put(hash: number, value: number): void {
    const mask = this.#values.length - 1
    let at = hash & mask
    while (this.#values[at] !== 0) at = (at + 1) & mask
    this.#hashes[at] = hash
    this.#values[at] = value
  }

  #grow(): void {
    const [hashes, values] = [this.#hashes, this.#values]
    this.#hashes = new Uint32Array(hashes.length * 2)
    this.#values = new Float64Array(values.length * 2)
    values.forEach((value, i) => {
      if (value !== 0) this.#put(hashes[i]!, value)
    })
  }
}

/** FNV-1a, mixed once more: neighbouring numbers in names must not lie side by side. */
export function hashOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

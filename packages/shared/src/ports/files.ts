/** The files of a source that names several with `paths`. */
export interface FoundFiles<C> {
  /** `relative`: parts divided by `/`, below the folder that all paths share; ascending, each once. */
  readonly files: readonly { readonly relative: string; readonly config: C }[]
  /** What lies there and cannot be taken. */
  readonly left_out: readonly { readonly file: string; readonly reason: string }[]
}

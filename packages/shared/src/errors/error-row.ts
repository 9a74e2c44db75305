/** One failure: its words and what a caller may do. `{words}` are filled in. */
export interface ErrorRow {
  readonly message: string
  /** Something that can be typed, or done. */
  readonly hint: string
  readonly retryable: boolean
  readonly exit: number
}

export const row = (message: string, hint: string, retryable: boolean, exit = 1): ErrorRow => ({
  message,
  hint,
  retryable,
  exit,
})

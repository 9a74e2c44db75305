/** The two connections of the thread: reads never see, and never wait for, what an open transaction has written. */
export type Side = 'read' | 'write'

export type Request =
  | { readonly op: 'open'; readonly path: string }
  /** `before`: what goes before it, whose answers nobody needs. The first that fails is the answer, and what follows is not done. */
  | ({ readonly op: 'query'; readonly side: Side; readonly before: readonly Statement[] } & Statement)
  | { readonly op: 'rollback'; readonly side: Side }
  | { readonly op: 'close' }

export interface Statement {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

export interface Answer {
  /** Names once and values in their order: objects would carry every name with every row from thread to thread. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly unknown[])[]
  /** Rows written; 0 for a query that gives rows. */
  readonly changes: number
}

export interface Posted {
  readonly id: number
  readonly request: Request
}

export type Reply =
  | { readonly id: number; readonly answer: Answer }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }

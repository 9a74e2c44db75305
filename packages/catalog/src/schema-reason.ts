interface Misfit {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly code: string }[]
}

/** Where a value does not fit its schema, without the value: `size_bytes: invalid_type, it: unrecognized_keys`. */
export function schemaReason({ issues }: Misfit): string {
  return issues.map(({ path, code }) => `${path.map(String).join('.') || 'it'}: ${code}`).join(', ')
}

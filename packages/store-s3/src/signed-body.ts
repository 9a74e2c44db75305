/** Where `knownHash` belongs in a command's middleware. */
export const BEFORE_SIGNING = { step: 'build', name: 'salvorKnownHash' } as const

/**
 * Gives the signer the hash of the body that is known already. Without it the SDK hashes the body a second time: SHA-256
 * is half of what an upload costs.
 */
export function knownHash(
  base64Sha256: string,
): <A extends { readonly request: unknown }, R>(next: (args: A) => Promise<R>) => (args: A) => Promise<R> {
  const hex = Buffer.from(base64Sha256, 'base64').toString('hex')
  return (next) => (args) => {
    const request = args.request as { readonly headers: Record<string, string> }
    request.headers['x-amz-content-sha256'] = hex
    return next(args)
  }
}

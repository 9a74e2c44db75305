/**
 * Why a secret must not be sent to this address; null: it may. TLS everywhere but on this machine's loopback, and no
 * user or password in the address: these end up in error texts. The reason never quotes the address.
 */
export function whyNotSafe(address: string): string | null {
  const url = URL.parse(address)
  if (!url) return 'not a web address'
  if (url.username || url.password) return 'has a user or password before the host'
  if (url.protocol === 'https:') return null
  if (url.protocol === 'http:' && isLoopback(url.hostname)) return null
  return 'must begin with https:// (http:// is for 127.0.0.1, [::1] and localhost only)'
}

function isLoopback(hostname: string): boolean {
  // URL has already turned 127.1, 0x7f000001 and the like into four decimal numbers.
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

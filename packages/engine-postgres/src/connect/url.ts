/** A connection URL in its parts, percent escapes resolved. Empty strings: not said. */
export interface UrlParts {
  readonly user: string
  readonly password: string
  readonly hosts: readonly { readonly host: string; readonly port: string }[]
  readonly database: string
  readonly options: ReadonlyMap<string, string>
}

/** As libpq reads it: several hosts, none at all, and the folder of a socket as `%2Frun%2Fpostgresql`. Null: not such a URL. */
export function splitUrl(text: string): UrlParts | null {
  const found = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^/?#]*))?(?:\?([^#]*))?$/.exec(text)
  if (found === null) return null
  const [, login = '', hosts = '', database = '', query = ''] = found
  const colon = login.indexOf(':')
  try {
    return {
      user: decodeURIComponent(colon === -1 ? login : login.slice(0, colon)),
      password: decodeURIComponent(colon === -1 ? '' : login.slice(colon + 1)),
      hosts: hosts === '' ? [] : hosts.split(',').map(splitHost),
      database: decodeURIComponent(database),
      options: new Map(query === '' ? [] : query.split('&').map(splitOption)),
    }
  } catch {
    return null
  }
}

function splitHost(text: string): { host: string; port: string } {
  const [, bracketed, name = '', port = ''] = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text) ?? []
  if (bracketed === undefined && name === '' && text !== '' && !text.startsWith(':')) throw new URIError('a host')
  return { host: bracketed ?? decodeURIComponent(name), port }
}

function splitOption(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new URIError('an option')
  return [decodeURIComponent(text.slice(0, at)), decodeURIComponent(text.slice(at + 1))]
}

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificates {
  /** PEM file of the authority that signed `cert`. */
  readonly ca: string
  /** PEM file of another authority. */
  readonly otherCa: string
  readonly cert: string
  readonly key: string
  /** PEM files with which the role of that name logs in. */
  client(name: string): { readonly cert: string; readonly key: string }
}

/** An authority, and a server certificate of it for `names` (subjectAltName entries). Made by openssl in `folder`. */
export function makeCertificates(folder: string, names: string): Certificates {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  for (const ca of ['ca', 'other']) {
    const subject = ['-subj', `/CN=Salvor test ${ca}`, '-days', '2']
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${ca}.key`, '-out', `${ca}.pem`, ...subject)
  }
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server')
  writeFileSync(join(folder, 'names'), `subjectAltName=${names}\n`)
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', '-sha384', ...signed)
  return {
    ca: join(folder, 'ca.pem'),
    otherCa: join(folder, 'other.pem'),
    cert: readFileSync(join(folder, 'server.pem'), 'utf8'),
    key: readFileSync(join(folder, 'server.key'), 'utf8'),
    client(name) {
      const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]
      openssl('req', '-newkey', 'rsa:2048', '-nodes', ...request)
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-out',
        `${name}.pem`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-days',
        '2',
      )
      return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
    },
  }
}

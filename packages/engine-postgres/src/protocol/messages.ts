/** Message types of the frontend/backend protocol 3.0 that the server sends here. */
export const TYPE = {
  authentication: 0x52, // R
  backendKey: 0x4b, // K
  commandComplete: 0x43, // C
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyIn: 0x47, // G
  copyBoth: 0x57, // W
  copyOut: 0x48, // H
  dataRow: 0x44, // D
  emptyQuery: 0x49, // I
  error: 0x45, // E
  notice: 0x4e, // N
  notification: 0x41, // A
  parameter: 0x53, // S
  protocolVersion: 0x76, // v
  ready: 0x5a, // Z
  rowDescription: 0x54, // T
} as const

const PROTOCOL_3_0 = 196608
const SSL_REQUEST = 80877103

export function sslRequest(): Buffer {
  const message = Buffer.alloc(8)
  message.writeInt32BE(8, 0)
  message.writeInt32BE(SSL_REQUEST, 4)
  return message
}

export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters)
    .map(([key, value]) => `${key}\0${value}\0`)
    .join('')
  const body = Buffer.from(`${text}\0`, 'utf8')
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length, 0)
  head.writeInt32BE(PROTOCOL_3_0, 4)
  return Buffer.concat([head, body])
}

export const query = (sql: string): Buffer => message('Q', Buffer.from(`${sql}\0`, 'utf8'))
export const copyData = (body: Buffer): Buffer => message('d', body)
export const copyDone = (): Buffer => message('c', Buffer.alloc(0))
export const terminate = (): Buffer => message('X', Buffer.alloc(0))
export const clearPassword = (password: string): Buffer => message('p', Buffer.from(`${password}\0`, 'utf8'))
export const saslResponse = (text: string): Buffer => message('p', Buffer.from(text, 'utf8'))

export function saslInitialResponse(mechanism: string, text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(text))
  return message('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(text, 'utf8')]))
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

/** One row as text. Malformed lengths end with a RangeError, never with a read beyond the body. */
export function dataRow(body: Buffer): (string | null)[] {
  const columns: (string | null)[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    if (length === -1) {
      columns.push(null)
      continue
    }
    if (length < 0 || at + length > body.length) throw new RangeError('a column is longer than its row')
    columns.push(body.toString('utf8', at, at + length))
    at += length
  }
  return columns
}

/** NUL-terminated strings up to the empty one or the end. */
export function strings(body: Buffer, from = 0): string[] {
  const found: string[] = []
  for (let at = from; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at)
    if (end === -1) throw new RangeError('a string does not end')
    found.push(body.toString('utf8', at, end))
    at = end + 1
  }
  return found
}

/** `'` doubled, as the replication grammar and SQL read a literal. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Bytes of a column in a RowDescription behind its name. */
const COLUMN_BYTES = 18

/** Names of the columns of a RowDescription. */
export function columnNames(body: Buffer): string[] {
  const names: string[] = []
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const end = body.indexOf(0, at)
    if (end === -1) throw new RangeError('a column without an end')
    names.push(body.toString('utf8', at, end))
    at = end + 1 + COLUMN_BYTES
  }
  return names
}

import { expect, test } from 'vitest'
import { isPrivate, isSecretMount } from './private-file.ts'

test.each([
  { mode: 0o600, uid: 10001, gid: 10001, good: true, why: 'its own' },
  { mode: 0o400, uid: 0, gid: 0, good: true, why: 'for its owner alone' },
  { mode: 0o640, uid: 0, gid: 999, good: true, why: "root's, for a group of this process" },
  { mode: 0o440, uid: 0, gid: 999, good: true, why: 'as Kubernetes mounts it with fsGroup' },
  { mode: 0o640, uid: 0, gid: 50, good: false, why: 'a group that is not ours' },
  { mode: 0o640, uid: 10001, gid: 999, good: false, why: 'not given by root' },
  { mode: 0o660, uid: 0, gid: 999, good: false, why: 'the group may write it' },
  { mode: 0o644, uid: 0, gid: 999, good: false, why: 'all may read it' },
])('a key file of mode $mode, user $uid and group $gid: $good ($why)', ({ good, ...rights }) => {
  expect(isPrivate(rights, { uid: 10001, groups: [10001, 999] })).toBe(good)
})

test("root's own key is for root alone", () => {
  const rights = { mode: 0o640, uid: 0, gid: 0 }
  expect(isPrivate(rights, { uid: 0, groups: [0] })).toBe(false)
})

const ROOT = '24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw'
const RUN = '25 24 0:22 / /run rw,nosuid,nodev shared:2 - tmpfs tmpfs rw,size=2g'
const COMPOSE = '700 690 254:1 /srv/salvor/secrets/k.json /run/secrets/salvor_keys ro,relatime - ext4 /dev/vda1 rw'
const SWARM = '701 690 0:80 /9xk /run/secrets/swarm ro,relatime - tmpfs tmpfs rw'
const KUBERNETES = '702 690 0:91 / /run/secrets/salvor ro,relatime - tmpfs tmpfs rw,size=512m'
const WRITABLE = '703 690 0:92 / /run/secrets/open rw,relatime - tmpfs tmpfs rw'
const SPACED = '704 690 0:93 / /run/secrets/the\\040keys ro - tmpfs tmpfs rw'
const CONTAINER = [ROOT, RUN, COMPOSE, SWARM, KUBERNETES, WRITABLE, SPACED, ''].join('\n')

test('secrets that an engine mounted into this container are private to it, whatever their mode says', () => {
  expect(isSecretMount(CONTAINER, '/run/secrets/salvor_keys')).toBe(true)
  expect(isSecretMount(CONTAINER, '/run/secrets/swarm')).toBe(true)
  expect(isSecretMount(CONTAINER, '/run/secrets/salvor/..2026_11_26/keys.json')).toBe(true)
  expect(isSecretMount(CONTAINER, '/run/secrets/the keys/a.json')).toBe(true)
})

test('a plain folder, a mount that can be written and a mount elsewhere are no secret mounts', () => {
  expect(isSecretMount([ROOT, RUN].join('\n'), '/run/secrets/salvor_keys')).toBe(false)
  expect(isSecretMount(CONTAINER, '/run/secrets/other')).toBe(false)
  expect(isSecretMount(CONTAINER, '/run/secrets/open/keys.json')).toBe(false)
  expect(isSecretMount(`${ROOT}\n30 24 0:30 / /srv ro - ext4 /dev/vdb ro`, '/srv/keys.json')).toBe(false)
  expect(isSecretMount(`${CONTAINER}30 24 0:30 / /run/secrets-old ro - ext4 /dev/vdb ro`, '/run/secrets-old/k')).toBe(
    false,
  )
  expect(isSecretMount('', '/run/secrets/salvor_keys')).toBe(false)
})

test('of two mounts at one place the last one counts', () => {
  expect(isSecretMount(`${KUBERNETES}\n${KUBERNETES.replace(' ro,', ' rw,')}`, '/run/secrets/salvor/k')).toBe(false)
})

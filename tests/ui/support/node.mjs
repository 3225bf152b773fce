// A real node as a child process, and the engine as its owner sees it.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const run = promisify(execFile)

function need(name) {
  const value = process.env[name]
  assert.ok(value, `set ${name}`)
  return value
}

/** Resolves with the first line that matches, fails when the process ends or the time is over. */
export function lineOf(child, pattern, ms) {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout })
    const timer = setTimeout(() => reject(new Error(`no line ${pattern} within ${ms} ms`)), ms)
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      reject(new Error(`the process ended (${code ?? signal}) before ${pattern}\n${child.log.join('')}`))
    })
    lines.on('line', (line) => {
      const found = pattern.exec(line)
      if (!found) return
      clearTimeout(timer)
      resolve(found)
    })
  })
}

export class RealNode {
  #child = null
  #port = 0

  static async make() {
    const node = new RealNode()
    node.dir = await mkdtemp(join(process.env.ARCHIPELAGO_TEST_DIR ?? tmpdir(), 'archipelago-ui-'))
    return node
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  get log() {
    return this.#child?.log.join('') ?? ''
  }

  /** The second start listens where the first did: the page knows no other address. */
  async start() {
    const socket = process.env.PODMAN_SOCKET
    const args = ['--data-dir', this.dir, '--catalog', need('ARCHIPELAGO_CATALOG'), '--listen', `127.0.0.1:${this.#port}`]
    if (socket) args.push('--podman-socket', socket)
    const child = spawn(need('ARCHIPELAGO_BIN'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.log = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => child.log.push(String(chunk)))
    this.#child = child
    const found = await lineOf(child, /listening on http:\/\/127\.0\.0\.1:(\d+)/, 60_000)
    this.#port = Number(found[1])
    this.token = (await readFile(join(this.dir, 'owner-token'), 'utf8')).trim()
  }

  async kill(signal = 'SIGKILL') {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async remove() {
    await this.kill('SIGTERM')
    await rm(this.dir, { recursive: true, force: true })
  }
}

export async function podman(...args) {
  const { stdout } = await run('podman', args)
  return stdout.trim()
}

/** Kills a container's first process from outside, as its owner may: container users are sub-ids of the owner. */
export async function killContainer(name) {
  const pid = await podman('inspect', '-f', '{{.State.Pid}}', name)
  assert.match(pid, /^[1-9]\d*$/, `${name} does not run`)
  await run('podman', ['unshare', 'kill', '-9', pid])
  return Date.now()
}

export async function identities(names) {
  const out = {}
  for (const name of names) out[name] = await podman('inspect', '-f', '{{.Id}} {{.State.StartedAt}}', name)
  return out
}

/** Removes what a failed test left behind; only for containers that were not there before the test. */
export async function sweep(names) {
  // Containers before the anchors whose network they join.
  await podman('rm', '-f', '-i', '-t', '0', ...names)
  await podman('rm', '-f', '-i', '-t', '0', ...anchors(names))
}

const anchors = (names) => names.map((name) => `${name}_net`)

/** What this test would collide with: it must not touch containers that somebody else's node owns. */
export async function assertNobodyThere(names) {
  const there = (await podman('ps', '-a', '--format', '{{.Names}}')).split('\n')
  const taken = [...names, ...anchors(names)].filter((name) => there.includes(name))
  assert.deepEqual(taken, [], 'containers of these names exist already: uninstall the app on the other node first')
}

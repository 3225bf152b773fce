// Commands: only the button is optimistic. What an app's phase is, the node alone says.
import { shallowReactive, watchEffect } from 'vue'
import { api, uuid, type Failure } from '../api/http'
import { reached, type Barrier } from '../model/barrier'
import type { AppId, Command, OpId, Plan } from '../protocol/archy'
import { client, ops } from './node'

export type Verb = Command['command']

/** Those that need to know nothing but the app. */
export type Simple = Exclude<Verb, 'uninstall' | 'restore' | 'cancel'>

export interface Request {
  readonly command: Command
  readonly key: string
  /** `sent`: no answer yet; `accepted`: recorded, not on the page yet; `refused`: see `error`; `asks`: see `plan`. */
  readonly state: 'sent' | 'accepted' | 'refused' | 'asks'
  readonly barrier: Barrier | null
  readonly opId: string | null
  /** The node has taken unusually long to confirm. */
  readonly slow: boolean
  readonly error: Failure | null
  /** What the node wants to have confirmed first. */
  readonly plan: Plan | null
}

/** Called with every command that the node has accepted, and its operation. */
export type Listener = (command: Command, op: OpId) => void
const listeners = new Set<Listener>()
export const onAccepted = (tell: Listener): void => void listeners.add(tell)

const SLOW_MS = 3_000
const requests = shallowReactive(new Map<AppId, Request>())

export function requestOf(app: AppId): Request | undefined {
  return requests.get(app)
}

export function isPending(app: AppId): boolean {
  const request = requests.get(app)
  return request?.state === 'sent' || request?.state === 'accepted'
}

export function dismiss(app: AppId): void {
  if (!isPending(app)) requests.delete(app)
}

/** Says yes to the plan that the node has shown. */
export async function confirm(app: AppId): Promise<void> {
  const asked = requests.get(app)
  if (asked?.state === 'asks') await give(asked.command, asked.error?.confirm?.token)
}

const same = (a: Command, b: Command) => JSON.stringify(a) === JSON.stringify(b)

export const send = (verb: Simple, app: AppId): Promise<void> => give({ command: verb, app })

export async function give(command: Command, token?: string): Promise<void> {
  const { app } = command
  if (isPending(app)) return
  const before = requests.get(app)
  // After a lost answer the same key is sent again: the node then does it once, whether it had heard it or not.
  const again = before !== undefined && same(before.command, command) && before.error?.code === 'unreachable'
  const first: Request = {
    command, key: again ? before.key : uuid(), state: 'sent', barrier: null, opId: null, slow: false, error: null, plan: null,
  }
  requests.set(app, first)
  const slow = setTimeout(() => {
    const now = requests.get(app)
    if (now?.key === first.key && isPending(app)) requests.set(app, { ...now, slow: true })
  }, SLOW_MS)
  const answer = await api.command(command, first.key, token)
  const now = requests.get(app)
  if (now?.key !== first.key) return
  if (answer.ok) {
    const { at, op_id } = answer.value
    requests.set(app, { ...now, state: 'accepted', opId: op_id, barrier: { at, epoch: ops.meta.value.epoch } })
    for (const tell of listeners) tell(command, op_id)
    return
  }
  clearTimeout(slow)
  const plan = answer.error.confirm?.plan ?? null
  const asks = answer.error.code === 'confirm_required' && plan !== null
  requests.set(app, { ...now, state: asks ? 'asks' : 'refused', slow: false, error: answer.error, plan })
}

/** Lets a button go as soon as the page shows what the command did. */
watchEffect(() => {
  const streams = { apps: client.streams.apps.meta.value, ops: ops.meta.value }
  for (const [app, request] of requests) {
    if (request.state === 'accepted' && request.barrier && reached(request.barrier, streams)) requests.delete(app)
  }
})

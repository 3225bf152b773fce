// Commands: only the button is optimistic. What an app's phase is, the node alone says.
import { shallowReactive, watchEffect } from 'vue'
import { api, uuid, type Failure } from '../api/http'
import { reached, type Barrier } from '../model/barrier'
import type { AppId, Command, Plan } from '../protocol/archy'
import { client, ops } from './node'

export type Verb = Command['command']

export interface Request {
  readonly verb: Verb
  /** With `uninstall`: the data go, too. */
  readonly purge: boolean
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
  if (asked?.state === 'asks') await send(asked.verb, app, { purge: asked.purge, token: asked.error?.confirm?.token })
}

const commandOf = (verb: Verb, app: AppId, purge: boolean): Command =>
  verb === 'uninstall' ? { command: verb, app, purge } : { command: verb, app }

export async function send(verb: Verb, app: AppId, { purge = false, token }: { purge?: boolean; token?: string | undefined } = {}): Promise<void> {
  if (isPending(app)) return
  const before = requests.get(app)
  // After a lost answer the same key is sent again: the node then does it once, whether it had heard it or not.
  const again = before?.verb === verb && before.purge === purge && before.error?.code === 'unreachable'
  const first: Request = {
    verb, purge, key: again ? before.key : uuid(), state: 'sent', barrier: null, opId: null, slow: false, error: null, plan: null,
  }
  requests.set(app, first)
  const slow = setTimeout(() => {
    const now = requests.get(app)
    if (now?.key === first.key && isPending(app)) requests.set(app, { ...now, slow: true })
  }, SLOW_MS)
  const answer = await api.command(commandOf(verb, app, purge), first.key, token)
  const now = requests.get(app)
  if (now?.key !== first.key) return
  if (answer.ok) {
    const { at, op_id } = answer.value
    requests.set(app, { ...now, state: 'accepted', opId: op_id, barrier: { at, epoch: ops.meta.value.epoch } })
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

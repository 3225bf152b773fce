// Taking back what was asked for a moment ago. What can be taken back, and how, follows from what the node offers:
// a stop by a start, an uninstall that keeps the data by a cancel while it runs, else by an install that finds them.
import { shallowReactive, watchEffect } from 'vue'
import { isTerminal } from '../model/operation'
import type { AppId, Command, OpId } from '../protocol/archy'
import { give, isPending, onAccepted, requestOf } from './commands'
import { apps, ops } from './node'

const OFFERED_MS = 10_000

export interface Undo {
  readonly app: AppId
  readonly kind: 'stop' | 'uninstall'
  readonly op: OpId
  /** Until when it is offered, on this machine's clock. */
  readonly until: number
  /** Whether it can be taken back after its end: an install brings the catalog's version, which must be the same. */
  readonly lasts: boolean
  /** `wanted`: asked for, and waits for the operation to end; nothing was sent yet. */
  readonly state: 'offered' | 'wanted'
}

/** By app: a later command on the same app makes an offer meaningless. */
export const undos = shallowReactive(new Map<AppId, Undo>())

onAccepted((command, op) => {
  const { app } = command
  if (command.command === 'stop' || (command.command === 'uninstall' && !command.purge)) {
    const lasts = command.command === 'stop' || !apps.row(app).value?.update
    undos.set(app, { app, kind: command.command, op, until: Date.now() + OFFERED_MS, lasts, state: 'offered' })
  } else undos.delete(app)
})

/** Longer, for as long as somebody has the pointer or the focus on it: whoever needs time to read has it. */
export function prolong(app: AppId): void {
  const undo = undos.get(app)
  if (undo?.state === 'offered') undos.set(app, { ...undo, until: Date.now() + OFFERED_MS })
}

export function drop(app: AppId): void {
  undos.delete(app)
}

export function undo(app: AppId): void {
  const offer = undos.get(app)
  if (offer?.state !== 'offered') return
  const op = ops.row(offer.op).value
  if (offer.kind === 'uninstall' && op?.cancellable && !isTerminal(op.state)) {
    undos.delete(app)
    void give({ command: 'cancel', app, op: offer.op })
    return
  }
  undos.set(app, { ...offer, state: 'wanted' })
}

const reverse = ({ kind, app }: Undo): Command => (kind === 'stop' ? { command: 'start', app } : { command: 'install', app })

/** What has not succeeded is not undone, and says why elsewhere. */
watchEffect(() => {
  for (const { app, op, lasts } of undos.values()) {
    const state = ops.row(op).value?.state
    if (state && isTerminal(state) && !(state === 'succeeded' && lasts)) undos.delete(app)
  }
})

/** Sends what was asked for as soon as the operation that it takes back has ended. */
watchEffect(() => {
  for (const offer of undos.values()) {
    if (offer.state !== 'wanted' || isPending(offer.app) || requestOf(offer.app)?.state === 'asks') continue
    const op = ops.row(offer.op).value
    if (!op || !isTerminal(op.state)) continue
    undos.delete(offer.app)
    if (op.state === 'succeeded' && offer.lasts) void give(reverse(offer))
  }
})

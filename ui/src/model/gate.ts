// What a gate looks like: what apps wait for, how far it is, and when it may open.
import type { GateState, GateView, WaitView } from '../protocol/archy'
import type { Tone } from './phase'

const TONE: Record<GateState, Tone> = { unknown: 'off', progressing: 'wait', stalled: 'warn', unreachable: 'bad', open: 'ok', lost: 'warn' }
export const gateTone = (state: GateState): Tone => TONE[state] ?? 'off'

/** How far, between 0 and 1; never full before it is open. */
export function shareOf(gate: GateView): number | null {
  if (gate.state === 'open') return 1
  const { progress, current, target } = gate
  const share = progress ?? (current !== null && target !== null && target > 0 ? current / target : null)
  return share === null || !Number.isFinite(share) ? null : Math.min(0.9999, Math.max(0, share))
}

/** The gates that an app waits for, in the order of its waits. */
export function gatesOf(waits: readonly WaitView[], gate: (id: string) => GateView | undefined): GateView[] {
  return waits.flatMap((w) => gate(w.on) ?? [])
}

/** Closed ones first, those with most waiters first. */
export function byWaiters(a: GateView, b: GateView): number {
  return Number(a.state === 'open') - Number(b.state === 'open') || b.waiters.length - a.waiters.length || a.id.localeCompare(b.id)
}

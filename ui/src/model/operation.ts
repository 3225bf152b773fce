// Progress of an operation, told truthfully: steps that are named, a share only where the total is known,
// never backwards within an operation, 100 % only for success.
import type { OpState, OpView, Stage } from '../protocol/archy'

export const isTerminal = (state: OpState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled' || state === 'interrupted'

/** The highest share seen per stage of one operation. */
export type Marks = Readonly<Record<string, number>>

export function raise(marks: Marks, op: OpView): Marks {
  let next = marks
  for (const stage of op.stages) {
    if (stage.progress === null) continue
    const share = clamp(stage.progress)
    if (share > (next[stage.key] ?? -1)) next = { ...next, [stage.key]: share }
  }
  return next
}

const clamp = (x: number): number => (Number.isFinite(x) ? Math.min(1, Math.max(0, x)) : 0)

export interface Segment {
  readonly key: string
  readonly state: Stage['state']
  /** Between 0 and 1; null: at work, and nobody knows how far. */
  readonly share: number | null
  readonly detail: string | null
  /** In milliseconds, as far as it is known. */
  readonly took: number | null
}

export function segments(op: OpView, marks: Marks, nodeNow: number): Segment[] {
  return op.stages.map((stage) => ({
    key: stage.key,
    state: stage.state,
    share: shareOf(stage, op.state, marks),
    detail: stage.detail,
    took: tookOf(stage, op, nodeNow),
  }))
}

function shareOf(stage: Stage, op: OpState, marks: Marks): number | null {
  switch (stage.state) {
    case 'done':
      return 1
    case 'skipped':
      // Not needed, or never reached: after a failure the bar stays where it stopped.
      return op === 'succeeded' || !isTerminal(op) ? 1 : 0
    case 'waiting':
      return 0
    default: {
      if (stage.progress === null) return stage.state === 'failed' ? (marks[stage.key] ?? 0) : null
      // At work is not done, whatever the rounding says.
      return Math.min(0.99, Math.max(clamp(stage.progress), marks[stage.key] ?? 0))
    }
  }
}

function tookOf(stage: Stage, op: OpView, nodeNow: number): number | null {
  if (stage.started_at === null || stage.state === 'waiting' || stage.state === 'skipped') return null
  const end = stage.ended_at ?? (isTerminal(op.state) ? (op.ended_at ?? stage.started_at) : nodeNow)
  return Math.max(0, end - stage.started_at)
}

export interface Step {
  readonly index: number
  readonly total: number
  readonly segment: Segment
}

/** The stage that is at work, or failed, or comes next. */
export function current(list: readonly Segment[]): Step | null {
  if (list.length === 0) return null
  const find = (state: Segment['state']) => list.findIndex((s) => s.state === state)
  let index = find('failed')
  if (index < 0) index = find('running')
  if (index < 0) index = find('waiting')
  if (index < 0) index = list.length - 1
  const segment = list[index]
  return segment ? { index, total: list.length, segment } : null
}

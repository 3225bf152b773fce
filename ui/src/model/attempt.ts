// How often it was tried: a retry is a new operation, with a bar of its own.
import type { OpView } from '../protocol/archy'

/** 1 for a first try; one more for each like operation right before that failed. */
export function attemptOf(op: OpView, all: readonly OpView[]): number {
  const earlier = all.filter((x) => x.app === op.app && x.id !== op.id && x.started_at <= op.started_at).sort((a, b) => b.started_at - a.started_at)
  const broken = earlier.findIndex((x) => x.kind !== op.kind || (x.state !== 'failed' && x.state !== 'interrupted'))
  return 1 + (broken < 0 ? earlier.length : broken)
}

// Which row belongs to which stream, and what its key is.
import type { AppView, GateView, MetricsView, NodeView, OpView, StreamId, TreeView } from '../protocol/archy'

export interface RowTypes {
  apps: AppView
  ops: OpView
  tree: TreeView
  gates: GateView
  node: NodeView
  metrics: MetricsView
}

export type RowOf<S extends StreamId> = RowTypes[S]

const KEY: { [S in StreamId]: keyof RowTypes[S] & string } = {
  apps: 'id',
  ops: 'id',
  tree: 'path',
  gates: 'id',
  node: 'key',
  metrics: 'app',
}

/** The row's key, or null where the row is nothing that this version can read. */
export function keyOf<S extends StreamId>(stream: S, row: unknown): string | null {
  if (typeof row !== 'object' || row === null) return null
  const key = (row as Record<string, unknown>)[KEY[stream]]
  return typeof key === 'string' && key !== '' ? key : null
}

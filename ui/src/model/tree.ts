// The supervision tree as the flat list that is drawn.
import type { TreeView } from '../protocol/archy'

export interface TreeRow {
  readonly row: TreeView
  readonly name: string
  readonly level: number
  readonly position: number
  readonly siblings: number
  readonly children: number
  readonly open: boolean
}

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1) || path

/** In start order; whose supervisor is not there (yet) stands at the root rather than being lost. */
export function flatten(rows: readonly TreeView[], closed: ReadonlySet<string>): TreeRow[] {
  const paths = new Set(rows.map((r) => r.path))
  const byParent = new Map<string | null, TreeView[]>()
  for (const row of rows) {
    const parent = row.parent !== null && row.parent !== row.path && paths.has(row.parent) ? row.parent : null
    const list = byParent.get(parent)
    if (list) list.push(row)
    else byParent.set(parent, [row])
  }
  const out: TreeRow[] = []
  const seen = new Set<string>()
  const walk = (parent: string | null, level: number) => {
    const list = [...(byParent.get(parent) ?? [])].sort((a, b) => a.order - b.order || a.path.localeCompare(b.path))
    list.forEach((row, i) => {
      if (seen.has(row.path)) return
      seen.add(row.path)
      const children = byParent.get(row.path)?.length ?? 0
      const open = children > 0 && !closed.has(row.path)
      out.push({ row, name: nameOf(row.path), level, position: i + 1, siblings: list.length, children, open })
      if (open) walk(row.path, level + 1)
    })
  }
  walk(null, 1)
  return out
}

export type TreeMove = { readonly focus: number } | { readonly toggle: string } | null

/** The keys of the ARIA tree pattern. */
export function move(list: readonly TreeRow[], at: number, key: string): TreeMove {
  const here = list[at]
  if (!here) return null
  switch (key) {
    case 'ArrowDown':
      return at + 1 < list.length ? { focus: at + 1 } : null
    case 'ArrowUp':
      return at > 0 ? { focus: at - 1 } : null
    case 'Home':
      return { focus: 0 }
    case 'End':
      return { focus: list.length - 1 }
    case 'ArrowRight':
      if (here.children === 0) return null
      return here.open ? { focus: at + 1 } : { toggle: here.row.path }
    case 'ArrowLeft': {
      if (here.open) return { toggle: here.row.path }
      for (let i = at - 1; i >= 0; i--) if ((list[i]?.level ?? 0) < here.level) return { focus: i }
      return null
    }
    default:
      return null
  }
}

/** Its supervisors, from its own up to the root: the way that a failure goes which nobody can mend. */
export function ancestors(row: TreeView, find: (path: string) => TreeView | undefined): TreeView[] {
  const out: TreeView[] = []
  let at = row.parent === null ? undefined : find(row.parent)
  while (at && !out.includes(at)) {
    out.push(at)
    at = at.parent === null ? undefined : find(at.parent)
  }
  return out
}

/** Those that pass, with all their supervisors, so that they are found where they belong. */
export function withAncestors(rows: readonly TreeView[], passes: (row: TreeView) => boolean): TreeView[] {
  const byPath = new Map(rows.map((r) => [r.path, r]))
  const keep = new Set<string>()
  for (const row of rows) {
    if (!passes(row)) continue
    keep.add(row.path)
    for (const above of ancestors(row, (path) => byPath.get(path))) keep.add(above.path)
  }
  return rows.filter((r) => keep.has(r.path))
}

// What the page showed last, for the next visit: it is shown, dated and dimmed, while the node does not answer.
import { shallowRef, watch } from 'vue'
import type { AppView, GateView, NodeView, OpView } from '../protocol/archy'
import { apps, client, gates, node, ops } from './node'

interface Saved {
  readonly at: number
  readonly apps: AppView[]
  readonly ops: OpView[]
  readonly gates: GateView[]
  readonly node: NodeView[]
}

const NAME = 'archipelago'
const KEY = 'last'
/** At most one write in this time: it is for the next visit, not for this one. */
const PAUSE_MS = 5_000
/** The node answers sooner than this on a good network: then nothing dimmed has to be flashed. */
const PATIENCE_MS = 300

/** When the rows on the page are from, where they are of an earlier visit. */
export const seededFrom = shallowRef<number | null>(null)

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('state')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('no database'))
  })
}

async function use<T>(mode: IDBTransactionMode, run: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await open()
  try {
    return await new Promise<T>((resolve, reject) => {
      const request = run(db.transaction('state', mode).objectStore('state'))
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error ?? new Error('no answer'))
    })
  } finally {
    db.close()
  }
}

// A browser without a database, or in private mode, has no last-known state: nothing else changes.
const quietly = (work: Promise<unknown>) => work.catch(() => undefined)

let timer: ReturnType<typeof setTimeout> | undefined
let savedAt = 0

function save(): void {
  clearTimeout(timer)
  timer = undefined
  const at = client.link.value.heardAt
  if (at === null || !apps.meta.value.ready || apps.meta.value.stale) return
  savedAt = Date.now()
  const value: Saved = { at, apps: apps.all(), ops: ops.all(), gates: gates.all(), node: node.all() }
  void quietly(use('readwrite', (store) => store.put(value, KEY)))
}

watch([apps.meta, ops.meta, gates.meta, node.meta], () => {
  timer ??= setTimeout(save, Math.max(0, savedAt + PAUSE_MS - Date.now()))
})
// A page that is left may not be asked again.
document.addEventListener('visibilitychange', () => document.hidden && timer !== undefined && save())

export function forget(): void {
  clearTimeout(timer)
  timer = undefined
  savedAt = 0
  seededFrom.value = null
  void quietly(use('readwrite', (store) => store.delete(KEY)))
}

/** Shows the state of the last visit, unless the node answers first. */
export async function recall(): Promise<void> {
  const saved = (await quietly(use('readonly', (store) => store.get(KEY)))) as Saved | undefined
  if (!saved) return
  await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))
  if (apps.meta.value.ready || client.link.value.state === 'unauthenticated') return
  seededFrom.value = saved.at
  apps.seed(saved.apps)
  ops.seed(saved.ops)
  gates.seed(saved.gates)
  node.seed(saved.node)
}

watch(apps.meta, (meta) => {
  if (meta.ready && !meta.stale) seededFrom.value = null
})

// Mounting a component in a document without a browser, with rows as the node would have sent them.
import { createApp, h, nextTick, type App, type Component } from 'vue'
import { client } from '../state/node'
import type { AppView, OpView, StreamId } from '../protocol/archy'
import type { RowOf } from '../stream/rows'

const seqs = new Map<StreamId, number>()

/** The node says that this is all there is. */
export async function say<S extends StreamId>(stream: S, ...items: RowOf<S>[]): Promise<void> {
  const seq = (seqs.get(stream) ?? 0) + 1
  seqs.set(stream, seq)
  client.streams[stream].receive({ t: 'snapshot', stream, seq, reason: 'initial', part: 0, last: true, items: items as never[] }, 'E')
  client.streams[stream].flush()
  await nextTick()
}

export function online(): void {
  client.link.value = { state: 'live', heardAt: Date.now() }
}

const mounted: App[] = []
export function mount(component: Component, props: Record<string, unknown>): HTMLElement {
  const root = document.createElement('div')
  document.body.append(root)
  const app = createApp({ render: () => h(component, props) })
  app.mount(root)
  mounted.push(app)
  return root
}
export function unmountAll(): void {
  for (const app of mounted.splice(0)) app.unmount()
  document.body.replaceChildren()
}

const T = 1_795_215_600_000
export const appRow = (over: Partial<AppView> = {}): AppView => ({
  id: 'demo', name: 'Demo', tagline: '', version: '1', installed: true, phase: 'running', reason: null, since: T, observed_at: T, confidence: 'live',
  desired: 'running', op: null, last_op: null, wait: [], restarts: 0, containers: [], launch: [{ name: 'web', scheme: 'http', port: 8090, path: '/' }],
  next_retry: null, update: null, backup: null, category: null, icon: false, ...over,
})
export const opRow = (over: Partial<OpView> = {}): OpView => ({
  id: '01', kind: 'install', app: 'demo', state: 'running', started_at: T, ended_at: null, error: null, residue: [], cancellable: false, late: false,
  stages: [
    { key: 'check', state: 'done', progress: null, detail: null, started_at: T, ended_at: T },
    { key: 'images', state: 'running', progress: 0.5, detail: null, started_at: T, ended_at: null },
    { key: 'ready', state: 'waiting', progress: null, detail: null, started_at: null, ended_at: null },
  ],
  ...over,
})

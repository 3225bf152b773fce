// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nextTick } from 'vue'
import golden from '../../../protocol/fixtures/facts.json'
import type { AppFacts, ContainerView } from '../protocol/archy'
import { dismiss, give, requestOf, send } from '../state/commands'
import { undo, undos } from '../state/undo'
import { appRow, mount, online, opRow, say, unmountAll } from '../testing/dom'
import AppIcon from './AppIcon.vue'
import CancelButton from './CancelButton.vue'
import AppTrouble from './AppTrouble.vue'
import ContainerList from './ContainerList.vue'
import OperationProgress from './OperationProgress.vue'
import RequirementList from './RequirementList.vue'

const facts = golden[0]?.value as AppFacts
const text = (root: ParentNode, selector: string) => root.querySelector(selector)?.textContent?.trim() ?? null
const settle = async () => {
  for (let i = 0; i < 10; i++) await nextTick()
}
let bodies: unknown[] = []

beforeEach(() => {
  online()
  bodies = []
  vi.stubGlobal('fetch', (_: string, init: RequestInit) => {
    bodies.push(JSON.parse(String(init.body)))
    return Promise.resolve(new Response(JSON.stringify({ op_id: '01', at: {} }), { status: 202 }))
  })
})
afterEach(async () => {
  unmountAll()
  undos.clear()
  dismiss('demo')
  vi.unstubAllGlobals()
  await say('ops')
})

describe('a container', () => {
  const row = (over: Partial<ContainerView> = {}): ContainerView => ({
    service: 'api', name: 'demo-api', id: null, phase: 'running', health: 'healthy', wait: [], reason: null, since: 0, started_at: null, restarts: 2,
    last_restart: null, last_exit: null, ended: null, image: 'x', ...over,
  })
  test('tells why it was restarted, the nearest cause first, wherever it is shown', () => {
    const last_restart = { cause: ['cache exited with code 137', 'out of memory'], at: 0 }
    for (const full of [true, false]) {
      const root = mount(ContainerList, { app: appRow({ containers: [row({ last_restart })] }), full })
      expect(root.textContent).toContain('(cache exited with code 137 ← out of memory)')
    }
  })
  test('that failed by itself names no other cause', () => {
    const root = mount(ContainerList, { app: appRow({ containers: [row({ last_restart: { cause: [], at: 0 } })] }), full: true })
    expect(root.textContent).not.toContain('()')
  })
})

describe('an operation', () => {
  test('is cancelled only where the node says that it can be, and by its own id', async () => {
    await say('apps', appRow())
    expect(mount(CancelButton, { op: opRow() }).querySelector('button')).toBe(null)
    const root = mount(OperationProgress, { op: opRow({ id: '07', cancellable: true }) })
    root.querySelector<HTMLElement>('[data-testid=cancel-op]')?.click()
    await settle()
    expect(bodies).toEqual([{ command: 'cancel', app: 'demo', op: '07' }])
  })
  test('that is late says so instead of that it still works', () => {
    const root = mount(OperationProgress, { op: opRow({ late: true }), compact: true })
    expect(text(root, '[data-testid=late]')).toBe('Taking longer than usual')
  })
  test('that was tried before is counted, up to the last one that went well', async () => {
    const failed = (id: string, at: number) => opRow({ id, state: 'failed', started_at: at })
    await say('ops', opRow({ id: '0', state: 'succeeded', started_at: 0 }), failed('1', 1), failed('2', 2), opRow({ id: '3', started_at: 3 }))
    expect(text(mount(OperationProgress, { op: opRow({ id: '3', started_at: 3 }) }), '[data-testid=attempt]')).toBe('Attempt 3')
    expect(mount(OperationProgress, { op: opRow({ id: '4', kind: 'stop', started_at: 4 }) }).querySelector('[data-testid=attempt]')).toBe(null)
  })
  test('says what it left behind, also of an app that is gone', async () => {
    await say('ops', opRow({ kind: 'uninstall', state: 'succeeded', ended_at: 1, residue: ['network shared'] }))
    const root = mount(AppTrouble, { app: appRow({ installed: false, phase: 'not_installed' }) })
    expect(text(root, '[data-residue]')).toContain('network shared')
    expect(text(root, '[data-residue]')).toContain('Remove it by hand')
    expect(mount(AppTrouble, { app: appRow() }).querySelector('[data-residue]')).toBe(null)
  })
  test('that restored is not repeated with another snapshot by a mere retry', async () => {
    const error = { code: 'x', message: 'No.', hint: null, retryable: true }
    await say('ops', opRow({ kind: 'restore', state: 'failed', ended_at: 1, error }))
    const root = mount(AppTrouble, { app: appRow({ last_op: '01' }) })
    expect(root.querySelector('[data-testid=retry]')).toBe(null)
    expect(root.querySelector('a[href="/apps/demo/data"]')).not.toBe(null)
  })
})

describe('taking back', () => {
  test('a stop waits for its end and then starts; nothing is sent before', async () => {
    await send('stop', 'demo')
    await say('ops', opRow({ kind: 'stop' }))
    await settle()
    undo('demo')
    await settle()
    expect(bodies).toEqual([{ command: 'stop', app: 'demo' }])
    await say('ops', opRow({ kind: 'stop', state: 'succeeded' }))
    await settle()
    expect(bodies.at(-1)).toEqual({ command: 'start', app: 'demo' })
    expect(undos.size).toBe(0)
  })
  test('of what failed does nothing: it was not done', async () => {
    await send('stop', 'demo')
    await settle()
    undo('demo')
    await say('ops', opRow({ kind: 'stop', state: 'failed' }))
    await settle()
    expect(bodies).toHaveLength(1)
    expect(undos.size).toBe(0)
  })
  test('is not offered any more when it was not done', async () => {
    await send('stop', 'demo')
    await settle()
    await say('ops', opRow({ kind: 'stop', state: 'cancelled' }))
    await settle()
    expect(undos.size).toBe(0)
  })
  test('of an uninstall ends with it where the catalog has another version', async () => {
    for (const [update, left] of [[null, 1], ['2', 0]] as const) {
      await say('apps', appRow({ update }))
      await give({ command: 'uninstall', app: 'demo', purge: false })
      await settle()
      await say('ops', opRow({ kind: 'uninstall', state: 'succeeded' }))
      await settle()
      expect(undos.size).toBe(left)
      undos.clear()
      dismiss('demo')
      await say('ops')
    }
  })
  test('is offered for nothing else, and not after another command', async () => {
    await send('restart', 'demo')
    expect(undos.size).toBe(0)
    dismiss('demo')
    await settle()
    await send('stop', 'demo')
    await settle()
    expect(requestOf('demo')?.state).not.toBe('refused')
    expect([...undos.values()].map((u) => u.kind)).toEqual(['stop'])
    await send('start', 'demo')
    expect(undos.size).toBe(0)
  })
})

describe('the store', () => {
  test('says that an app fits, and what does not', async () => {
    await say('apps', appRow({ id: 'chain', name: 'Chain', phase: 'running' }))
    const before = { ...facts, installed: false }
    const good = mount(RequirementList, { facts: before })
    expect(good.querySelector('[data-fits=true]')).not.toBe(null)
    expect(text(good, '[data-require=chain]')).toContain('Running')
    const bad = mount(RequirementList, { facts: { ...before, needs: { ...before.needs, memory_there: 1 } } })
    expect(bad.querySelector('[data-fits=false] [data-need=memory][data-fit=short]')).not.toBe(null)
    const unsure = mount(RequirementList, { facts: { ...before, needs: { ...before.needs, memory_there: null } } })
    expect(unsure.querySelector('[data-fits=true] [data-need=memory][data-fit=unknown]')).not.toBe(null)
  })
  test('draws an island where a picture cannot be had', async () => {
    const root = mount(AppIcon, { app: appRow({ icon: true, version: '1 beta' }) })
    const picture = root.querySelector('img')
    expect(picture?.getAttribute('src')).toBe('/api/v1/apps/demo/icon?v=1%20beta')
    picture?.dispatchEvent(new Event('error'))
    await nextTick()
    expect(root.querySelector('img')).toBe(null)
    expect(text(root, '.tile')).toBe('DE')
  })
})

// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nextTick } from 'vue'
import { dismiss, requestOf } from '../state/commands'
import { client } from '../state/node'
import { appRow, mount, online, opRow, say, unmountAll } from '../testing/dom'
import AppActions from './AppActions.vue'
import AppCard from './AppCard.vue'
import AppTrouble from './AppTrouble.vue'
import EventList from './EventList.vue'
import LogLine from './LogLine.vue'
import OperationProgress from './OperationProgress.vue'

beforeEach(() => {
  online()
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true
  }
})
afterEach(() => {
  unmountAll()
  dismiss('demo')
  vi.unstubAllGlobals()
})
const text = (root: ParentNode, selector: string) => root.querySelector(selector)?.textContent?.trim() ?? null

function answers(...list: { status: number; body: unknown }[]) {
  const calls: { path: string; headers: Headers; body: unknown }[] = []
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    calls.push({ path, headers: new Headers(init.headers), body: JSON.parse(String(init.body)) })
    const next = list.shift() ?? { status: 500, body: null }
    return Promise.resolve(new Response(JSON.stringify(next.body), { status: next.status }))
  })
  return calls
}
const settle = async () => {
  for (let i = 0; i < 10; i++) await nextTick()
}

describe('a card', () => {
  test('shows the node’s phase with a word, whatever else seems to be', async () => {
    await say('apps', appRow({ phase: 'stopped', desired: 'stopped' }))
    const root = mount(AppCard, { id: 'demo' })
    expect(root.querySelector('[data-app]')?.getAttribute('data-phase')).toBe('stopped')
    expect(text(root, '[data-testid=phase]')).toBe('Stopped')
    expect(text(root, '[data-testid=primary-start]')).toContain('Start')
    await say('apps', appRow({ phase: 'crash_looping' }))
    expect(text(root, '[data-testid=phase]')).toBe('Crash loop')
  })
  test('says from when it is as soon as the node is silent', async () => {
    await say('apps', appRow())
    const root = mount(AppCard, { id: 'demo' })
    expect(root.querySelector('[data-testid=as-of]')).toBe(null)
    client.link.value = { state: 'reconnecting', heardAt: new Date(2026, 10, 21, 9, 4, 11).getTime() }
    await nextTick()
    expect(root.querySelector('[data-app]')?.getAttribute('data-confidence')).toBe('last_known')
    expect(text(root, '[data-testid=as-of]')).toContain('as of')
  })
  test('with a gate leads to what it waits for, and never says 100 % before it is open', async () => {
    await say('gates', {
      id: 'chain/synced', app: 'chain', title: 'Chain is synced', kind: 'x', state: 'progressing', progress: 0.99999, current: 1, target: 1, unit: 'blocks',
      rate: null, eta_s: null, eta_max_s: null, detail: null, waiters: ['demo'], may_skip: false, since: 0, observed_at: 0, last_ok: null,
    })
    await say('apps', appRow({ phase: 'waiting', wait: [{ on: 'chain/synced', condition: 'gate_open', progress: 1, app: 'chain', state: 'progressing', detail: null, may_skip: false }] }))
    const root = mount(AppCard, { id: 'demo' })
    expect(root.querySelector('[data-testid=look]')?.getAttribute('href')).toBe('/apps/demo')
    expect(root.querySelector('[data-gate] [role=progressbar]')?.getAttribute('aria-valuenow')).toBe('99')
  })
})

describe('progress', () => {
  const now = (root: ParentNode) => root.querySelector('[role=progressbar]')?.getAttribute('aria-valuetext') ?? ''
  test('never goes back within an operation', async () => {
    const { reactive } = await import('vue')
    const props = reactive({ op: opRow() })
    const root = mount(OperationProgress, props)
    expect(now(root)).toContain('50%')
    const stages = opRow().stages.map((s) => (s.key === 'images' ? { ...s, progress: 0.3 } : s))
    props.op = opRow({ stages })
    await nextTick()
    expect(now(root)).toContain('50%')
    props.op = opRow({ id: '02', stages })
    await nextTick()
    expect(now(root)).toContain('30%')
  })
  test('names no share where the total is not known', () => {
    const root = mount(OperationProgress, { op: opRow({ stages: opRow().stages.map((s) => ({ ...s, progress: null })) }) })
    expect(now(root)).not.toMatch(/\d%/)
    expect(root.querySelector('[role=progressbar]')?.hasAttribute('aria-valuenow')).toBe(false)
  })
  test('a failure stays at the card, says what to do and offers a retry', async () => {
    const error = { code: 'port_in_use', message: 'Port 80 is taken.', hint: 'Stop the other program.', retryable: true }
    await say('ops', opRow({ kind: 'restart', state: 'failed', ended_at: 1, error }))
    const root = mount(AppTrouble, { app: appRow({ last_op: '01' }) })
    expect(root.textContent).toContain('Port 80 is taken.')
    expect(root.textContent).toContain('Stop the other program.')
    expect(root.querySelector('[data-testid=retry]')).not.toBe(null)
  })
})

describe('a command', () => {
  test('makes the button wait, not the phase; the node’s refusal lets it go', async () => {
    answers({ status: 409, body: { code: 'conflict', message: 'Not now.', hint: 'Wait.', op_id: null, problems: [] } })
    const root = mount(AppActions, { app: appRow({ phase: 'stopped' }) })
    root.querySelector<HTMLElement>('[data-testid=primary-start]')?.click()
    await nextTick()
    expect(text(root, '[data-testid=pending]')).toContain('Requested')
    await settle()
    expect(requestOf('demo')).toMatchObject({ state: 'refused' })
    expect(root.querySelector('[data-testid=pending]')).toBe(null)
  })
  test('starts what waits without what it waits for only where every gate allows it', async () => {
    const wait = { on: 'chain/synced', condition: 'gate_open', progress: 0.5, app: 'chain', state: 'progressing', detail: null, may_skip: true } as const
    const strict = mount(AppActions, { app: appRow({ phase: 'waiting', wait: [wait, { ...wait, may_skip: false }] }), onPage: true })
    expect(strict.querySelector('[data-testid=start-anyway]')).toBe(null)
    const calls = answers({ status: 202, body: { op_id: '01', at: {} } })
    const root = mount(AppActions, { app: appRow({ phase: 'waiting', wait: [wait] }), onPage: true })
    root.querySelector<HTMLElement>('[data-testid=start-anyway]')?.click()
    await settle()
    expect(calls.map((c) => c.body)).toEqual([{ command: 'start_anyway', app: 'demo' }])
  })
  test('that destroys shows the node’s plan and is sent again only with a yes, and the word that it asks for', async () => {
    const plan = { removes: ['volume data (2 GiB)'], keeps: [], dependents: [], type_to_confirm: 'demo' }
    const calls = answers(
      { status: 428, body: { code: 'confirm_required', message: '', hint: null, op_id: null, problems: [], confirm: { plan, token: 'yes-1' } } },
      { status: 202, body: { op_id: '01', at: {} } },
    )
    const root = mount(AppActions, { app: appRow({ phase: 'stopped' }) })
    root.querySelector<HTMLElement>('[aria-haspopup=menu]')?.click()
    await nextTick()
    root.querySelector<HTMLElement>('[data-action=uninstall]')?.click()
    await nextTick()
    expect(root.querySelector('[data-testid=data-kept]')).not.toBe(null)
    root.querySelector<HTMLElement>('[data-testid=purge]')?.click()
    await nextTick()
    expect(root.querySelector('[data-testid=data-kept]')).toBe(null)
    root.querySelector<HTMLElement>('[data-testid=confirm-yes]')?.click()
    await settle()
    expect(root.textContent).toContain('volume data (2 GiB)')
    const yes = root.querySelector<HTMLButtonElement>('[data-testid=confirm-yes]')
    expect(yes?.disabled).toBe(true)
    const word = root.querySelector<HTMLInputElement>('[data-testid=confirm-word]')
    if (word) word.value = 'demo'
    word?.dispatchEvent(new Event('input'))
    await nextTick()
    expect(yes?.disabled).toBe(false)
    yes?.click()
    await settle()
    expect(calls.map((c) => c.headers.get('Confirm-Token'))).toEqual([null, 'yes-1'])
    expect(calls.map((c) => c.body)).toEqual(Array(2).fill({ command: 'uninstall', app: 'demo', purge: true }))
    expect(calls[0]?.headers.get('Idempotency-Key')).not.toBe(calls[1]?.headers.get('Idempotency-Key'))
  })
})

test('a log line is text, whatever it contains', () => {
  const row = { id: 1, kind: 'line', text: '<img src=x onerror=alert(1)> \x1b[31mred\x1b[0m', stderr: null }
  expect(mount(LogLine, { row, needle: '', current: false }).querySelector('img')).toBe(null)
  const root = mount(LogLine, { row, needle: 'img', current: false })
  expect(root.querySelector('img')).toBe(null)
  expect(text(root, '.line')).toBe('<img src=x onerror=alert(1)> red')
  expect(text(root, 'mark')).toBe('img')
  expect(text(root, '.c1')).toBe('red')
})

test('repeated restarts are one entry that opens to its causes', async () => {
  const at = Date.now()
  const restart = (seq: number) => ({
    seq, at: at + seq, severity: 'warning' as const, actor: 'supervisor' as const, kind: 'child_restarted', app: 'demo', subject: 'node/x', op: null,
    message: 'cache is restarted', cause: ['exited with 137', 'out of memory'], suppressed: 0,
  })
  const root = mount(EventList, { events: [restart(1), restart(2), restart(3)] })
  expect(root.querySelectorAll('[data-event]')).toHaveLength(1)
  expect(text(root, '.times')).toContain('3×')
  root.querySelector<HTMLElement>('.twist')?.click()
  await nextTick()
  expect([...root.querySelectorAll('.chain li')].map((li) => li.textContent)).toEqual(['exited with 137', 'out of memory'])
})

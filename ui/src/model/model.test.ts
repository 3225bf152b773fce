import { describe, expect, test } from 'vitest'
import type { AppView, OpView, Phase, Stage, TreeView } from '../protocol/archy'
import { reached } from './barrier'
import { largest } from './duration'
import { launchHref } from './launch'
import { keepOrder } from './order'
import { current, raise, segments } from './operation'
import { byUrgency, containerTone, failureOf, isMine, menuOf, primaryOf } from './phase'
import { flatten, move } from './tree'

const app = (over: Partial<AppView> = {}): AppView => ({
  id: 'demo', name: 'Demo', tagline: '', version: '1', installed: true, phase: 'running', reason: null, since: 0,
  observed_at: 0, confidence: 'live', desired: 'running', op: null, last_op: null, wait: [], restarts: 0, containers: [],
  launch: [{ name: 'web', scheme: 'http', port: 8080, path: '/' }], next_retry: null, update: null, backup: null, category: null, icon: false, ...over,
})
const stage = (key: string, state: Stage['state'], progress: number | null = null): Stage =>
  ({ key, state, progress, detail: null, started_at: null, ended_at: null })
const op = (over: Partial<OpView> = {}): OpView =>
  ({ id: '01', kind: 'install', app: 'demo', state: 'running', stages: [], started_at: 0, ended_at: null, error: null, residue: [], cancellable: false, late: false, ...over })

describe('phase', () => {
  test('what needs attention comes first, stopped last', () => {
    const list = (['stopped', 'running', 'failed', 'installing', 'degraded'] as Phase[]).map((phase) => app({ phase, id: phase, name: phase }))
    expect(list.sort(byUrgency).map((a) => a.phase)).toEqual(['degraded', 'failed', 'installing', 'running', 'stopped'])
  })
  test('the primary button', () => {
    const of = (over: Partial<AppView>) => primaryOf(app(over))
    expect(of({ phase: 'running' })).toEqual({ kind: 'open' })
    expect(of({ phase: 'running', launch: [] })).toBeNull()
    expect(of({ phase: 'stopped' })).toMatchObject({ verb: 'start', retry: false })
    expect(of({ phase: 'crash_looping' })).toMatchObject({ verb: 'start', retry: true })
    expect(of({ phase: 'failed', installed: false })).toMatchObject({ verb: 'install', retry: true })
    expect(of({ phase: 'installing' })).toBeNull()
    expect(of({ phase: 'from_the_future' as Phase })).toBeNull()
  })
  test('the menu never offers what cannot be', () => {
    expect(menuOf(app({ phase: 'not_installed' }))).toEqual([])
    expect(menuOf(app({ phase: 'stopped' }))).toEqual(['uninstall'])
    expect(menuOf(app())).toEqual(['restart', 'stop', 'uninstall'])
  })
  test('an app that is being installed is mine already', () => {
    expect(isMine(app({ installed: false, phase: 'installing' }))).toBe(true)
    expect(isMine(app({ installed: false, phase: 'not_installed' }))).toBe(false)
  })
  test('a running process that is not ready is not shown as fine', () => {
    expect(containerTone('running', 'healthy')).toBe('ok')
    expect(containerTone('running', 'none')).toBe('ok')
    expect(containerTone('running', 'starting')).toBe('busy')
    expect(containerTone('running', 'unhealthy')).toBe('warn')
  })
  test('a failure is shown until a new operation runs', () => {
    const failed = op({ state: 'failed' })
    expect(failureOf(app({ last_op: '01' }), failed)).toBe(failed)
    expect(failureOf(app({ op: '02' }), failed)).toBeNull()
    expect(failureOf(app(), op({ state: 'succeeded' }))).toBeNull()
  })
})

describe('operation', () => {
  test('a share never goes back and is never full before the end', () => {
    let marks = raise({}, op({ stages: [stage('images', 'running', 0.6)] }))
    const later = op({ stages: [stage('images', 'running', 0.4)] })
    marks = raise(marks, later)
    expect(segments(later, marks, 0)[0]?.share).toBe(0.6)
    const full = op({ stages: [stage('images', 'running', 1)] })
    expect(segments(full, raise(marks, full), 0)[0]?.share).toBe(0.99)
    expect(segments(op({ stages: [stage('images', 'done', null)] }), marks, 0)[0]?.share).toBe(1)
  })
  test('without a total there is no share', () => {
    expect(segments(op({ stages: [stage('start', 'running')] }), {}, 0)[0]?.share).toBeNull()
  })
  test('a failed stage keeps its place', () => {
    const marks = raise({}, op({ stages: [stage('images', 'running', 0.5)] }))
    expect(segments(op({ state: 'failed', stages: [stage('images', 'failed')] }), marks, 0)[0]?.share).toBe(0.5)
  })
  test('what a failed operation did not reach is not shown as done', () => {
    const failed = op({ state: 'failed', stages: [stage('a', 'done'), stage('b', 'failed'), stage('c', 'skipped')] })
    expect(segments(failed, {}, 0).map((s) => s.share)).toEqual([1, 0, 0])
    expect(segments({ ...failed, state: 'succeeded' }, {}, 0)[2]?.share).toBe(1)
  })
  test('nonsense from the wire is clamped', () => {
    expect(segments(op({ stages: [stage('a', 'running', -3), stage('b', 'running', Number.NaN)] }), {}, 0).map((s) => s.share)).toEqual([0, 0])
  })
  test('durations run with the node and stop with the operation', () => {
    const s = { ...stage('start', 'running'), started_at: 100 }
    expect(segments(op({ stages: [s] }), {}, 350)[0]?.took).toBe(250)
    expect(segments(op({ state: 'failed', ended_at: 200, stages: [{ ...s, state: 'failed' }] }), {}, 350)[0]?.took).toBe(100)
  })
  test('the current step is the one at work, or the failed one', () => {
    const of = (...states: Stage['state'][]) => current(segments(op({ stages: states.map((s, i) => stage(`${i}`, s)) }), {}, 0))?.index
    expect(of('done', 'running', 'waiting')).toBe(1)
    expect(of('done', 'failed', 'waiting')).toBe(1)
    expect(of('done', 'done')).toBe(1)
    expect(of()).toBeUndefined()
  })
})

describe('tree', () => {
  const node = (path: string, parent: string | null, order = 0): TreeView => ({
    path, parent, order, kind: 'worker', strategy: null, restart: 'permanent', intensity: null, state: 'running',
    generation: 1, restarts: 0, last_exit: null, last_exit_at: null, cause: null,
  })
  const rows = [node('n/b', 'n', 1), node('n', null), node('n/a', 'n', 0), node('n/b/x', 'n/b'), node('lost/y', 'lost')]
  test('is drawn in start order with its levels; nobody is lost', () => {
    expect(flatten(rows, new Set()).map((r) => [r.name, r.level, r.position, r.siblings])).toEqual([
      ['y', 1, 1, 2], ['n', 1, 2, 2], ['a', 2, 1, 2], ['b', 2, 2, 2], ['x', 3, 1, 1],
    ])
  })
  test('what is closed hides what is below', () => {
    expect(flatten(rows, new Set(['n'])).map((r) => r.name)).toEqual(['y', 'n'])
  })
  test('keys move as in the ARIA pattern', () => {
    const list = flatten(rows, new Set())
    expect(move(list, 3, 'ArrowRight')).toEqual({ focus: 4 })
    expect(move(list, 4, 'ArrowLeft')).toEqual({ focus: 3 })
    expect(move(list, 3, 'ArrowLeft')).toEqual({ toggle: 'n/b' })
    expect(move(list, 4, 'ArrowRight')).toBeNull()
    expect(move(list, 4, 'ArrowDown')).toBeNull()
    expect(move(list, 2, 'End')).toEqual({ focus: 4 })
  })
})

test('a barrier is reached when every looked-at stream shows it, or a later epoch does', () => {
  const shown = (seq: number, epoch = 'E1', stale = false) => ({ ready: true, stale, seq, epoch })
  const at = { at: { ops: 5, apps: 9, tree: 99 }, epoch: 'E1' }
  expect(reached(at, { apps: shown(9), ops: shown(4) })).toBe(false)
  expect(reached(at, { apps: shown(9), ops: shown(5) })).toBe(true)
  expect(reached(at, { apps: shown(1, 'E2'), ops: shown(1, 'E2') })).toBe(true)
  expect(reached(at, { apps: shown(9, 'E1', true), ops: shown(5) })).toBe(false)
})

test('a duration is told in its largest unit', () => {
  expect([0, 59_999, 60_000, 7_200_000, 200_000_000].map(largest)).toEqual([
    { n: 0, unit: 's' }, { n: 59, unit: 's' }, { n: 1, unit: 'm' }, { n: 2, unit: 'h' }, { n: 2, unit: 'd' },
  ])
})

test('a held order loses what is gone and gains what is new at its end', () => {
  expect(keepOrder(['b', 'a', 'c'], ['a', 'd', 'b'])).toEqual(['b', 'a', 'd'])
})

test('an app is opened on the host of this page, and only ever as a web address', () => {
  const at = { name: 'web', scheme: 'http', port: 8090, path: '/' }
  expect(launchHref(at, 'node.lan')).toBe('http://node.lan:8090/')
  expect(launchHref(at, '[::1]')).toBe('http://[::1]:8090/')
  expect(launchHref({ ...at, path: 'x?y=1' }, 'n')).toBe('http://n:8090/x?y=1')
  expect(launchHref({ ...at, scheme: 'javascript', path: '/%0aalert(1)' }, 'n')).toBeNull()
  expect(launchHref({ ...at, port: 0 }, 'n')).toBeNull()
  expect(launchHref({ ...at, port: 0, url: 'https://example.org/x' }, 'n')).toBe('https://example.org/x')
  expect(launchHref({ ...at, url: 'javascript:alert(1)' }, 'n')).toBeNull()
})

// The scripted state of the mock node.
import { backup, PLAN } from './catalog.mjs'

export { account } from './account.mjs'

const T0 = Date.now()
const min = (n) => T0 - n * 60_000

export const error = (code, message, hint = null, problems = []) => ({ code, message, hint, op_id: null, problems })
export const PORT_IN_USE = {
  code: 'port_in_use',
  message: 'Port 8443 is already used by another program on this node.',
  hint: 'Stop the other program or choose another port in the app’s settings, then retry.',
  retryable: true,
}

const ROLLED_BACK = {
  code: 'deadline', message: 'web is not ready: it answered with 502; it was rolled back to version 1.0.0', hint: 'look into the log', retryable: true,
}

export const container = (app, service, over = {}) => ({
  service, name: `${app}-${service}`, id: 'f00d'.repeat(16), phase: 'running', health: 'healthy', wait: [], reason: null,
  since: min(42), started_at: min(42), restarts: 0, last_restart: null, last_exit: null, image: `localhost/${app}/${service}:1`, ...over,
})
export const app = (id, name, tagline, over = {}) => ({
  id, name, tagline, version: '1.0.0', installed: true, phase: 'running', reason: null, since: min(42), observed_at: T0,
  confidence: 'live', desired: 'running', op: null, last_op: null, wait: [], restarts: 0, containers: [],
  launch: [{ name: 'web', scheme: 'http', port: 8080, path: '/' }], next_retry: null, update: null, backup: null, category: null, icon: false, ...over,
})
const stage = (key) => ({ key, state: 'waiting', progress: null, detail: null, started_at: null, ended_at: null })
export const op = (id, kind, appId, stages) => ({
  id, kind, app: appId, state: 'queued', stages: stages.map(([key]) => stage(key)), started_at: Date.now(), ended_at: null, error: null, residue: [], cancellable: false, late: false,
})
const INSTALL = [['check'], ['images', 780], ['secrets'], ['networks'], ['containers'], ['start'], ['ready']]

export const event = (seq) => ({
  seq, at: Date.now(), severity: 'info', actor: 'node', kind: 'note', app: null, subject: null, op: null, message: 'Something happened', cause: [], suppressed: 0,
})
export const gate = (id, over = {}) => ({
  id, app: id.split('/')[0], title: 'Bitcoin is synced', kind: 'http_json', state: 'progressing', progress: 0.8563, current: 817_652, target: 954_850,
  unit: 'blocks', rate: 12.5, eta_s: 10_975, eta_max_s: 14_400, detail: '8 peers', waiters: [], may_skip: false, since: min(180), observed_at: T0, last_ok: T0, ...over,
})
const usage = (service, cpu, mib, limit = null) => ({
  service, cpu, memory_bytes: mib * 1_048_576, memory_limit_bytes: limit === null ? null : limit * 1_048_576, rx_bytes: 48_318_000, tx_bytes: 9_120_000,
  read_bytes: 0, write_bytes: 4096, pids: 12,
})
export const metrics = (app, list) => ({ app, measured_at: Date.now(), usage: list.map((u) => usage(...u)) })

/** What a container has said before anybody followed. */
export function logLines(stream) {
  const service = stream.split('/')[1]
  const at = (i) => new Date(T0 - (60 - i) * 1_000).toISOString().slice(11, 19)
  return Array.from({ length: 60 }, (_, i) => {
    if (i % 17 === 5) return `${at(i)} \x1b[33mWARN\x1b[0m ${service}: slow answer from cache, 812 ms`
    if (i % 29 === 11) return `${at(i)} \x1b[1;31mERROR\x1b[0m ${service}: connection reset by peer (attempt 2 of 5)`
    return `${at(i)} \x1b[32mINFO\x1b[0m ${service}: GET /api/visits 200 in ${3 + ((i * 7) % 19)} ms`
  })
}

const demo = (over) => app('demo', 'Demo', 'Three small services: a page, an API and a cache.', {
  launch: [{ name: 'web', scheme: 'http', port: 8090, path: '/' }], category: 'demo', icon: true,
  containers: ['cache', 'api', 'web'].map((s) => container('demo', s)), ...over,
})
const away = { installed: false, phase: 'not_installed', desired: 'absent', containers: [], launch: [] }

export function fill(node, scenario) {
  node.put('node', { key: 'engine', ok: scenario !== 'scanning', detail: scenario === 'scanning' ? 'no answer on the socket' : 'Podman 4.3.1, rootless, netavark', last_ok: T0 })
  node.put('node', { key: 'store', ok: true, detail: '/var/lib/archipelago/state.db', last_ok: T0 })
  if (scenario === 'scanning') return
  node.put('apps', demo(away))
  node.put('apps', app('files', 'File Island', 'Your files, on your own hardware.', { ...away, category: 'files' }))
  if (scenario === 'rich') rich(node)
  if (scenario === 'many') many(node)
  tree(node)
}

function rich(node) {
  node.put('gates', gate('bitcoin/synced', { app: 'bitcoin', waiters: ['mempool'] }))
  node.put('apps', app('bitcoin', 'Bitcoin', 'Your own full node.', { since: min(190), containers: [container('bitcoin', 'node', { since: min(190) })], launch: [] }))
  node.put('metrics', metrics('demo', [['cache', 0.02, 12, 128], ['api', 0.01, 6, 64], ['web', 0.04, 18, 64]]))
  node.put('metrics', metrics('bitcoin', [['node', 0.83, 1_420]]))
  history(node)
  const failed = { ...op('01FAILED', 'install', 'photos', INSTALL), state: 'failed', started_at: min(3), ended_at: min(2), error: PORT_IN_USE }
  failed.stages = failed.stages.map((s, i) => ({ ...s, state: i < 4 ? 'done' : i === 4 ? 'failed' : 'waiting', started_at: i < 5 ? min(3) : null, ended_at: i < 5 ? min(2) : null }))
  const running = { ...op('01RUNNING', 'install', 'music', INSTALL), state: 'running', started_at: T0 - 34_000, cancellable: true }
  running.stages = running.stages.map((s, i) => (i === 0 ? { ...s, state: 'done', started_at: T0 - 34_000, ended_at: T0 - 33_000 } : i === 1 ? { ...s, state: 'running', progress: 0.53, detail: '412 of 780 MB', started_at: T0 - 33_000 } : s))
  node.put('ops', failed)
  node.put('ops', running)
  node.backups = [backup('demo', '4f1c2d3e', 30), backup('demo', 'aa11bb22', 150, '0.9.0')]
  node.put('apps', app('vault', 'Vault', 'Keeps what must not be lost.', { ...away, category: 'security' }))
  node.put('ops', { ...op('01GONE', 'uninstall', 'vault', [['stop'], ['remove']]), state: 'succeeded', started_at: min(8), ended_at: min(7), residue: ['network vault_default, which a container of another owner uses'] })
  node.put('apps', demo({ update: '1.1.0', backup: node.backups[0], restarts: 1, containers: [container('demo', 'cache', { restarts: 1, last_restart: { cause: ['exited with code 137'], at: min(1) }, since: min(1), started_at: min(1), last_exit: { code: 137, oom: false, at: min(1) } }), container('demo', 'api'), container('demo', 'web')] }))
  node.put('apps', app('photos', 'Photo Harbour', 'Albums for the whole family, with search and sharing.', { installed: false, phase: 'failed', reason: 'The last installation did not finish.', last_op: '01FAILED', launch: [] }))
  node.put('apps', app('music', 'Music', 'Streams your collection.', { installed: false, phase: 'installing', op: '01RUNNING', since: T0 - 34_000, launch: [] }))
  node.put('apps', app('mempool', 'Mempool', 'Explorer for your own Bitcoin node.', { phase: 'waiting', reason: 'Waits for Bitcoin to finish syncing.', wait: [{ on: 'bitcoin/synced', condition: 'gate_open', progress: 0.856, app: 'bitcoin', state: 'progressing', detail: '8 peers', may_skip: true }], containers: [container('mempool', 'db'), container('mempool', 'api', { phase: 'waiting', health: 'none', wait: [{ on: 'bitcoin/synced', condition: 'gate_open', progress: 0.856, app: 'bitcoin', state: 'progressing', detail: '8 peers', may_skip: true }] })] }))
  node.put('apps', app('chat', 'Chat', 'Rooms for people you know.', { phase: 'crash_looping', restarts: 5, reason: 'server ended 5 times within 60 s.', next_retry: T0 + 180_000, containers: [container('chat', 'server', { phase: 'parked', health: 'unhealthy', restarts: 5, reason: 'restart intensity exhausted: 5 in 60 s', last_exit: { code: 137, oom: true, at: min(0.5) } })] }))
  node.put('apps', app('wiki', 'Wiki', 'Notes that link to each other.', { phase: 'stopped', desired: 'stopped', since: min(3000), containers: [container('wiki', 'web', { phase: 'exited', health: 'none', last_exit: { code: 0, oom: false, at: min(3000) } })] }))
}

/** As many apps as a screen never shows at once. */
function many(node) {
  for (let i = 0; i < 200; i++) {
    const id = `app-${String(i).padStart(3, '0')}`
    node.put('apps', app(id, `App ${String(i).padStart(3, '0')}`, 'One of many.', { containers: ['web', 'db'].map((s) => container(id, s)) }))
  }
}

function history(node) {
  const push = (ago, over) => {
    node.event(over)
    node.events.at(-1).at = T0 - ago
  }
  const H = 3_600_000
  push(26 * H, { kind: 'node_started', message: 'The node started' })
  push(25 * H, { kind: 'op_succeeded', actor: 'user', app: 'wiki', op: '01WIKI', message: 'Installed' })
  push(24.5 * H, { kind: 'app_stopped', actor: 'user', app: 'wiki', message: 'Stopped' })
  push(3.1 * H, { kind: 'gate_closed', actor: 'gate', app: 'bitcoin', subject: 'bitcoin/synced', severity: 'warning', message: 'Bitcoin is synced: closed', cause: ['137,198 blocks are missing'] })
  push(42 * 60_000, { kind: 'op_succeeded', actor: 'user', app: 'demo', op: '01DEMO', message: 'Installed' })
  push(180_000, { kind: 'op_failed', actor: 'node', app: 'photos', op: '01FAILED', severity: 'error', message: 'The installation failed', cause: [PORT_IN_USE.message] })
  for (let i = 0; i < 4; i++) {
    push(130_000 - i * 24_000, { kind: 'child_restarted', actor: 'supervisor', app: 'chat', subject: 'node/stacks/chat/containers/server', severity: 'warning', message: 'server is restarted', cause: ['container exited with 137', 'out of memory'] })
  }
  push(31_000, { kind: 'child_parked', actor: 'supervisor', app: 'chat', subject: 'node/stacks/chat/containers/server', severity: 'error', message: 'server is given up for now: 5 restarts in 60 s', cause: ['restart intensity exhausted', 'container exited with 137', 'out of memory'] })
  push(20_000, { kind: 'child_restarted', actor: 'supervisor', app: 'demo', subject: 'node/stacks/demo/containers/cache', severity: 'warning', message: 'cache is restarted', cause: ['container exited with 137 (SIGKILL)'] })
}

function tree(node) {
  let order = 0
  const add = (path, over = {}) => {
    const cut = path.lastIndexOf('/')
    node.put('tree', {
      path, parent: cut < 0 ? null : path.slice(0, cut), order: order++, kind: 'worker', strategy: null, restart: 'permanent', intensity: null,
      state: 'running', generation: 1, restarts: 0, last_exit: null, last_exit_at: null, cause: 'initial', ...over,
    })
  }
  const sup = (path, strategy, used = 0, over = {}) => add(path, { kind: 'supervisor', strategy, intensity: { max: 5, window_ms: 60_000, used }, ...over })
  sup('node', 'one_for_one')
  add('node/store')
  add('node/hub')
  sup('node/engine', 'rest_for_one')
  add('node/engine/service')
  add('node/engine/observer', { generation: 2, restarts: 1, cause: 'sibling_failure service', last_exit: 'shutdown', last_exit_at: min(12) })
  sup('node/stacks', 'one_for_one')
  sup('node/stacks/demo', 'one_for_one', 0)
  add('node/stacks/demo/app')
  sup('node/stacks/demo/containers', 'rest_for_one', 3)
  add('node/stacks/demo/containers/cache', { generation: 4, restarts: 3, cause: 'own_failure', last_exit: 'container exited with code 137 (SIGKILL)', last_exit_at: min(1) })
  add('node/stacks/demo/containers/api', { generation: 4, restarts: 3, cause: 'sibling_failure cache', last_exit: 'shutdown', last_exit_at: min(1) })
  add('node/stacks/demo/containers/web', { generation: 4, restarts: 3, state: 'restarting', cause: 'sibling_failure cache', last_exit: 'shutdown', last_exit_at: min(1) })
  sup('node/stacks/chat', 'one_for_one', 5, { state: 'parked' })
  sup('node/server', 'rest_for_one')
  add('node/server/listener')
}

/** What has to be confirmed: a command that destroys something, without a yes to exactly that. */
export function asks({ command, app, purge }, confirmed) {
  if (confirmed || !(command === 'restore' || purge)) return null
  const plan = command === 'restore' ? PLAN : { removes: [`volume ${app}_data (700 MiB)`], keeps: ['all backups'], dependents: [], type_to_confirm: app }
  return { ...error('confirm_required', 'Confirm what would be gone.'), confirm: { plan, token: `yes-${command}` } }
}

export function obey(node, { command, app: id, op: target }, get) {
  const view = get('apps', id)
  const settle = (phase, over = {}) => () => ({ phase, ...over })
  const whole = (service) => container(id, service, { since: Date.now(), started_at: Date.now() })
  const services = ['cache', 'api', 'web'].map(whole)
  switch (command) {
    case 'install':
      return node.script('install', id, INSTALL, { during: 'installing', after: (state) => (state === 'succeeded' ? { phase: 'running', installed: true, desired: 'running', containers: services, launch: [{ name: 'web', scheme: 'http', port: 8090, path: '/' }] } : away) })
    case 'start':
    case 'restart':
      return node.script(command, id, [['start'], ['ready']], { during: 'starting', after: settle('running', { desired: 'running', next_retry: null, reason: null, restarts: 0, containers: view.containers.map((c) => whole(c.service)) }) })
    case 'cancel':
      return node.cancel(target)
    case 'update':
      return node.script('update', id, [['check'], ['images', 200], ['backup'], ['stop'], ['replace'], ['start'], ['ready']], { during: 'updating', fail: node.failing, error: ROLLED_BACK, after: (state) => ({ phase: 'running', ...(state === 'succeeded' ? { version: view.update, update: null } : {}) }) })
    case 'backup': {
      const made = backup(id, `5e5e${node.backups.length}${'0'.repeat(4)}`, 0, view.version)
      return node.script('backup', id, [['prepare'], ['stop'], ['backup', 700], ['verify'], ['start'], ['ready']], { during: 'backing_up', after: () => (node.backups.push(made), { phase: 'running', backup: made }) })
    }
    case 'restore':
      return node.script('restore', id, [['check'], ['stop'], ['restore', 700], ['verify'], ['start'], ['ready']], { during: 'restoring', after: settle('running') })
    case 'stop':
      return node.script('stop', id, [['stop']], { during: 'stopping', after: settle('stopped', { desired: 'stopped', containers: view.containers.map((c) => ({ ...c, phase: 'exited', health: 'none', since: Date.now() })) }) })
    default:
      return node.script('uninstall', id, [['stop'], ['remove'], ['entry']], { during: 'uninstalling', after: settle('not_installed', { ...away, restarts: 0 }) })
  }
}

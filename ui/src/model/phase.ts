// What a phase looks like and what can be done in it. The phase itself always comes from the node.
import type { AppView, ContainerPhase, Health, OpState, OpView, Phase, TreeState } from '../protocol/archy'

/** Six tones carry every status; each also has a word and an icon, never the colour alone. */
export type Tone = 'ok' | 'busy' | 'wait' | 'warn' | 'bad' | 'off'

const PHASE_TONE: Record<Phase, Tone> = {
  not_installed: 'off',
  installing: 'busy',
  starting: 'busy',
  waiting: 'wait',
  running: 'ok',
  degraded: 'warn',
  unhealthy: 'warn',
  restarting: 'warn',
  crash_looping: 'bad',
  stopping: 'busy',
  stopped: 'off',
  updating: 'busy',
  backing_up: 'busy',
  restoring: 'busy',
  uninstalling: 'busy',
  failed: 'bad',
}

const CONTAINER_TONE: Record<ContainerPhase, Tone> = {
  unknown: 'off',
  absent: 'off',
  creating: 'busy',
  created: 'off',
  waiting: 'wait',
  starting: 'busy',
  running: 'ok',
  stopping: 'busy',
  exited: 'warn',
  backoff: 'warn',
  parked: 'bad',
}

const TREE_TONE: Record<TreeState, Tone> = {
  undefined: 'off',
  starting: 'busy',
  running: 'ok',
  stopping: 'busy',
  restarting: 'warn',
  parked: 'bad',
  unkillable: 'bad',
}

const OP_TONE: Record<OpState, Tone> = {
  queued: 'wait',
  running: 'busy',
  cancelling: 'busy',
  succeeded: 'ok',
  failed: 'bad',
  cancelled: 'off',
  interrupted: 'warn',
}

// A value that only a newer node knows is shown neutrally, not hidden.
export const phaseTone = (phase: Phase): Tone => PHASE_TONE[phase] ?? 'off'
export const opTone = (state: OpState): Tone => OP_TONE[state] ?? 'off'
export const treeTone = (state: TreeState): Tone => TREE_TONE[state] ?? 'off'

/** A container's process runs, but that is "ok" only when its probe agrees. */
export function containerTone(phase: ContainerPhase, health: Health): Tone {
  if (phase === 'running' && health === 'unhealthy') return 'warn'
  if (phase === 'running' && health === 'starting') return 'busy'
  return CONTAINER_TONE[phase] ?? 'off'
}

export const isMine = (app: AppView): boolean => app.installed || app.phase !== 'not_installed'

export const needsAttention = (phase: Phase): boolean =>
  phase === 'failed' || phase === 'crash_looping' || phase === 'unhealthy' || phase === 'degraded'

function rank(phase: Phase): number {
  if (needsAttention(phase)) return 0
  if (phase === 'running') return 2
  if (phase === 'stopped' || phase === 'not_installed') return 3
  return 1
}

/** Needs attention, in progress, running, stopped; by name within each. */
export function byUrgency(a: AppView, b: AppView): number {
  return rank(a.phase) - rank(b.phase) || a.name.localeCompare(b.name) || a.id.localeCompare(b.id)
}

export type Verb = 'install' | 'start' | 'start_anyway' | 'stop' | 'restart' | 'update' | 'uninstall'
/** `look`: what it waits for is shown on its page. */
export type Primary =
  | { readonly kind: 'open' | 'look' }
  | { readonly kind: 'command'; readonly verb: Verb; readonly retry: boolean }

/** The one button that most people want now. */
export function primaryOf(app: AppView): Primary | null {
  switch (app.phase) {
    case 'not_installed':
      return { kind: 'command', verb: 'install', retry: false }
    case 'stopped':
      return { kind: 'command', verb: 'start', retry: false }
    case 'crash_looping':
      return { kind: 'command', verb: 'start', retry: true }
    case 'failed':
      return { kind: 'command', verb: app.installed ? 'start' : 'install', retry: true }
    case 'running':
    case 'degraded':
    case 'unhealthy':
      return app.launch.length > 0 ? { kind: 'open' } : null
    case 'waiting':
      return { kind: 'look' }
    default:
      return null
  }
}

/** Whether it may be started without what it waits for. */
export function maySkip(app: AppView): boolean {
  return app.phase === 'waiting' && app.wait.length > 0 && app.wait.every((w) => w.may_skip)
}

/** What the overflow menu offers. */
export function menuOf(app: AppView): Verb[] {
  return hasUpdate(app) ? ['update', ...verbsOf(app)] : verbsOf(app)
}

/** Whether the catalog has another version of what is installed. */
export const hasUpdate = (app: AppView): boolean => app.installed && app.update !== null

function verbsOf(app: AppView): Verb[] {
  switch (app.phase) {
    case 'waiting':
      return maySkip(app) ? ['start_anyway', 'restart', 'stop', 'uninstall'] : ['restart', 'stop', 'uninstall']
    case 'not_installed':
      return []
    case 'stopped':
      return ['uninstall']
    case 'failed':
      return app.installed ? ['stop', 'uninstall'] : ['uninstall']
    default:
      return ['restart', 'stop', 'uninstall']
  }
}

/** The operation whose failure the app's card has to show: its last one, unless a new one runs. */
export function failureOf(app: AppView, last: OpView | undefined): OpView | null {
  if (app.op !== null || !last) return null
  return last.state === 'failed' || last.state === 'interrupted' ? last : null
}

// The page's one connection to the node.
import { computed } from 'vue'
import { api } from '../api/http'
import { NodeClient } from '../stream/client'
import { SUBPROTOCOL, type SocketLike, type Verdict } from '../stream/connection'
import { EventJournal } from '../stream/events'
import { framePainter } from '../stream/paint'

/** A page that nobody sees needs news this often at most. */
const HIDDEN_MS = 1_000

async function verify(): Promise<Verdict> {
  const answer = await api.session()
  if (answer.ok) return 'ok'
  return answer.error.code === 'unauthenticated' ? 'unauthenticated' : 'unreachable'
}

export const client = new NodeClient(
  {
    open: () => new WebSocket(`${location.origin.replace(/^http/, 'ws')}/api/v1/ws`, SUBPROTOCOL) as unknown as SocketLike,
    now: () => Date.now(),
    random: () => Math.random(),
    setTimer: (run, ms) => setTimeout(run, ms),
    clearTimer: (id) => clearTimeout(id as ReturnType<typeof setTimeout>),
    mayTry: () => !document.hidden && navigator.onLine,
    verify,
  },
  framePainter,
)

export const { apps, ops, tree, gates, node, metrics } = client.streams
export const events = new EventJournal()

client.want('apps')
client.want('ops')
client.want('gates')
client.want('node')

addEventListener('online', () => client.wake())
addEventListener('pageshow', () => client.wake())
document.addEventListener('resume', () => client.wake())
document.addEventListener('visibilitychange', () => {
  client.tune(document.hidden ? HIDDEN_MS : 0)
  if (!document.hidden) client.wake()
})

/** Whether what the page shows is what is. */
export const connected = computed(() => client.link.value.state === 'live')

/** The engine's row; undefined until it was received. */
export const engine = computed(() => node.row('engine').value)

/** Follows the journal of events for as long as somebody looks at it. */
let readers = 0
let unfollow: (() => void) | null = null
export function followEvents(): () => void {
  if (readers++ === 0) unfollow = client.follow(events)
  return () => {
    if (--readers > 0) return
    unfollow?.()
    unfollow = null
  }
}

export const has = (feature: string): boolean => client.greeting.value.features.has(feature)

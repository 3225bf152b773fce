// Time for "3 minutes ago": one ticker, running only while somebody looks.
import { computed, onScopeDispose, shallowRef, type ComputedRef, type ShallowRef } from 'vue'
import { client, connected } from './node'

const now = shallowRef(Date.now())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** This machine's clock, once a second, for as long as the calling component lives. */
export function useNow(): ShallowRef<number> {
  if (users++ === 0) {
    now.value = Date.now()
    timer = setInterval(() => {
      if (!document.hidden) now.value = Date.now()
    }, 1_000)
  }
  onScopeDispose(() => {
    if (--users === 0) clearInterval(timer)
  })
  return now
}

/** Like `useNow`, but it stands still while the node is not heard: how long a state lasts is not known then. */
export function useNodeNow(): ComputedRef<number> {
  const ticking = useNow()
  return computed(() => (connected.value ? ticking.value : (client.link.value.heardAt ?? ticking.value)))
}

/** A time of the node on this machine's clock. */
export function local(nodeTime: number): number {
  return nodeTime - client.clockSkew.value
}

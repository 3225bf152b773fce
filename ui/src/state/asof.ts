// From when an app's row is, where it is not live.
import { computed, type ComputedRef, type Ref } from 'vue'
import { clock, dateTime } from '../i18n'
import type { AppView } from '../protocol/archy'
import { local } from './clock'
import { seededFrom } from './lastknown'
import { apps, client, connected } from './node'

const DAY_MS = 86_400_000

/** The time in words; null while the row is live. */
export function useAsOf(app: Ref<AppView | undefined>): ComputedRef<string | null> {
  return computed(() => {
    const view = app.value
    if (!view) return null
    if (view.confidence === 'last_known') return words(local(view.observed_at))
    if (connected.value && !apps.meta.value.stale) return null
    return words(seededFrom.value ?? client.link.value.heardAt ?? local(view.observed_at))
  })
}

// A time alone would be taken for one of today.
const words = (ms: number): string => (Date.now() - ms > DAY_MS / 2 ? dateTime(ms) : clock(ms))

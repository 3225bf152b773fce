// Says aloud what somebody who does not look should know: outcomes and states that need attention, not every change.
import { watch } from 'vue'
import { known, t } from '../i18n'
import { needsAttention } from '../model/phase'
import type { Phase } from '../protocol/archy'
import { announce } from './announce'
import { apps } from './node'

const before = new Map<string, Phase>()

/** Begins to watch; what is there at first is not news. */
export function announceOutcomes(): () => void {
  before.clear()
  return watch(apps.meta, (meta) => {
    if (!meta.ready || meta.stale) return
    for (const app of apps.all()) {
      const was = before.get(app.id)
      before.set(app.id, app.phase)
      if (was === undefined || was === app.phase) continue
      if (needsAttention(app.phase) || app.phase === 'running' || app.phase === 'stopped') {
        announce(t('announce.phase', { name: app.name, phase: known(`phase.${app.phase}`) ?? app.phase }))
      }
    }
  })
}

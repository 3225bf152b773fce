// What the node knows of an app beside its row. It changes with versions and with what is installed, and is asked for then.
import { api } from '../api/http'
import { isMine } from '../model/phase'
import type { AppFacts, AppView } from '../protocol/archy'
import { useAsked, type Asked } from './asked'
import { apps } from './node'

export function useFacts(app: () => AppView): Asked<AppFacts> {
  const when = () => {
    const { id, installed, version, update } = app()
    return [id, installed, version, update, ...apps.all().filter(isMine).map((a) => a.id)].join(' ')
  }
  return useAsked(() => api.facts(app().id), when)
}

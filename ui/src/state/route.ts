// Client routes: a handful of pages, so no router library.
import { computed, shallowRef } from 'vue'

export const ROUTES = {
  apps: '/', store: '/store', activity: '/activity', node: '/node', tree: '/tree', settings: '/settings',
} as const
export type PageName = keyof typeof ROUTES
export const TABS = ['overview', 'activity', 'logs', 'containers', 'data', 'config'] as const
export type Tab = (typeof TABS)[number]

export type Place =
  | { readonly page: PageName }
  | { readonly page: 'app'; readonly app: string; readonly tab: Tab }

export function match(path: string): Place | null {
  const parts = path.split('/').filter((part) => part !== '')
  if (parts[0] === 'apps' && parts[1] && parts.length <= 3) {
    const tab = parts[2] ?? 'overview'
    const known = TABS.find((t) => t === tab)
    return known ? { page: 'app', app: decode(parts[1]), tab: known } : null
  }
  const clean = `/${parts.join('/')}`
  const found = (Object.entries(ROUTES) as [PageName, string][]).find(([, at]) => at === clean)
  return found ? { page: found[0] } : null
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** The address of an app's page. */
export function appPath(app: string, tab: Tab = 'overview'): string {
  return `/apps/${encodeURIComponent(app)}${tab === 'overview' ? '' : `/${tab}`}`
}

const here = shallowRef(read())

function read(): { path: string; query: string; hash: string } {
  return { path: location.pathname, query: location.search, hash: location.hash.slice(1) }
}

export const place = computed(() => match(here.value.path))
/** Changes when another page is shown, not when the same page shows something else. */
export const pageKey = computed(() => (place.value?.page === 'app' ? `app ${place.value.app}` : (place.value?.page ?? null)))
export const query = computed(() => new URLSearchParams(here.value.query))
/** Part after `#`. */
export const anchor = computed(() => here.value.hash)

/** Shows another place of this page. */
export function go(url: string): void {
  if (url !== location.pathname + location.search + location.hash) history.pushState(null, '', url)
  const before = here.value.path
  here.value = read()
  if (here.value.path !== before && !here.value.hash) scrollTo(0, 0)
}

/** Keeps a choice in the address, so that it can be linked to, without a step in the history. */
export function setQuery(changes: Record<string, string | null>): void {
  const next = new URLSearchParams(location.search)
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value)
    else next.delete(key)
  }
  const text = next.toString()
  history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''))
  here.value = read()
}

addEventListener('popstate', () => (here.value = read()))
addEventListener('hashchange', () => (here.value = read()))

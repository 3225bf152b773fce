// Which component shows which place. What people see first is in the first load, the rest comes when it is asked for.
import type { Component } from 'vue'
import { lazy } from '../lazy'
import type { Place } from '../state/route'
import AppsPage from './AppsPage.vue'

export const pages: Record<Place['page'], Component> = {
  apps: AppsPage,
  app: lazy(() => import('./AppPage.vue')),
  store: lazy(() => import('./StorePage.vue')),
  activity: lazy(() => import('./ActivityPage.vue')),
  node: lazy(() => import('./NodePage.vue')),
  tree: lazy(() => import('./TreePage.vue')),
  settings: lazy(() => import('./SettingsPage.vue')),
}

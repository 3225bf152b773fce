// Every page in light, dark and on a phone: no violation of WCAG and of axe's best practices, nothing wider than the screen.
import { test } from 'node:test'
import { assertAccessible, choose, VIEWS } from '../../tests/ui/support/page.mjs'
import { bench } from './bench.mjs'

const b = bench()
const PAGES = [
  ['/', 'my apps', '[data-app=demo]'],
  ['/apps/demo', 'an app', '[data-app-page=demo] ~ * [data-testid=usage] table'],
  ['/apps/music', 'an app that is being installed', '[data-testid=progress]'],
  ['/apps/photos', 'an app whose installation failed', '[data-failed-op]'],
  ['/apps/mempool', 'an app behind a gate', '[data-gate]'],
  ['/apps/demo/logs', 'logs', '[data-testid=log] .line'],
  ['/apps/demo/containers', 'containers', '[data-container=web]'],
  ['/apps/demo/data', 'data and backups', '[data-backup] ~ [data-backup]'],
  ['/apps/demo/config', 'configuration', '[data-testid=secrets] li'],
  ['/apps/vault', 'an app that does not fit', '[data-testid=needs][data-fits=false]'],
  ['/apps/chat/activity', 'activity of an app', '[data-testid=events]'],
  ['/store', 'store', '[data-store-app=files]'],
  ['/activity', 'activity', '[data-testid=events]'],
  ['/node', 'node', '[data-testid=gates]'],
  ['/tree', 'tree', '[role=treeitem]'],
  ['/settings', 'settings', '[data-testid=sessions] li'],
  ['/nowhere', 'missing page', 'h1'],
  ['/apps/nobody', 'missing app', 'h1'],
]

test('everybody can use every page', { timeout: 400_000 }, async () => {
  await b.enter()
  for (const [path, what, there] of PAGES) {
    await b.page.goto(path)
    await b.page.locator(there).first().waitFor()
    await assertAccessible(b.page, what)
  }
})

test('everybody can get in, and use what opens over a page', { timeout: 200_000 }, async () => {
  await b.open({ setup: true })
  await b.page.goto('/')
  await b.page.getByTestId('token').fill('wrong')
  await b.page.getByTestId('login-submit').click()
  await b.page.getByTestId('error').waitFor()
  await assertAccessible(b.page, 'login')
  await b.page.getByTestId('token').fill('mock')
  await b.page.getByTestId('login-submit').click()
  await b.page.getByTestId('setup').waitFor()
  await assertAccessible(b.page, 'setup')
  await b.page.getByTestId('setup-later').click()
  await b.card('demo').waitFor()
  await b.page.keyboard.press('Control+k')
  await b.page.getByTestId('palette').waitFor()
  await assertAccessible(b.page, 'palette')
  await b.page.keyboard.press('Escape')
  await b.page.getByTestId('palette').waitFor({ state: 'detached' })
  await b.page.keyboard.press('?')
  await b.page.getByTestId('keys').waitFor()
  await assertAccessible(b.page, 'shortcuts')
  await b.page.keyboard.press('Escape')
  await b.page.getByTestId('keys').waitFor({ state: 'detached' })
  await b.page.getByTestId('tray').click()
  await assertAccessible(b.page, 'tray')
  await b.page.keyboard.press('Escape')
  await b.page.getByTestId('prefs').click()
  await assertAccessible(b.page, 'preferences')
  await b.page.keyboard.press('Escape')
})

test('everybody can use what is asked before something is changed, and take it back', { timeout: 200_000 }, async () => {
  await b.enter()
  await b.page.goto('/apps/demo')
  await b.page.getByTestId('update').click()
  await b.page.getByTestId('release-notes').waitFor()
  await assertAccessible(b.page, 'update dialog')
  await b.page.keyboard.press('Escape')
  await b.page.getByTestId('tab-data').click()
  await b.page.getByTestId('restore').first().click()
  await b.page.getByTestId('confirm').waitFor()
  await assertAccessible(b.page, 'restore dialog')
  await b.page.keyboard.press('Escape')
  await b.page.goto('/apps/vault')
  await b.page.getByTestId('primary-install').click()
  await b.page.getByTestId('confirm').waitFor()
  await assertAccessible(b.page, 'an app that does not fit is asked about')
  await b.page.keyboard.press('Escape')
  const row = b.row('ops', '01RUNNING')
  b.node.put('ops', { ...row, late: true })
  await b.page.goto('/apps/music')
  await b.page.getByTestId('late').waitFor()
  await assertAccessible(b.page, 'an operation that is late')
  await b.page.goto('/')
  await b.card('demo').waitFor()
  await choose(b.page, 'demo', 'stop')
  // Looked at, it stays.
  await b.page.getByTestId('undo').focus()
  await assertAccessible(b.page, 'an offer to take back', { light: VIEWS.light, phone: VIEWS.phone })
})

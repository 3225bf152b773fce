// The page in a headless Chromium, what it showed over time, and whether everybody can use it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const ui = fileURLToPath(new URL('../../../ui/package.json', import.meta.url))
const require = createRequire(existsSync(ui) ? ui : import.meta.url)
const beside = fileURLToPath(new URL('../../../ui/node_modules/', import.meta.url))

function locate(env, path) {
  if (process.env[env]) return process.env[env]
  return existsSync(beside + path) ? beside + path : require.resolve(path)
}

const { chromium } = require(locate('PLAYWRIGHT_CORE', 'playwright-core/index.js'))
const axe = readFileSync(locate('AXE_CORE', 'axe-core/axe.min.js'), 'utf8')

export const VIEWS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 } },
}

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
}

/** A page that keeps a list of everything that must not happen. */
export async function openPage(browser, baseURL, options = VIEWS.light) {
  const context = await browser.newContext({ baseURL, locale: 'en-GB', serviceWorkers: 'block', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const seen = { errors: [], foreign: [], requests: [] }
  page.on('pageerror', (error) => seen.errors.push(String(error)))
  page.on('console', (m) => {
    if (/Content Security Policy/i.test(m.text())) seen.errors.push(m.text())
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.host !== new URL(baseURL).host) seen.foreign.push(request.url())
    seen.requests.push(`${request.method()} ${url.pathname}`)
  })
  return { context, page, seen }
}

/** Logs in, by token or password as the node asks; a first visit puts its password off. */
export async function login(page, secret) {
  await page.goto('/')
  await page.getByTestId('login').locator('input').first().fill(secret)
  await page.getByTestId('login-submit').click()
  const live = page.locator('[data-link=live]')
  const later = page.getByTestId('setup-later')
  await live.or(later).waitFor()
  if (await later.isVisible()) await later.click()
  await live.waitFor()
}

/** Two keys one right after the other, however slow the machine is: both carry the time at which they were pressed. */
export async function chord(page, ...keys) {
  const cdp = await page.context().newCDPSession(page)
  const timestamp = Date.now() / 1_000
  for (const key of keys) {
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key, timestamp })
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', key, timestamp })
  }
  await cdp.detach()
}

/** Fails on any violation, best practices included, in every view. */
export async function assertAccessible(page, what, views = VIEWS) {
  const size = page.viewportSize()
  for (const [name, view] of Object.entries(views)) {
    await page.emulateMedia({ colorScheme: view.colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize(view.viewport)
    await page.evaluate(axe)
    const violations = await page.evaluate(async () => {
      const result = await globalThis.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } })
      return result.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 200)).join(' | ')}`)
    })
    assert.deepEqual(violations, [], `${what}, ${name}`)
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok(tooWide <= 0, `${what}, ${name}: ${tooWide}px wider than the screen`)
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null })
  await page.setViewportSize(size)
}

/** Records from now on what the page shows, in the page itself, so that nothing is missed between two looks. */
export async function record(page, app) {
  await page.evaluate((id) => {
    const rec = { app: [], containers: {}, stages: [], texts: [] }
    globalThis.__rec = rec
    globalThis.__sameDocument = true
    const last = {}
    const note = (key, list, entry) => {
      const text = JSON.stringify(entry)
      if (last[key] === text) return
      last[key] = text
      list.push({ ...entry, at: Date.now() })
    }
    const look = () => {
      const card = document.querySelector(`[data-app="${id}"]`)
      if (card) note('app', rec.app, { phase: card.dataset.phase, restarts: Number(card.dataset.restarts) })
      for (const c of card?.querySelectorAll('[data-container]') ?? []) {
        const { container, phase, since, health } = c.dataset
        note(`c ${container}`, (rec.containers[container] ??= []), { phase, health, since: Number(since) })
      }
      const bar = document.querySelector(`:is([data-app="${id}"], [data-store-app="${id}"]) [role=progressbar]`)
      if (bar) note('bar', rec.texts, { text: bar.getAttribute('aria-valuetext') })
      const scope = document.querySelector(`[data-app="${id}"] [data-op], [data-store-app="${id}"] [data-op]`)
      for (const s of scope?.querySelectorAll('[data-stage]') ?? []) {
        note(`s ${s.dataset.stage}`, rec.stages, { op: scope.dataset.op, stage: s.dataset.stage, state: s.dataset.stageState })
      }
    }
    look()
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true })
  }, app)
}

export const recorded = (page) => page.evaluate(() => globalThis.__rec)

export const sameDocument = async (page) =>
  assert.equal(await page.evaluate(() => globalThis.__sameDocument), true, 'the page was reloaded')

/** Waits until a recorded list satisfies a predicate that runs in the page. */
export function untilRecorded(page, predicate, arg, timeout = 60_000) {
  return page.waitForFunction(predicate, arg, { timeout, polling: 'raf' })
}

export async function choose(page, app, action) {
  await page.locator(`[data-app="${app}"] [data-testid=menu]`).click()
  await page.locator(`[data-action="${action}"]`).click()
}

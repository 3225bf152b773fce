import { expect, test } from 'vitest'
import { backoff, beat, DEAD_MS, STALE_MS } from './timing'

test('the delay doubles from a quarter of a second up to ten seconds', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 50].map((n) => backoff(n, 1))).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
})
test('half of the delay is chance', () => {
  expect(backoff(3, 0)).toBe(1000)
  expect(backoff(3, 0.5)).toBe(1500)
})
test('a ping is due when nothing was sent for a while', () => {
  expect(beat(10_000, 0, 9_000, 15_000)).toMatchObject({ ping: false, state: 'live', wakeIn: 5_000 })
  expect(beat(15_000, 0, 14_000, 15_000)).toMatchObject({ ping: true, wakeIn: 15_000 })
})
test('silence makes it stale, then dead', () => {
  expect(beat(STALE_MS - 1, 20_000, 0, 15_000)).toMatchObject({ state: 'live', wakeIn: 1 })
  expect(beat(STALE_MS, 20_000, 0, 15_000)).toMatchObject({ state: 'stale', wakeIn: 5_000 })
  expect(beat(DEAD_MS, 40_000, 0, 15_000)).toMatchObject({ state: 'dead', ping: false })
})

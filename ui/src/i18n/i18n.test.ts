import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import de from './de.json'
import en from './en.json'
import { format, pickLocale, relative } from './format'

const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort()

test('German has every text of English, with the same holes', () => {
  expect(Object.keys(de)).toEqual(Object.keys(en))
  for (const [key, text] of Object.entries(en)) expect([key, holes((de as Record<string, string>)[key] ?? '')]).toEqual([key, holes(text)])
})
test('holes are filled, unknown ones stay visible', () => {
  expect(format('{a} of {b}', { a: 1 })).toBe('1 of {b}')
})
test('the language follows the browser', () => {
  expect(pickLocale(['fr-FR', 'de-AT', 'en'])).toBe('de')
  expect(pickLocale(['fr'])).toBe('en')
})
test('times are told in whole units and never in the future', () => {
  const rtf = new Intl.RelativeTimeFormat('en')
  expect(relative(rtf, 0, 12_400)).toBe('12 seconds ago')
  expect(relative(rtf, 0, 3_600_000 * 5)).toBe('5 hours ago')
  expect(relative(rtf, 5_000, 0)).toBe('0 seconds ago')
})
test('every text is used', () => {
  const root = new URL('../', import.meta.url)
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => /\.(vue|ts)$/.test(f) && !f.endsWith('.test.ts'))
  const source = files.map((f) => readFileSync(new URL(f, root), 'utf8')).join('\n')
  const used = (key: string) => {
    const base = key.replace(/\.(one|other)$/, '')
    const parts = key.split('.')
    return source.includes(`'${key}'`) || source.includes(`'${base}'`) || parts.some((_, i) => source.includes(`\`${parts.slice(0, i).join('.')}.\${`))
  }
  expect(Object.keys(en).filter((key) => !used(key))).toEqual([])
})

// Weighs what the browser loads first: everything that index.html names.
import { readFileSync, readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 100
const LAZY_LIMIT_KB = 40
const dist = new URL('../dist/', import.meta.url)
const html = readFileSync(new URL('index.html', dist), 'utf8')
const first = new Set([...html.matchAll(/assets\/[\w.-]+\.(?:js|css)/g)].map((m) => m[0].slice('assets/'.length)))
const kb = (name) => gzipSync(readFileSync(new URL(`assets/${name}`, dist)), { level: 9 }).length / 1024

let total = 0
let failed = false
for (const name of readdirSync(new URL('assets/', dist)).filter((n) => /\.(js|css)$/.test(n)).sort()) {
  const size = kb(name)
  const initial = first.has(name)
  if (initial) total += size
  else if (size > LAZY_LIMIT_KB) failed = true
  console.log(`${size.toFixed(1).padStart(7)} KB gz  ${initial ? 'first' : 'lazy '}  ${name}`)
}
console.log(`${total.toFixed(1).padStart(7)} KB gz  first load (fails at ${LIMIT_KB}; a lazy chunk at ${LAZY_LIMIT_KB})`)
if (first.size === 0 || total > LIMIT_KB) failed = true
process.exit(failed ? 1 : 0)

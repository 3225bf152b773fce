import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const node = process.env['ARCHIPELAGO_URL'] ?? 'http://127.0.0.1:8420'

/** Writes `sw.js` with the list of what it keeps. Its name and place are fixed: they are what it is responsible for. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    generateBundle(_options, bundle) {
      const files = ['/', '/favicon.svg', ...Object.keys(bundle).filter((name) => name.startsWith('assets/')).map((name) => `/${name}`)].sort()
      const source = readFileSync(new URL('src/sw.js', import.meta.url), 'utf8')
      const version = createHash('sha256').update(source).update(files.join()).digest('hex').slice(0, 12)
      const code = source.replace('__VERSION__', version).replace('__FILES__', JSON.stringify(files))
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: code })
    },
  }
}

export default defineConfig({
  plugins: [vue(), serviceWorker()],
  // The targets are the first versions with light-dark(), which carries the whole theme.
  build: { target: ['chrome123', 'firefox120', 'safari17.5'], assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      '/api': {
        target: node,
        ws: true,
        changeOrigin: true,
        // The node accepts its own origin only, and that is right: in development the proxy stands in for it.
        configure: (proxy) => {
          proxy.on('proxyReq', (req) => req.getHeader('origin') && req.setHeader('origin', node))
          proxy.on('proxyReqWs', (req) => req.setHeader('origin', node))
        },
      },
    },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
})

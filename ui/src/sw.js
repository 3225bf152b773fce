// Keeps the shell of the page for when the node is away: files of the build, never state and never anything of /api.
// The build puts in the version and the list of files.
const VERSION = '__VERSION__'
const FILES = __FILES__
const CACHE = `shell ${VERSION}`

self.addEventListener('install', (ev) => {
  ev.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()))
})

self.addEventListener('activate', (ev) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
  ev.waitUntil(old.then(() => self.clients.claim()))
})

self.addEventListener('fetch', (ev) => {
  const url = new URL(ev.request.url)
  if (ev.request.method !== 'GET' || url.origin !== location.origin || url.pathname.startsWith('/api/')) return
  if (ev.request.mode === 'navigate') {
    // The node's own shell where it answers: after an update it is the new one.
    ev.respondWith(fetch(ev.request).catch(() => caches.match('/')))
  } else if (FILES.includes(url.pathname)) {
    ev.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(ev.request)))
  }
})

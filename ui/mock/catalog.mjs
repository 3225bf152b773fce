// What the mock node knows of apps beside their rows: facts of manifests, icons, backups.
const GIB = 1_073_741_824
const HOUR = 3_600_000

const base = (row) => ({
  id: row.id, version: row.version, installed: row.installed, description: '', license: 'MIT', website: 'https://example.org', repo: 'https://example.org/source', support: null,
  author: 'The founders', release_notes: null, needs: { architectures: ['amd64', 'arm64'], architecture: 'amd64', memory: null, memory_there: 16 * GIB, storage: null, storage_there: 412 * GIB, devices: [] },
  requires: [], ports: [{ service: 'web', published: 8090, target: 80, protocol: 'tcp', host_ip: '' }],
  data: [{ name: 'data', place: `${row.id}_data`, folder: false, services: ['cache'], backed_up: true }, { name: 'conf', place: `/var/lib/archipelago/data/${row.id}/conf`, folder: true, services: ['web', 'api'], backed_up: false }],
  networks: [{ name: 'inner', external: false, internal: true }, { name: 'default', external: false, internal: false }],
  secrets: [{ name: 'db-password', external: false }, { name: 'smtp-password', external: true }],
  backup_stops: true, update: null, problems: [],
})

const OWN = {
  files: { description: 'Keeps your files on your own hardware and brings them to every device.\n\nNothing leaves the node.', needs: { memory: 2 * GIB, storage: 50 * GIB } },
  vault: {
    needs: { memory: 32 * GIB, devices: ['/dev/dri/renderD128'] },
    requires: [
      { name: 'bitcoin', providers: ['bitcoin'], gate: 'synced', version: '>=1', optional: false, reason: 'it reads the chain' },
      { name: 'mail', providers: [], gate: null, version: null, optional: true, reason: 'it sends reports' },
    ],
    problems: [{ rule: 'conflicts', field: 'conflicts[0]', line: null, column: null, message: 'it cannot be installed beside Wiki', remedy: 'uninstall wiki first' }],
  },
}

export function facts(row) {
  const own = OWN[row.id] ?? {}
  const all = { ...base(row), ...own, needs: { ...base(row).needs, ...own.needs } }
  if (row.update) all.update = { version: row.update, release_notes: 'Counts twice as fast.\nMends a crash on an empty database.', backs_up: true, rolls_back: true }
  return all
}

export const ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" rx="12" fill="#0b666e"/><path d="M8 32c8-14 24-14 32 0z" fill="#e9c46a"/><path d="M4 36h40" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'

export const backup = (app, id, hours, version = '1.0.0') => ({ id, app, version, at: Date.now() - hours * HOUR, files: 1_204, bytes: 734_003_200 })

export const PLAN = {
  removes: ['the data of volume demo_data as they are now'],
  keeps: ['secrets', 'all backups'],
  dependents: [],
  type_to_confirm: null,
}

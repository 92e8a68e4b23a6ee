// The devices table, its filter, and the count of each status per tenant.
import { Table, badge, byId, el, when } from './dom.js';

const shown = 300;
const order = { down: 0, unknown: 1, up: 2 };
let devices = [];

const table = new Table(byId('devices').querySelector('.table'), 'Devices', [
  { label: 'Status', show: (d) => badge(d.status, d.message) },
  { label: 'Device', class: 'main', show: (d) => [name(d), d.name && d.name !== d.id ? el('span', { class: 'muted sub' }, d.name) : '', why(d)] },
  { label: 'Tenant, site', show: (d) => [d.tenant, el('span', { class: 'muted sub' }, d.site)] },
  { label: 'Address', class: 'addr', show: (d) => (d.address ? el('span', { class: 'mono' }, d.address) : '–') },
  { label: 'Changed', show: (d) => (d.since ? age(d.since) : '–') },
  { label: 'Last seen', show: (d) => when(d.lastSeen) },
  { label: 'Poller', class: 'short', show: (d) => d.poller || '–' },
  { label: 'Interfaces', class: 'num', show: (d) => d.interfaces },
  { label: 'Checks', class: 'num', show: (d) => d.checks },
], 'No device matches.');

function name(d) {
  const path = [d.tenant, d.site, d.id].map(encodeURIComponent).join('/');
  return el('a', { href: '/api/v1/devices/' + path, title: 'Everything known about it, as JSON' }, d.id);
}

// why says what is wrong with a device that is not up.
function why(d) {
  return d.message && d.status !== 'up' ? el('span', { class: 'sub ' + (d.status === 'down' ? 'bad' : 'muted') }, d.message) : '';
}

function age(since) {
  const t = when(since);
  t.title = 'since ' + t.title;
  return t;
}

const fields = { tenant: byId('f-tenant'), status: byId('f-status'), text: byId('f-text') };

function matches(d, words) {
  if (fields.tenant.value && d.tenant !== fields.tenant.value) return false;
  if (fields.status.value && d.status !== fields.status.value) return false;
  const text = [d.id, d.name, d.address, d.tenant, d.site, d.poller, d.description, d.message].join(' ').toLowerCase();
  return words.every((w) => text.includes(w));
}

export function showDevices(all) {
  if (all) devices = all.toSorted((a, b) => (order[a.status] ?? 3) - (order[b.status] ?? 3) || key(a).localeCompare(key(b)));
  const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const some = devices.filter((d) => matches(d, words));
  table.emptyText = devices.length ? 'No device matches.' : 'No devices yet. A tenant’s file declares them: midplane apply -f DIR';
  table.show(some.slice(0, shown), key);
  const count = some.length === devices.length ? devices.length + ' devices' : some.length + ' of ' + devices.length + ' devices';
  byId('device-count').textContent = count + (some.length > shown ? ', the first ' + shown + ' are shown' : '');
}

const key = (d) => [d.tenant, d.site, d.id].join('/');

export function tenantNames(names) {
  const have = [...fields.tenant.options].slice(1).map((o) => o.value);
  if (JSON.stringify(have) === JSON.stringify(names)) return;
  const chosen = fields.tenant.value;
  fields.tenant.replaceChildren(el('option', { value: '' }, 'all'), ...names.map((n) => el('option', { value: n }, n)));
  fields.tenant.value = names.includes(chosen) ? chosen : '';
  showDevices();
}

// counts returns {tenant: {up, down, unknown}}.
export function counts() {
  const out = {};
  for (const d of devices) {
    const c = (out[d.tenant] ??= { up: 0, down: 0, unknown: 0 });
    c[d.status in c ? d.status : 'unknown']++;
  }
  return out;
}

// narrow sets the filter from elsewhere on the page.
export function narrow(tenant, status) {
  fields.tenant.value = tenant;
  fields.status.value = status;
  fields.text.value = '';
  showDevices();
  byId('devices').scrollIntoView({ block: 'start' });
  fields.text.focus({ preventScroll: true });
}

byId('filter').addEventListener('submit', (e) => e.preventDefault());
byId('filter').addEventListener('input', () => showDevices());
byId('filter').addEventListener('reset', () => setTimeout(showDevices)); // after the fields are empty

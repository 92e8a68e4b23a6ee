// The live page of a Midplane cluster.
import { Table, badge, byId, clock, el, now, when } from './dom.js';
import { narrow, showDevices, tenantNames } from './devices.js';
import { follow } from './events.js';
import { poll } from './fresh.js';
import { showStatus } from './cluster.js';
import { enter } from './session.js';

let tenants = [];
let counts = {}; // tenant → how many of its devices have which status

const tenantTable = new Table(byId('tenants').querySelector('.table'), 'Tenants', [
  { label: 'Tenant', class: 'main', show: (t) => [t.id, t.name && t.name !== t.id ? el('span', { class: 'muted sub' }, t.name) : ''] },
  { label: 'State', show: (t) => [badge(t.ready ? 'ready' : 'not ready'), ...waits(t)] },
  { label: 'Devices', show: (t) => el('span', {}, ...['up', 'down', 'unknown'].map((s) => count(t, s))) },
  { label: 'Sites', class: 'num', show: (t) => t.sites },
  { label: 'Pollers', class: 'num', show: (t) => t.pollers },
  { label: 'Policy', show: (t) => t.policy },
], 'No tenants yet. Declare one in a file: midplane apply -f DIR');

// waits names the conditions that keep a tenant from being ready.
function waits(t) {
  return t.conditions.filter((c) => !c.ok)
    .map((c) => el('span', { class: 'muted sub' }, c.type + (c.message ? ': ' + c.message : '')));
}

function count(t, status) {
  const n = t.count[status];
  const tone = n === 0 ? 'dim' : { up: 'good', down: 'bad', unknown: 'warn' }[status];
  const b = el('button', { type: 'button', class: 'count ' + tone, title: 'Show them', 'aria-label': n + ' ' + status + ' in ' + t.id }, n + ' ' + status);
  b.addEventListener('click', () => narrow(t.id, status));
  return b;
}

function showTenants() {
  const none = { up: 0, down: 0, unknown: 0 };
  tenantTable.show(tenants.map((t) => ({ ...t, count: counts[t.id] || none })), (t) => t.id);
  tenantNames(tenants.map((t) => t.id).sort());
}

const pollerTable = new Table(byId('pollers').querySelector('.table'), 'Pollers', [
  { label: 'Status', show: (p) => badge(p.status, p.problem) },
  { label: 'Poller', class: 'main', show: (p) => [p.id, p.embedded ? el('span', { class: 'role' }, 'embedded') : '', p.problem ? el('span', { class: 'bad sub' }, p.problem) : ''] },
  { label: 'Tenant, site', show: (p) => [p.tenant, el('span', { class: 'muted sub' }, p.site)] },
  { label: 'Devices', class: 'num', show: (p) => p.devices },
  { label: 'Waiting', class: 'num', show: (p) => p.outbox.toLocaleString() },
  { label: 'Last seen', show: (p) => when(p.lastSeen) },
  { label: 'Version', show: (p) => p.version || '–' },
], 'No pollers yet. A tenant’s file declares them.');

// start begins to ask, once the reader has signed in.
function start() {
  poll('status', ['cluster', 'problems', 'tenants'], '/api/v1/status', 5000, (s) => {
    showStatus(s);
    counts = Object.fromEntries((s.primary?.tenants || []).map((t) => [t.tenant, t.devices]));
    showTenants();
  });
  poll('tenants', ['tenants'], '/api/v1/tenants', 10000, (all) => { tenants = all; showTenants(); });
  poll('pollers', ['pollers'], '/api/v1/pollers', 5000, (all) => pollerTable.show(all, (p) => p.tenant + '/' + p.id));
  const devicesSoon = showDevices();

  // A change is seen in the table shortly after its event, not at the next round.
  let soon = 0;
  follow(() => {
    clearTimeout(soon);
    soon = setTimeout(devicesSoon, 700);
  }, (live) => {
    const link = byId('link');
    link.className = live ? 'live' : 'lost';
    link.textContent = live ? 'live, ' + clock(now()) : 'connection lost';
  });
}

enter(start);

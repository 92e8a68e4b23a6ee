// The devices table. The server filters, sorts and counts; the page shows the
// first rows of that list, and takes what changes in it.
import { Table, badge, byId, el, when } from './dom.js';
import { ask, source } from './fresh.js';

const portion = 200; // rows that are loaded at once
const beyond = 1000; // rows that may come to the front before the list is read again
const every = 10000; // milliseconds between two looks for changes
const seenEvery = 60000; // when a device was last seen is no change: what is shown is read again
const order = ['down', 'unknown', 'up']; // that the server lists them in

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
const more = byId('device-more');

const rows = new Map(); // key → device: the first rows of the list
let last = null; // the row that the list has been read up to
let next = ''; // where it goes on; '' at its end
let position = ''; // up to which change the rows are
let total = 0;
let wanted = portion; // rows to load
let read = 0; // when the rows were read
let turn = 0; // rises when the list is begun again: answers to the one before are dropped

const key = (d) => [d.tenant, d.site, d.id ?? d.device].join('/');

// compare orders rows as the server's list does.
function compare(a, b) {
  const parts = (d) => [order.indexOf(d.status), d.tenant, d.site, d.id];
  const x = parts(a);
  const y = parts(b);
  for (let i = 0; i < x.length; i++) {
    if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

function query(more) {
  const q = new URLSearchParams(more);
  for (const [field, param] of [['tenant', 'tenant'], ['status', 'status'], ['text', 'q']]) {
    const value = fields[field].value.trim();
    if (value) q.set(param, value);
  }
  return q.toString();
}

// begin reads the list from its start, as many rows as are wanted.
async function begin() {
  const mine = ++turn;
  const from = await ask('/api/v1/devices/changes?' + query({ limit: '1' })); // what changes from now on, before looking
  const got = [];
  let after = '';
  let page;
  do {
    page = await ask('/api/v1/devices?' + query({ order: 'status', limit: String(portion), after }));
    got.push(...page.items);
    after = page.next || '';
  } while (after && got.length < wanted);
  if (mine !== turn) return;
  rows.clear();
  position = from.position;
  read = Date.now();
  take(got, after, page.total);
}

function take(items, after, all) {
  for (const d of items) rows.set(key(d), d);
  if (items.length) last = items[items.length - 1];
  else if (!rows.size) last = null;
  next = after;
  total = all || 0;
  show();
}

// follow takes what has changed since the last time.
async function follow() {
  const mine = turn;
  let c;
  do {
    c = await ask('/api/v1/devices/changes?' + query({ since: position, limit: '500' }));
    if (mine !== turn) return;
    if (c.again || rows.size > wanted + beyond) {
      await begin();
      return;
    }
    position = c.position;
    for (const d of c.removed) rows.delete(key(d));
    for (const d of c.items) {
      if (next && last && compare(d, last) > 0) rows.delete(key(d)); // on a page that is not loaded
      else rows.set(key(d), d);
    }
  } while (c.more);
  total = c.total;
  show();
}

function show() {
  const sorted = [...rows.values()].sort(compare);
  const narrowed = fields.tenant.value || fields.status.value || fields.text.value.trim();
  table.emptyText = narrowed ? 'No device matches.' : 'No devices yet. A tenant’s file declares them: midplane apply -f DIR';
  table.show(sorted, key);
  const found = total.toLocaleString() + (total === 1 ? ' device' : ' devices') + (narrowed ? ' found' : '');
  byId('device-count').textContent = found + (next ? ', the first ' + sorted.length + ' are shown' : '');
  more.hidden = !next;
}

const state = source('devices', ['devices']);
let timer = 0;
let busy = false;
let soon = false;

// look begins, or goes on, and never twice at a time.
async function look() {
  clearTimeout(timer);
  if (busy) { soon = true; return; }
  busy = true;
  try {
    if (!position || Date.now() - read > seenEvery) await begin();
    else await follow();
    state.good();
  } catch (error) {
    state.bad(error);
  }
  busy = false;
  timer = setTimeout(look, soon ? 500 : document.hidden ? 6 * every : every);
  soon = false;
}

// showDevices begins to show the list, and returns a function that looks sooner.
export function showDevices() {
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  look();
  return look;
}

more.addEventListener('click', async () => {
  const mine = turn;
  more.disabled = true;
  wanted += portion;
  try {
    const page = await ask('/api/v1/devices?' + query({ order: 'status', limit: String(portion), after: next }));
    if (mine === turn) take(page.items, page.next || '', page.total);
  } catch (error) {
    state.bad(error);
  }
  more.disabled = false;
});

// changed begins with the first rows of another list, once the reader stops typing.
let typing = 0;
function changed() {
  turn++;
  rows.clear();
  position = next = '';
  wanted = portion;
  more.hidden = true;
  clearTimeout(typing);
  typing = setTimeout(look, 250);
}

export function tenantNames(names) {
  const have = [...fields.tenant.options].slice(1).map((o) => o.value);
  if (JSON.stringify(have) === JSON.stringify(names)) return;
  const chosen = fields.tenant.value;
  fields.tenant.replaceChildren(el('option', { value: '' }, 'all'), ...names.map((n) => el('option', { value: n }, n)));
  fields.tenant.value = names.includes(chosen) ? chosen : '';
  if (fields.tenant.value !== chosen) changed();
}

// narrow sets the filter from elsewhere on the page.
export function narrow(tenant, status) {
  fields.tenant.value = tenant;
  fields.status.value = status;
  fields.text.value = '';
  changed();
  byId('devices').scrollIntoView({ block: 'start' });
  fields.text.focus({ preventScroll: true });
}

byId('filter').addEventListener('submit', (e) => e.preventDefault());
byId('filter').addEventListener('input', changed);
byId('filter').addEventListener('reset', () => setTimeout(changed)); // after the fields are empty

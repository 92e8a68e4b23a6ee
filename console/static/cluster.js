// The state of the cluster: nodes, how far the primary is, what is wrong.
import { Table, badge, byId, el, when } from './dom.js';

const nodes = new Table(byId('nodes'), 'Nodes', [
  { label: 'Node', class: 'main', show: (n) => [n.id, ...n.roles.map((r) => el('span', { class: 'role' }, r))] },
  { label: 'State', show: (n) => badge(n.live ? 'live' : 'gone') },
  { label: 'Doors open', class: 'num', show: (n) => n.tenants },
  { label: 'Revision', class: 'num', show: (n) => n.revision },
  { label: 'Last seen', show: (n) => when(n.lastSeen) },
], 'No node has been seen.');

const reading = new Table(byId('reading'), 'How far the primary is with each tenant', [
  { label: 'Primary reads', class: 'main', show: (t) => t.tenant },
  { label: 'State', show: (t) => badge(t.reading ? 'reading' : 'not reading', t.problem) },
  { label: 'Behind by', class: 'num', show: (t) => t.lag.toLocaleString() + (t.lag === 1 ? ' message' : ' messages') },
], 'The primary reads no tenant yet.');

let last = null; // status
let tenants = [];

// tenantsKnown adds the tenants that are not ready to what is wrong.
export function tenantsKnown(all) {
  tenants = all;
  if (last) showHealth(last, problems(last));
}

// showStatus shows a status. A part that did not answer is emptied: an old
// one must not look like a present one.
export function showStatus(s) {
  last = s;
  const cluster = s.cluster;
  if (!cluster) {
    nodes.emptyText = 'The cluster does not answer.';
    nodes.show([], String);
    byId('cluster-line').textContent = '';
  } else {
    nodes.emptyText = 'No node has been seen.';
    nodes.show(cluster.nodes.map((n) => ({ ...n, roles: roles(n, cluster) })), (n) => n.id);
    byId('cluster-line').textContent = document.body.classList.contains('confined') ? '' : [
      cluster.leader ? 'control plane led by ' + cluster.leader : 'the control plane has no leader',
      cluster.metaLeader ? 'JetStream by ' + cluster.metaLeader : 'JetStream has no leader',
      'registry revision ' + cluster.revision,
    ].join(' · ');
  }
  if (!s.primary) {
    reading.emptyText = 'The primary does not answer.';
    reading.show([], String);
  } else {
    reading.emptyText = 'The primary reads no tenant yet.';
    const lag = (t) => t.streams.reduce((sum, st) => sum + st.lag, 0);
    reading.show(s.primary.tenants.map((t) => ({ tenant: t.tenant, reading: t.reading, problem: t.problem, lag: lag(t) })), (t) => t.tenant);
  }
  showHealth(s, problems(s));
}

function roles(n, cluster) {
  const out = [];
  if (n.id === cluster.leader) out.push('leads');
  if (n.id === cluster.metaLeader) out.push('JetStream');
  return out;
}

// problems gathers what the services say is wrong, most urgent first.
function problems(s) {
  const out = s.errors.map((e) => ({ severity: 'critical', what: 'The ' + e.source + ' does not answer: ' + e.message, hint: e.hint }));
  if (s.cluster) {
    out.push(...s.cluster.problems.map((p) => ({ severity: p.severity, tenant: p.tenant, what: p.message, hint: p.hint })));
    for (const n of s.cluster.nodes) {
      if (!n.live && !s.cluster.problems.some((p) => p.message.includes(n.id))) {
        out.push({ severity: 'error', what: 'Node ' + n.id + ' is not live', hint: 'start it again, or see its log' });
      }
    }
  }
  if (s.primary) {
    out.push(...s.primary.tenants.filter((t) => t.problem).map((t) => ({ severity: 'error', tenant: t.tenant, what: 'The primary: ' + t.problem })));
    out.push(...s.primary.alarms.map((a) => ({ severity: 'warning', what: a.message + (a.stream ? ' (' + a.stream + ')' : ''), hint: a.hint })));
  }
  for (const t of tenants) {
    if (t.ready || out.some((p) => p.tenant === t.id)) continue;
    const waits = t.conditions.filter((c) => !c.ok).map((c) => c.type + (c.message ? ' (' + c.message + ')' : ''));
    out.push({ severity: 'warning', tenant: t.id, what: 'The tenant is not ready' + (waits.length ? ': ' + waits.join(', ') : '') });
  }
  return out.sort((a, b) => level(a.severity) - level(b.severity));
}

const severities = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'];
const level = (s) => { const i = severities.indexOf(s); return i < 0 ? 4 : i; };
export const isBad = (s) => level(s) <= 3;

function showHealth(s, found) {
  const section = byId('problems');
  section.hidden = found.length === 0;
  const print = JSON.stringify(found);
  if (section.dataset.print !== print) {
    section.dataset.print = print;
    byId('problem-list').replaceChildren(...found.map((p) => el('li', { class: isBad(p.severity) ? 'bad' : 'warn' },
      el('span', { class: 'severity' }, p.severity),
      p.tenant && el('span', { class: 'role' }, p.tenant),
      el('span', { class: 'what' }, p.what),
      p.hint && el('p', { class: 'muted' }, p.hint))));
  }
  const live = s.cluster ? s.cluster.nodes.filter((n) => n.live).length : 0;
  const all = s.cluster ? s.cluster.nodes.length : 0;
  const text = found.length === 0 ? 'All well, ' + live + ' of ' + all + ' nodes live'
    : found.length + (found.length === 1 ? ' problem' : ' problems') + (all ? ', ' + live + ' of ' + all + ' nodes live' : '');
  const pill = byId('health');
  pill.className = 'pill ' + (found.length === 0 ? 'good' : found.some((p) => isBad(p.severity)) ? 'bad' : 'warn');
  if (pill.textContent !== text) pill.textContent = text;
  document.title = (found.length ? '(' + found.length + ') ' : '') + 'Midplane';
}

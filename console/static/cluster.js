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

// showStatus shows a status. A part that did not answer is emptied: an old
// one must not look like a present one.
export function showStatus(s) {
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
  showHealth(s, s.problems);
}

function roles(n, cluster) {
  const out = [];
  if (n.id === cluster.leader) out.push('leads');
  if (n.id === cluster.metaLeader) out.push('JetStream');
  return out;
}

const one = (p) => [
  el('span', { class: 'severity' }, p.severity),
  p.tenant && el('span', { class: 'role' }, p.tenant),
  p.scope === 'network' && el('span', { class: 'role' }, p.scope),
  el('span', { class: 'what', title: p.code }, p.message),
  p.hint && el('p', { class: 'muted' }, p.hint),
];

// roots folds what follows from other problems, as the server says, under these.
function roots(found) {
  const key = (p) => JSON.stringify([p.code, p.tenant || '', p.subject || '']);
  const known = new Map(found.map((p) => [key(p), p]));
  const out = new Map();
  for (const p of found) {
    let root = p;
    for (let i = 0; root.cause && known.has(key(root.cause)) && i < found.length; i++) root = known.get(key(root.cause));
    if (!out.has(root)) out.set(root, { problem: root, follows: [] });
    if (root !== p) out.get(root).follows.push(p);
  }
  return [...out.values()];
}

// showHealth shows what the server found to be wrong, in its order: the most
// urgent first. How a severity looks is the style sheet's.
function showHealth(s, found) {
  const section = byId('problems');
  section.hidden = found.length === 0;
  const print = JSON.stringify(found);
  if (section.dataset.print !== print) {
    section.dataset.print = print;
    byId('problem-list').replaceChildren(...roots(found).map(({ problem, follows }) => el('li', { 'data-severity': problem.severity },
      ...one(problem),
      follows.length > 0 && el('details', {},
        el('summary', {}, follows.length + (follows.length === 1 ? ' more follows from this' : ' more follow from this')),
        el('ul', {}, ...follows.map((p) => el('li', { 'data-severity': p.severity }, ...one(p))))))));
  }
  const live = s.cluster ? s.cluster.nodes.filter((n) => n.live).length : 0;
  const all = s.cluster ? s.cluster.nodes.length : 0;
  const text = found.length === 0 ? 'All well, ' + live + ' of ' + all + ' nodes live'
    : found.length + (found.length === 1 ? ' problem' : ' problems') + (all ? ', ' + live + ' of ' + all + ' nodes live' : '');
  const pill = byId('health');
  pill.className = found.length === 0 ? 'pill good' : 'pill';
  if (found.length === 0) delete pill.dataset.severity;
  else pill.dataset.severity = found[0].severity;
  if (pill.textContent !== text) pill.textContent = text;
  document.title = (found.length ? '(' + found.length + ') ' : '') + 'Midplane';
}

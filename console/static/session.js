// Signing in and out, and the list of sessions.
import { Table, byId, el, when } from './dom.js';
import { ask, signed } from './fresh.js';

let me = null;

// The code of a one-time link stands behind the #, which no server and no
// proxy gets to see. It is taken out of the address at once.
function linkCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get('login');
  if (code) history.replaceState(null, '', location.pathname);
  return code;
}

// enter shows the page to a reader who is signed in, or the form.
export async function enter(start) {
  const code = linkCode();
  let why = '';
  try {
    me = code ? await ask('/api/v1/session/link', { method: 'POST', body: { code } }) : null;
  } catch (error) {
    why = say(error);
  }
  if (!me) {
    try {
      me = await ask('/api/v1/session');
    } catch (error) {
      if (!error.refused) why = 'The console does not answer. Is it running?';
    }
  }
  if (me) welcome(start);
  else form(start, why);
}

const say = (error) => (error.refused ? error.message + (error.hint ? ' (' + error.hint + ')' : '') : 'The console does not answer.');

function form(start, why) {
  byId('login').hidden = false;
  byId('health').hidden = true;
  byId('link').textContent = '';
  const problem = byId('login-problem');
  problem.textContent = why;
  const button = byId('login-form').querySelector('button');
  byId('login-name').focus();
  byId('login-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = '';
    try {
      const body = { user: byId('login-name').value, password: byId('login-password').value, code: byId('login-code').value };
      me = await ask('/api/v1/session', { method: 'POST', body });
      byId('login').hidden = true;
      byId('health').hidden = false;
      welcome(start);
    } catch (error) {
      problem.textContent = say(error);
    }
    byId('login-password').value = '';
    byId('login-code').value = '';
    button.disabled = false;
    if (!me) byId('login-password').focus();
  });
}

function welcome(start) {
  signed();
  document.body.classList.toggle('confined', Boolean(me.tenant)); // gets less of the cluster
  byId('app').hidden = false;
  byId('foot').hidden = false;
  byId('me').hidden = false;
  byId('version').textContent = me.version ? 'version ' + me.version : '';
  byId('who').textContent = me.name + ', ' + me.role + (me.tenant ? ' of ' + me.tenant : '');
  byId('change').hidden = me.kind !== 'user';
  byId('logout').addEventListener('click', async () => {
    try {
      await ask('/api/v1/session', { method: 'DELETE', csrf: me.csrf });
    } finally {
      location.reload();
    }
  });
  byId('account-open').addEventListener('click', () => { byId('account').showModal(); showSessions(); });
  byId('account-close').addEventListener('click', () => byId('account').close());
  byId('change').addEventListener('submit', changePassword);
  start();
}

let table = null;

async function showSessions() {
  table ??= new Table(byId('sessions'), 'Sessions', [
    { label: 'Who', class: 'main', show: (s) => [s.name, el('span', { class: 'muted sub' }, s.role + (s.tenant ? ' of ' + s.tenant : ''))] },
    { label: 'From', show: (s) => [s.from, el('span', { class: 'muted sub' }, s.agent)] },
    { label: 'Last used', show: (s) => when(s.lastUsed) },
    { label: 'Ends', show: (s) => new Date(s.expires).toLocaleTimeString([], { hour12: false }) },
    { label: '', show: endButton },
  ], 'There are no sessions.');
  try {
    table.show(await ask('/api/v1/sessions'), (s) => s.id);
    byId('account-problem').textContent = '';
  } catch (error) {
    byId('account-problem').textContent = say(error);
  }
}

function endButton(s) {
  if (s.current) return 'this one';
  const b = el('button', { type: 'button', 'aria-label': 'End the session of ' + s.name + ' from ' + s.from }, 'End');
  b.addEventListener('click', async () => {
    try {
      await ask('/api/v1/sessions/' + encodeURIComponent(s.id), { method: 'DELETE', csrf: me.csrf });
    } catch (error) {
      byId('account-problem').textContent = say(error);
    }
    showSessions();
  });
  return b;
}

async function changePassword(event) {
  event.preventDefault();
  const problem = byId('account-problem');
  try {
    me = await ask('/api/v1/session/password', { method: 'POST', csrf: me.csrf, body: { old: byId('old').value, new: byId('new').value } });
    problem.textContent = 'The password is changed. Every other session of yours has ended.';
    event.target.reset();
    showSessions();
  } catch (error) {
    problem.textContent = say(error);
  }
}

// Asking the API again and again, and knowing how old what is shown is.
import { ago, byId, clock, el } from './dom.js';

const staleAfter = 20000; // milliseconds without an answer
const sources = new Map(); // name → {sections, at, error}

class Refused extends Error {
  constructor(problem) {
    super(problem.message);
    this.hint = problem.hint || '';
    this.refused = true;
  }
}

// A session that is not used ends. What this page asks by itself carries a header
// that says so, and does not keep the session of a reader who went away.
let touched = Date.now();
for (const name of ['pointerdown', 'keydown', 'wheel', 'touchstart']) {
  addEventListener(name, () => { touched = Date.now(); }, { passive: true, capture: true });
}

export async function ask(path, { method = 'GET', body, csrf } = {}) {
  const headers = { Accept: 'application/json' };
  if (Date.now() - touched > 60000) headers['Midplane-Idle'] = '1';
  if (csrf) headers['X-CSRF-Token'] = csrf;
  if (body) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15000) });
  const content = await answer.json();
  if (answer.ok) return content;
  if (answer.status === 401 && signedIn) location.reload(); // what is shown is not theirs any more
  throw new Refused(content.error || { message: 'HTTP ' + answer.status });
}

let signedIn = false;
export function signed() { signedIn = true; }

// source registers what must be fresh; its sections are dimmed when it is not.
export function source(name, sections) {
  const s = { sections: sections.map(byId), at: 0, error: null };
  sources.set(name, s);
  return {
    good() { s.at = Date.now(); s.error = null; check(); },
    bad(error) { s.error = error; check(); },
  };
}

// poll asks path every period milliseconds, at once when the page is looked at
// again, and never twice at a time. It returns a function that asks sooner.
export function poll(name, sections, path, period, show) {
  const state = source(name, sections);
  let timer = 0;
  let busy = false;
  let again = false;
  async function run() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    busy = true;
    try {
      const body = await ask(path);
      state.good();
      show(body);
    } catch (error) {
      state.bad(error);
    }
    busy = false;
    timer = setTimeout(run, again ? 500 : document.hidden ? 6 * period : period);
    again = false;
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) run(); });
  run();
  return run;
}

// check says on the page what is old, and why.
function check() {
  const lost = [];
  const dim = new Set();
  const reasons = new Set();
  let oldest = 0;
  for (const [name, s] of sources) {
    const old = s.error !== null || (s.at > 0 && Date.now() - s.at > staleAfter);
    if (!old) continue;
    s.sections.forEach((section) => dim.add(section));
    lost.push(name);
    if (s.at > 0 && (oldest === 0 || s.at < oldest)) oldest = s.at;
    reasons.add(s.error && s.error.refused ? s.error.message + (s.error.hint ? ' (' + s.error.hint + ')' : '')
      : 'the console does not answer (is it running?)');
  }
  for (const s of sources.values()) s.sections.forEach((section) => section.classList.toggle('stale', dim.has(section)));
  const banner = byId('stale');
  banner.hidden = lost.length === 0;
  if (lost.length === 0) return;
  const what = lost.length === sources.size ? 'Everything shown here' : 'What is shown of ' + lost.join(', ');
  const since = oldest ? ' is old: from ' + clock(oldest) + ', ' + ago(oldest) + '.' : ' could not be loaded.';
  const text = what + since + ' Reason: ' + [...reasons].join('; ') + '. Trying again.';
  if (banner.textContent !== text) banner.replaceChildren(el('strong', {}, 'Stale data. '), text);
}
setInterval(check, 1000);

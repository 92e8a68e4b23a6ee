// The newest events, as they come in.
import { byId, clock, el, serverTime } from './dom.js';
import { ask, source } from './fresh.js';

const keep = 200;
const silence = 15000; // the stream gives a sign of life every 5 seconds

// follow shows events for ever and calls onEvent with each new one.
export function follow(onEvent, onLink) {
  const state = source('events', ['events']);
  const list = byId('event-list');
  const severity = byId('f-severity');
  const pause = byId('pause');
  let held = [];
  let stream = null;
  let last = '';
  let sign = 0;
  let turn = 0; // rises when the filter changes: what belongs to the old one is dropped

  function add(events) {
    const place = list.querySelector('.empty');
    if (place) place.remove();
    for (const e of events) list.prepend(item(e));
    while (list.childElementCount > keep) list.lastElementChild.remove();
  }

  function paused() { return pause.getAttribute('aria-pressed') === 'true'; }

  pause.addEventListener('click', () => {
    const on = !paused();
    pause.setAttribute('aria-pressed', String(on));
    if (!on) { add(held); held = []; }
    label();
  });
  function label() { pause.textContent = !paused() ? 'Pause' : held.length ? 'Go on (' + held.length + ' new)' : 'Go on'; }

  function query(first) {
    const q = new URLSearchParams(first);
    if (severity.value) q.set('severity', severity.value);
    return q.toString();
  }

  async function begin() {
    const mine = ++turn;
    close();
    held = [];
    label();
    try {
      const newest = await ask('/api/v1/events?' + query({ limit: '100', newest: 'true' }));
      if (mine !== turn) return;
      list.replaceChildren();
      if (newest.items.length) add(newest.items);
      else list.append(el('li', { class: 'empty muted' }, 'No events yet.'));
      last = newest.items.length ? String(newest.items[newest.items.length - 1].position) : '0';
      open();
    } catch (error) {
      if (mine !== turn) return;
      state.bad(error);
      onLink(false);
      setTimeout(() => { if (mine === turn) begin(); }, 3000);
    }
  }

  function close() {
    if (stream) stream.close();
    stream = null;
  }

  function open() {
    close();
    sign = Date.now();
    const s = new EventSource('/api/v1/events/stream?' + query({ after: last }));
    stream = s;
    s.addEventListener('beat', (m) => {
      if (s !== stream) return;
      sign = Date.now();
      const beat = JSON.parse(m.data);
      serverTime(beat.time);
      onLink(true);
      if (!beat.failing) state.good();
    });
    s.addEventListener('event', (m) => {
      if (s !== stream) return;
      sign = Date.now();
      const e = JSON.parse(m.data);
      last = m.lastEventId || last;
      if (paused()) { held.push(e); held = held.slice(-keep); label(); } else add([e]);
      state.good();
      onEvent(e);
    });
    s.addEventListener('problem', (m) => {
      if (s !== stream) return;
      state.bad(Object.assign(new Error(), { refused: true }, JSON.parse(m.data)));
    });
    s.addEventListener('error', () => { if (s === stream) broken('the stream broke off'); });
  }

  // broken begins again with the list: after a restart positions may count from
  // elsewhere, and the newest events are right in any case.
  function broken(why) {
    onLink(false);
    state.bad(new Error(why));
    const mine = ++turn;
    close();
    setTimeout(() => { if (mine === turn) begin(); }, 3000);
  }

  setInterval(() => { // a connection can die without an error
    if (stream && Date.now() - sign > silence) broken('silence');
  }, 1000);
  severity.addEventListener('change', begin);
  begin();
}

function item(e) {
  const where = [e.tenant, e.site, e.entity].join(' / ');
  return el('li', { 'data-severity': e.severity },
    el('div', { class: 'head' },
      el('time', { datetime: e.time, title: new Date(e.time).toLocaleString() }, clock(e.time)),
      el('span', { class: 'severity' }, e.severity),
      el('span', { class: 'where', title: where }, where)),
    el('div', { class: 'message' }, e.message || e.type),
    el('div', { class: 'foot muted' },
      el('span', {}, e.type),
      e.traceId && el('span', { class: 'trace', title: 'trace id' }, 'trace ' + e.traceId)));
}

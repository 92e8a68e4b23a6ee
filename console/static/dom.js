// Building the page from data. Every value becomes text: nothing here, and
// nothing else on this page, turns a string into markup.

// el makes an element. A string child is text; props are attributes.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((c) => c !== undefined && c !== null && c !== false && c !== '').map((c) => (c instanceof Node ? c : String(c))));
  return node;
}

export const byId = (id) => document.getElementById(id);

const symbols = {
  up: '●', ok: '●', online: '●', live: '●', ready: '●', reading: '●',
  down: '▼', critical: '▼', offline: '▼', gone: '▼', 'not ready': '▼',
  unknown: '?', pending: '…', warning: '▲', 'not reading': '▲',
};
const tones = {
  up: 'good', ok: 'good', online: 'good', live: 'good', ready: 'good', reading: 'good',
  down: 'bad', critical: 'bad', offline: 'bad', gone: 'bad', 'not ready': 'bad',
  warning: 'warn', pending: 'warn', 'not reading': 'warn',
};

// badge says a status in a word, a symbol and a colour, so that no one of them is needed.
export function badge(status, title) {
  return el('span', { class: 'badge ' + (tones[status] || 'dim'), title },
    el('span', { 'aria-hidden': 'true', class: 'symbol' }, symbols[status] || '○'), status);
}

// The server's clock counts, since its times are shown.
let skew = 0;
export function serverTime(text) {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) skew = at - Date.now();
}
export const now = () => Date.now() + skew;

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

export function ago(at) {
  const s = Math.max(0, Math.round((now() - at) / 1000));
  if (s < 60) return s + ' s ago';
  if (s < 3600) return Math.floor(s / 60) + ' min ago';
  if (s < 86400) return Math.floor(s / 3600) + ' h ago';
  return Math.floor(s / 86400) + ' d ago';
}

// when shows how long ago a time was; tick keeps it true.
export function when(text) {
  const at = Date.parse(text);
  if (!text || Number.isNaN(at)) return el('span', { class: 'dim' }, 'never');
  return el('time', { datetime: text, title: new Date(at).toLocaleString() }, ago(at));
}
setInterval(() => {
  for (const t of document.querySelectorAll('td time')) {
    const text = ago(Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  }
}, 1000);

// Table keeps a table in step with rows. A row that did not change is not
// touched, so that focus and selection survive an update.
export class Table {
  constructor(place, caption, columns, empty) {
    this.columns = columns;
    this.rows = new Map();
    this.body = el('tbody', { role: 'rowgroup' });
    this.empty = el('p', { class: 'empty muted' }, 'Loading…');
    this.emptyText = empty;
    const head = el('tr', { role: 'row' },
      ...columns.map((c) => el('th', { scope: 'col', role: 'columnheader', class: c.class }, c.label)));
    this.table = el('table', { role: 'table', hidden: true },
      el('caption', { class: 'hidden' }, caption), el('thead', { role: 'rowgroup' }, head), this.body);
    place.replaceChildren(this.table, this.empty);
  }

  show(items, key) {
    const seen = new Set();
    let before = this.body.firstChild;
    for (const item of items) {
      const id = key(item);
      if (seen.has(id)) continue;
      seen.add(id);
      const print = JSON.stringify(item);
      let row = this.rows.get(id);
      if (!row || row.print !== print) {
        const tr = this.make(item);
        if (row) {
          if (before === row.tr) before = tr;
          row.tr.replaceWith(tr);
        }
        row = { tr, print };
        this.rows.set(id, row);
      }
      if (row.tr === before) before = before.nextSibling;
      else this.body.insertBefore(row.tr, before);
    }
    for (const [id, row] of this.rows) {
      if (!seen.has(id)) { row.tr.remove(); this.rows.delete(id); }
    }
    this.table.hidden = seen.size === 0;
    this.empty.hidden = seen.size > 0;
    this.empty.textContent = this.emptyText;
  }

  make(item) {
    return el('tr', { role: 'row' }, ...this.columns.map((c) => {
      const content = c.show(item);
      return el('td', { role: 'cell', class: c.class, 'data-label': c.label }, ...(Array.isArray(content) ? content : [content]));
    }));
  }
}

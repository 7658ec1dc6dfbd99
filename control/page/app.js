// The page: which view, who looks and what he may, keys, and what is said aloud.
import { html, render, useEffect, useRef, useState } from './vendor/preact.js';
import { ask, leave, useAnswer, useEvents } from './ask.js';
import { Badge } from './parts.js';
import { Overview } from './overview.js';
import { Sessions } from './sessions.js';
import { Session } from './session.js';
import { Connection, Connections } from './connections.js';
import { Workers } from './workers.js';
import { Pools } from './pools.js';
import { Events } from './events.js';
import { time } from './words.js';

const VIEWS = [['overview', 'Overview'], ['sessions', 'Sessions'], ['connections', 'Connections'], ['workers', 'Workers'], ['pools', 'Pools'], ['events', 'Events']];

// #/sessions/s17 is ['sessions', 's17'].
function here() {
  const [view = '', id = ''] = location.hash.replace(/^#\/?/, '').split('/');
  let name = id;
  try { name = decodeURIComponent(id); } catch { /* what is no name is looked for as it is */ }
  return { view: view || 'overview', id: name };
}

function App() {
  const [at, setAt] = useState(here);
  const [may, setMay] = useState(false);
  const [said, setSaid] = useState(null);
  const caller = useAnswer('/v1/caller', 60000).data;
  const { data: status, problem } = useAnswer('/v1/status', 2000);
  const help = useRef(null);
  const main = useRef(null);
  const say = (text, kind) => setSaid({ text, kind, number: (said?.number ?? 0) + 1 });

  useEffect(() => {
    const moved = () => {
      setAt(here());
      // Who goes on with the keyboard goes on at the beginning of what he has asked for.
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  useEffect(() => {
    const title = VIEWS.find(([view]) => view === at.view)?.[1] ?? 'adit';
    document.title = `${at.id || title} – ${status?.identity ?? 'adit'}`;
  }, [at.view, at.id, status?.identity]);
  // Who has ticked it when signing in has said that he wants to.
  useEffect(() => { if (caller?.role === 'admin' && caller.by === 'login') setMay(true); }, [caller?.role, caller?.by]);
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(null), 8000);
    return () => clearTimeout(timer);
  }, [said]);
  // Where not all views fit side by side, the one that is shown does.
  useEffect(() => document.querySelector('.views [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }), [at.view]);
  useKeys(help);

  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>To the content</a>
    <header class="top">
      <div class="who">
        <a class="brand" href="#/overview"><img src="/page/icon.svg" alt="" width="28" height="28" />adit</a>
        <${Headend} status=${status} problem=${problem} />
        <div class="me">
          ${caller && html`<span class="quiet">${caller.name}${caller.role === 'read' || !may ? ', looking' : ''}</span>`}
          ${caller?.role === 'admin' && html`<button type="button" class="small" aria-pressed=${may} onClick=${() => setMay(!may)}>Changes ${may ? 'on' : 'off'}</button>`}
          <button type="button" class="small" onClick=${() => help.current.showModal()}>Help</button>
          ${caller?.by === 'login' && html`<button type="button" class="small" onClick=${signOut}>Sign out</button>`}
        </div>
      </div>
      <nav class="views" aria-label="Views">${VIEWS.map(([view, title]) => html`<a href=${`#/${view}`} aria-current=${at.view === view ? 'page' : undefined}>${title}</a>`)}</nav>
    </header>
    <main id="main" ref=${main} tabindex="-1">
      <h1 class="unseen">${VIEWS.find(([view]) => view === at.view)?.[1] ?? 'No such view'}${at.id && ` ${at.id}`}</h1>
      <${View} at=${at} status=${status} may=${may && caller?.role === 'admin'} say=${say} />
    </main>
    <div class="said ${said?.kind ?? ''}" role="status">${said && html`<p>${said.text}</p>`}</div>
    <${Aloud} />
    <${Help} dialog=${help} />`;
}

function View({ at, status, may, say }) {
  switch (at.view) {
    case 'overview': return html`<${Overview} status=${status} />`;
    case 'sessions': return at.id ? html`<${Session} key=${at.id} id=${at.id} may=${may} say=${say} />` : html`<${Sessions} />`;
    case 'connections': return at.id ? html`<${Connection} key=${at.id} id=${at.id} may=${may} say=${say} />` : html`<${Connections} />`;
    case 'workers': return html`<${Workers} />`;
    case 'pools': return html`<${Pools} />`;
    case 'events': return html`<${Events} />`;
    default: return html`<p class="empty">There is no view of this name. <a href="#/overview">To the overview</a></p>`;
  }
}

function Headend({ status, problem }) {
  if (problem) return html`<p class="headend"><${Badge} kind="bad">${problem.type === 'unreachable' ? 'not reachable' : problem.message}<//></p>`;
  if (!status) return html`<p class="headend"></p>`;
  return html`<p class="headend"><strong>${status.identity}</strong> <${Badge} kind=${status.state === 'serving' ? 'good' : 'warn'}>${status.state}<//>
    <span class="quiet">${status.version}, up ${time(status.up_seconds)}</span></p>`;
}

async function signOut() {
  leave();
  await ask('/page/sign-out', { method: 'POST' }).catch(() => null);
  location.reload();
}

// Warnings and errors are said aloud as they come; who wants more has the list.
function Aloud() {
  const stream = useEvents();
  const first = useRef(null);
  const newest = stream.entries.find((entry) => entry.severity !== 'info');
  // What was there before the page is no news.
  if (first.current === null && stream.live) first.current = newest?.id ?? '';
  const news = newest && first.current !== null && newest.id !== first.current ? newest : null;
  return html`<p class="unseen" aria-live="polite">${news ? `${news.identity ?? news.subject ?? ''} ${news.sentence}` : ''}</p>`;
}

const SHORTCUTS = 'adit-shortcuts-off';
// Where site data is blocked a browser throws at the mere look: the choice is the page's then, and lasts as long.
let chosen = true;
function shortcutsOn() {
  try { return localStorage.getItem(SHORTCUTS) === null; } catch { return chosen; }
}
function turnShortcuts(on) {
  chosen = on;
  try {
    if (on) localStorage.removeItem(SHORTCUTS);
    else localStorage.setItem(SHORTCUTS, '1');
  } catch { /* it is not kept */ }
}

function useKeys(help) {
  useEffect(() => {
    const pressed = (event) => {
      const typing = event.target.closest?.('input, select, textarea, dialog');
      if (typing || event.ctrlKey || event.metaKey || event.altKey || !shortcutsOn()) return;
      if (event.key === '?') help.current.showModal();
      else if (event.key === '/') {
        const filter = document.getElementById('filter');
        if (filter) filter.focus();
        else location.hash = '#/sessions';
      } else if (/^[1-6]$/.test(event.key)) location.hash = `#/${VIEWS[Number(event.key) - 1][0]}`;
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

function Help({ dialog }) {
  const [on, setOn] = useState(shortcutsOn);
  const turn = (event) => {
    turnShortcuts(event.target.checked);
    setOn(event.target.checked);
  };
  const keys = [['/', 'to the filter'], ['1 … 6', 'the views, from overview to events'], ['?', 'this help'], ['Esc', 'closes a dialog'], ['Tab, Enter', 'every link, button and row']];
  return html`<dialog ref=${dialog} aria-label="Help">
    <h2>Help</h2>
    <dl class="keys">${keys.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <label class="tick"><input type="checkbox" checked=${on} onChange=${turn} /> Single keys do something</label>
    <p class="quiet">Rates are measured here, between two answers. While this tab is hidden nothing is asked.
      The same values for scripts: <a href="/openapi.json">openapi.json</a>. What is built in: <a href="/page/vendor/licences.txt">licences</a>.</p>
    <div class="buttons"><button type="button" class="strong" autofocus onClick=${() => dialog.current.close()}>Close</button></div>
  </dialog>`;
}

render(html`<${App} />`, document.getElementById('app'));

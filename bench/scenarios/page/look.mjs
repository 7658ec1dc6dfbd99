// Looks at the page in Chromium and says what holds. Everything comes by the environment; `looks` in FOLDER means that the firewall may begin to wait.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';

const { URL: HEADEND, PIN, VIEWER, BOSS, MODULES, FOLDER, SERVER } = process.env;
const require = createRequire(`${MODULES}/`);
const { chromium } = require('playwright-core');
const AXE = readFileSync(`${MODULES}/axe-core/axe.min.js`, 'utf8');
const HOSTILE = '<img src=x onerror=alert(1)>';
const VIEWS = ['overview', 'sessions', 'connections', 'workers', 'pools', 'events'];

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', `--ignore-certificate-errors-spki-list=${PIN}`] });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', reducedMotion: 'reduce' });
const page = await context.newPage();
page.setDefaultTimeout(10000);

// What nobody may ever see.
const strange = [];
// A path that is asked for and not there is said on the console, too: a session that has ended. So is the form's own 401.
const expected = ({ text, url }) => (/status of 404/.test(text) && /\/v1\/(sessions\/s\d+|flows\?session=s\d+&.*)$/.test(url)) || (/status of 401/.test(text) && /:8443\/(#.*)?$/.test(url));
function watch(page) {
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type()) && !expected({ text: message.text(), url: message.location().url })) strange.push(`console: ${message.text()} (${message.location().url})`); });
  page.on('pageerror', (error) => strange.push(`error: ${error.stack}`));
  page.on('dialog', (dialog) => { strange.push(`alert: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(`${HEADEND}/`) && !request.url().startsWith('data:,')) strange.push(`request: ${request.url()}`); });
}
watch(page);

async function hold(text, check) {
  try {
    await check();
    console.log(`holds: ${text}`);
  } catch (error) {
    console.log(`BROKEN: ${text}\n${error.stack}`);
    writeFileSync(`${FOLDER}/reason`, `${text}: ${error.message.split('\n').slice(0, 2).join(' ').slice(0, 200)}\n`);
    await shot('broken').catch(() => null);
    await browser.close();
    process.exit(1);
  }
}
function is(expected, got) {
  if (JSON.stringify(expected) !== JSON.stringify(got)) throw new Error(`expected ${JSON.stringify(expected).slice(0, 600)}, got ${JSON.stringify(got).slice(0, 1500)}`);
}
const shot = (name) => page.screenshot({ path: `${FOLDER}/screenshots/${name}.png`, fullPage: true });
const key = (...keys) => keys.reduce((before, one) => before.then(() => page.keyboard.press(one)), Promise.resolve());
const heading = (text) => page.getByRole('heading', { name: text, exact: false }).first();
const go = (view) => page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
const ask = (path, method = 'GET') => page.evaluate(([path, method]) => fetch(path, { method }).then((answer) => answer.status), [path, method]);
async function judged(where, rules) {
  const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) };
  const found = await page.evaluate(`${AXE}; axe.run(${JSON.stringify(options)})`);
  is([], found.violations.map((one) => `${where}: ${one.id}: ${one.nodes[0].html.slice(0, 120)} ${one.nodes[0].failureSummary.slice(0, 160)}`));
}
async function fits(where) {
  is([where, 0], [where, await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)]);
}
// Tab until this has the focus.
async function tabTo(locator, most = 40) {
  for (let step = 0; step < most; step += 1) {
    if (await locator.evaluate((element) => element === document.activeElement)) return;
    await key('Tab');
  }
  throw new Error(`not reached with ${most} times Tab`);
}

let form;
await hold('a stranger sees a form, and it says nothing', async () => {
  const answer = await page.goto(`${HEADEND}/`);
  form = await answer.text();
  is([401, 'Sign in'], [answer.status(), await page.title()]);
  await judged('form');
  await shot('01-sign-in');
});
await hold('a wrong token gets the same form again', async () => {
  await page.keyboard.type('adit_wrong');
  const [answer] = await Promise.all([page.waitForNavigation(), key('Enter')]);
  is([401, form], [answer.status(), await answer.text()]);
});
await hold('a token opens, by keyboard alone', async () => {
  await page.keyboard.type(VIEWER);
  await Promise.all([page.waitForNavigation(), key('Enter')]);
  await heading('Latest events').waitFor();
  await page.getByText('viewer, looking').waitFor();
  is(HEADEND, await page.evaluate(() => location.origin));
});
await hold('loaded again, with what the browser has kept, it is there again', async () => {
  await page.reload();
  await heading('Latest events').waitFor();
  await page.getByText('viewer, looking').waitFor();
});
await hold('the overview shows both sessions, rates that grow, and a name that is a name', async () => {
  await page.getByRole('link', { name: HOSTILE }).first().waitFor();
  await page.locator('section', { hasText: 'From clients' }).getByText(/[\d.]+ [kM]bit\/s/).first().waitFor();
  is('2', await page.locator('.tile', { hasText: 'Sessions' }).locator('.big').textContent());
  is(0, await page.locator('main img').count());
  await shot('02-overview');
});
await hold('the cookie is no script’s', async () => {
  is('', await page.evaluate(() => document.cookie));
  const [cookie] = await context.cookies();
  is(['__Host-login', true, true, 'Strict'], [cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite]);
});
await hold('a script that somebody puts into the page does not run', async () => {
  const policy = await page.evaluate(() => new Promise((resolve) => {
    document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true });
    const script = document.createElement('script');
    script.textContent = 'document.title = "owned"';
    document.body.append(script);
  }));
  is('script-src-elem', policy);
  strange.splice(0, strange.length, ...strange.filter((line) => !line.includes('inline script')));
  await page.waitForFunction(() => !document.title.includes('owned'));
});
await hold('from there to the sessions, the filter, a session and its flow, by keyboard alone', async () => {
  await page.evaluate(() => document.activeElement.blur());
  await key('Tab', 'Enter', '2');
  // The overview has a heading of that name, too.
  await page.locator('#filter').waitFor();
  await key('/');
  await page.keyboard.type('ali');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  await tabTo(page.getByRole('link', { name: 'alice' }));
  await shot('03-sessions');
  await key('Enter');
  await page.waitForFunction(() => location.hash === '#/sessions/s1');
  await heading('Flows').waitFor();
});
await hold('the flow has its rates and round trips', async () => {
  const flow = page.getByRole('row', { name: new RegExp(SERVER.replaceAll('.', '\\.')) });
  await flow.filter({ hasText: /\d [kM]bit\/s/ }).filter({ hasText: /\d ms/ }).first().waitFor({ timeout: 15000 });
});
await hold('its cTCP connection is pictured, with a finding, and not held up', async () => {
  await page.locator('.finding strong').waitFor();
  await page.getByText(/The client has Cisco’s TCP/).waitFor();
  is([3, 0], [await page.locator('.path.at-width .node').count(), await page.locator('.path .held').count()]);
  await shot('04-session');
});
await hold('who only looks is shown nothing to change, and may not', async () => {
  is(0, await page.getByRole('button', { name: /Disconnect|Replace|End connection|Changes/ }).count());
  is(403, await ask('/v1/sessions/s1', 'DELETE'));
  strange.splice(0, strange.length, ...strange.filter((line) => !line.includes('status of 403')));
});

writeFileSync(`${FOLDER}/looks`, '');
await hold('a stall is suspected', async () => {
  await page.getByText('degraded · stall suspected').waitFor({ timeout: 25000 });
  await page.locator('.path.at-width .held.warn').waitFor();
  await shot('05-suspected');
});
await hold('and found: where, and what to type, for this address and port', async () => {
  await heading('Why it stalled').waitFor({ timeout: 25000 });
  await page.getByText(/access-list CTCP extended permit tcp any host 198\.51\.100\.2 eq 10000/).first().waitFor();
  await page.getByText('A firewall waits for what was lost between the client and it, and a Cisco client sends nothing again.').waitFor();
  await page.locator('.path.at-width .held.bad').waitFor();
  await judged('stalled');
  await shot('06-stalled');
});
await hold('who listens is told', async () => {
  await page.locator('[aria-live=polite]', { hasText: 'stalled: a firewall waits' }).waitFor({ state: 'attached' });
});
await hold('Back leads back', async () => {
  await page.goBack();
  await heading('Sessions').waitFor();
  is('#/sessions', await page.evaluate(() => location.hash));
});

// look NAME SIZE COLOURS: every view, and the session that has stalled.
async function everyView(name, width, colorScheme, check) {
  await page.setViewportSize({ width, height: 844 });
  await page.emulateMedia({ colorScheme });
  for (const view of [...VIEWS, 'sessions/s1', 'sessions/s2']) {
    await go(view);
    await page.waitForFunction(() => document.querySelector('main .card') && !document.querySelector('main').textContent.includes('Asking'));
    await check(`${name} ${view}`);
    await shot(`${name}-${view.replace('/', '-')}`);
  }
}
await hold('axe finds nothing in any view, in the light', () => everyView('light', 1280, 'light', judged));
// What is there is the same in the dark; its colours are others.
await hold('nor in the dark', () => everyView('dark', 1280, 'dark', (where) => judged(where, ['color-contrast'])));
await hold('on a phone nothing is wider than the screen', () => everyView('phone', 360, 'light', fits));
await hold('on a phone the picture stands upright', async () => {
  await go('sessions/s1');
  await page.locator('.path.at-height .held.bad').waitFor();
  is(false, await page.locator('.path.at-width').isVisible());
});
await hold('help opens with a key, closes with another and gives the focus back', async () => {
  await page.setViewportSize({ width: 1280, height: 844 });
  await key('?');
  await page.getByRole('dialog', { name: 'Help' }).waitFor();
  await judged('help');
  await key('Escape');
  await page.getByRole('dialog', { name: 'Help' }).waitFor({ state: 'hidden' });
});
// A browser that keeps nothing for a page, a clock that can be put forward, and a network that may die or belong to a headend with many sessions.
const strict = await browser.newContext({ viewport: { width: 1280, height: 844 }, colorScheme: 'light', reducedMotion: 'reduce' });
await strict.addCookies(await context.cookies());
const other = await strict.newPage();
other.setDefaultTimeout(10000);
watch(other);
await other.addInitScript(() => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('Access is denied for this document.', 'SecurityError'); } }));
await other.clock.install();
let dead = false, sessions = null;
await other.route((url) => url.pathname.startsWith('/v1/'), (route) => {
  const url = new globalThis.URL(route.request().url());
  if (dead) return undefined;
  return sessions && url.pathname === '/v1/sessions' ? route.fulfill({ json: sessions(url.searchParams) }) : route.continue();
});
const seen = (text, within = other.locator('main')) => within.getByText(text).first().waitFor();
async function bothColours(name) {
  for (const colorScheme of ['dark', 'light']) {
    await other.emulateMedia({ colorScheme });
    await other.screenshot({ path: `${FOLDER}/screenshots/${name}-${colorScheme}.png`, fullPage: true });
  }
}
await hold('where the browser keeps nothing the page is there, and single keys are turned off for as long as it is', async () => {
  await other.goto(`${HEADEND}/`);
  await seen('Latest events');
  await other.keyboard.press('?');
  const help = other.getByRole('dialog', { name: 'Help' });
  await help.getByRole('checkbox').uncheck();
  await other.keyboard.press('Escape');
  await help.waitFor({ state: 'hidden' });
  await other.keyboard.press('2');
  await other.getByRole('button', { name: 'Help' }).click();
  await help.getByRole('checkbox').check();
  await other.keyboard.press('Escape');
  is('', await other.evaluate(() => location.hash));
  await other.keyboard.press('2');
  await other.waitForFunction(() => location.hash === '#/sessions');
});
const some = (await other.evaluate(() => fetch('/v1/sessions/s2').then((answer) => answer.json()))).session;
await hold('of a thousand sessions of more the overview says so wherever it counts or chooses', async () => {
  sessions = () => ({ sessions: [some], next: 's1000' });
  await other.evaluate(() => { location.hash = '#/overview'; });
  await seen('up, degraded and down of the first 1000 sessions');
  await seen('in trouble first, then the busiest, of the first 1000 sessions');
  await bothColours('08-many');
});
await hold('who is behind thousands of sessions is found', async () => {
  const pages = { s2048: { sessions: [], next: 's4096' }, s4096: { sessions: [{ ...some, id: 's4711', identity: 'deep' }], next: 's6144' } };
  sessions = (query) => pages[query.get('after')] ?? { sessions: [], next: 's2048' };
  await other.evaluate(() => { location.hash = '#/sessions'; });
  await other.locator('#filter').fill('deep');
  await other.getByRole('link', { name: 'deep' }).waitFor();
  await seen('1, perhaps more behind them');
});
await hold('and who is not found in so many is not said to be nowhere', async () => {
  // So many answers come faster from inside.
  const inside = () => {
    const outside = window.fetch;
    window.asked = [];
    window.fetch = (path, options) => {
      const url = new URL(path, location.href);
      if (url.pathname !== '/v1/sessions') return outside(path, options);
      window.asked.push(Number((url.searchParams.get('after') ?? 's0').slice(1)));
      return Promise.resolve(Response.json({ sessions: [], next: `s${window.asked.at(-1) + 2048}` }));
    };
    return () => { window.fetch = outside; };
  };
  await other.evaluate(`window.leave = (${inside})()`);
  await other.locator('#filter').fill('nobody');
  await seen('None among those that were looked at. The next page looks at more.');
  is(64 * 2048, await other.evaluate(() => Math.max(...window.asked)));
  await bothColours('09-not-found');
  await other.getByRole('button', { name: 'Next page' }).click();
  await other.waitForFunction((most) => Math.max(...window.asked) === most, 129 * 2048);
  await other.evaluate(() => window.leave());
  sessions = () => ({ sessions: [], next: null });
  await other.locator('#filter').fill('nobody else');
  await seen('No session fits.');
});
await hold('when nobody answers any more the page says so, and that no events come', async () => {
  sessions = null;
  await other.evaluate(() => { location.hash = '#/events'; });
  const header = other.locator('header.top');
  await seen('serving', header);
  await seen(/^live$/);
  dead = true;
  await other.waitForRequest((request) => request.url().endsWith('/v1/status'));
  await other.clock.fastForward(10000);
  await seen('not reachable', header);
  await seen('not connected');
  await bothColours('10-silence');
});
await hold('and when somebody does, events go on where they were', async () => {
  const again = other.waitForRequest((request) => request.url().includes('/v1/events?since='));
  dead = false;
  await other.clock.fastForward(12000);
  await seen('serving', other.locator('header.top'));
  await again;
  await seen(/^live$/);
  await strict.close();
});
await hold('who signs out is a stranger', async () => {
  const [cookie] = await context.cookies();
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Sign out' }).click()]);
  is(['Sign in', []], [await page.title(), await context.cookies()]);
  await context.addCookies([cookie]);
  is(401, (await page.goto(`${HEADEND}/`)).status());
  await context.clearCookies();
});
await hold('an operator who may change things may only look without the tick', async () => {
  await page.getByLabel('Token').fill(BOSS);
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Sign in' }).click()]);
  await page.getByText('boss, looking').waitFor();
  is([0, 403], [await page.getByRole('button', { name: /Changes/ }).count(), await ask('/v1/sessions/s2', 'DELETE')]);
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Sign out' }).click()]);
});
await hold('with the tick a session is ended, after a question', async () => {
  await page.getByLabel('Token').fill(BOSS);
  await page.getByLabel('May change things').check();
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Sign in' }).click()]);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.getByRole('link', { name: HOSTILE }).first().click();
  await page.getByRole('button', { name: 'Disconnect…' }).click();
  await page.getByText(`${HOSTILE} is told that the session is over.`).waitFor();
  await judged('question');
  await shot('07-disconnect');
  await page.getByRole('button', { name: 'Cancel' }).click();
  is(200, await ask('/v1/sessions/s2'));
  await page.getByRole('button', { name: 'Disconnect…' }).click();
  await page.getByRole('button', { name: 'Disconnect', exact: true }).click();
  await page.getByRole('status').getByText('s2 ends.').waitFor();
  await page.getByText('over', { exact: true }).first().waitFor();
});
await hold('nothing strange was seen: no error, no word on the console, no request to elsewhere', async () => {
  is([], strange.filter((line) => !line.includes('status of 403')));
});
await browser.close();

// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The page: lists, buttons and keys.

import { get } from './api.js';
import { Cloud } from './cloud.js';
import { Desk } from './desk.js';
import { Learning } from './learning.js';
import { Tools } from './tools.js';

const CLASS_KEYS = '1234567890qwertuiop';
const element = (id) => document.getElementById(id);

let hiding;
function say(text, isError = false) {
  const place = element('message');
  place.textContent = text;
  place.classList.toggle('error', isError);
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, isError ? 12000 : 3000);
}

async function guard(work) {
  try {
    await work();
  } catch (error) {
    console.warn(error.message);
    say(error.message, true);
  }
}

// ------------------------------------------------------------------ what is to be seen

function showClasses() {
  const place = element('classes');
  place.replaceChildren();
  const names = [...desk.project.classes, { name: null, colour: [105, 112, 122] }];
  names.forEach(({ name, colour }, number) => {
    const row = document.createElement('div'), key = name === null ? 'x' : CLASS_KEYS[number];
    row.innerHTML = '<i></i><span></span><kbd></kbd><input type="checkbox" checked title="Visible">';
    const [box, text, hint, eye] = row.children;
    box.style.background = `rgb(${colour})`;
    text.textContent = name ?? 'none';
    hint.textContent = key ?? '';
    hint.hidden = !key;
    row.dataset.class = name ?? '';
    row.onclick = () => choose(name);
    eye.onclick = (event) => event.stopPropagation();
    eye.onchange = () => {
      desk.setVisible(name === null ? 65535 : number, eye.checked);
      row.classList.toggle('hidden', !eye.checked);
    };
    place.append(row);
  });
}

function choose(name) {
  desk.class = name;
  showState();
}

function showState() {
  const { project, scan } = desk;
  element('scan').textContent = `${project.folder}: scan ${project.scans[scan].name} (${scan + 1} of ${project.scans.length})`;
  element('reason').textContent = suggestions.find((one) => one.scan === scan)?.reason ?? '';
  const corrected = project.scans.filter((one) => one.corrected).length;
  element('count').textContent = project.edits
    ? `${project.edits} correction${project.edits > 1 ? 's' : ''} in ${corrected} scan${corrected > 1 ? 's' : ''}, all on disk` : 'No corrections yet';
  for (const row of element('classes').children) {
    row.classList.toggle('chosen', row.dataset.class === (desk.class ?? ''));
  }
  for (const button of document.querySelectorAll('[data-tool]')) {
    button.classList.toggle('chosen', button.dataset.tool === tools.tool);
  }
  for (const button of document.querySelectorAll('[data-labels]')) {
    button.classList.toggle('chosen', button.dataset.labels === desk.labels);
  }
  for (const item of element('suggestions').children) {
    item.classList.toggle('chosen', Number(item.dataset.scan) === scan);
  }
}

async function suggest() {
  suggestions = await get('suggestions');
  element('suggestions').replaceChildren(...suggestions.slice(0, 8).map((one) => {
    const item = document.createElement('li');
    item.innerHTML = '<b></b><span></span>';
    item.dataset.scan = one.scan;
    item.children[0].textContent = one.name;
    item.children[1].textContent = one.reason;
    item.onclick = () => guard(() => desk.goTo(one.scan));
    return item;
  }));
  showState();
}

// ------------------------------------------------------------------ what is done

async function next() {
  await suggest();
  const found = suggestions.find((one) => one.scan !== desk.scan);
  if (!found) { say('No scan is worth a look any more'); return; }
  await desk.goTo(found.scan);
}

async function goToSegment() {
  const [best] = await get(`scans/${desk.scan}/suggestions`);
  const points = best ? desk.pointsOf(best.segment) : [];
  if (!points.length) { say('No segment of this scan is worth a click'); return; }
  cloud.goTo(points);
  desk.hovered = best.segment;
  desk.repaint();
  say(`Is this ${desk.nameOf(points[0])}? ${best.reason}`);
}

function useTool(tool) {
  tools.choose(tool);
  showState();
}

let above = false;
function turn() {
  above = !above;
  if (above) cloud.lookDown(); else cloud.lookAlong();
}

async function otherLabels() {
  if (!learning.outcome) { say('Nothing was learned yet'); return; }
  const order = ['labels', 'before', 'after'];
  await desk.show(order[(order.indexOf(desk.labels) + 1) % order.length]);
}

function setConfidence(on) {
  desk.confidence = element('confidence').checked = on;
  desk.repaint();
}

const KEYS = {
  s: () => useTool('segment'), b: () => useTool('brush'), l: () => useTool('lasso'),
  '[': () => tools.resize(0.8), ']': () => tools.resize(1.25),
  x: () => choose(null),
  a: () => desk.confirm(),
  z: () => desk.undo(), y: () => desk.redo(), Z: () => desk.redo(),
  n: next, g: goToSegment,
  ArrowLeft: () => desk.goTo(desk.scan - 1), ArrowRight: () => desk.goTo(desk.scan + 1),
  c: () => setConfidence(!desk.confidence), m: otherLabels, v: turn,
  h: () => element('help').showModal(), '?': () => element('help').showModal(),
};

addEventListener('keydown', (event) => {
  if (event.altKey || event.metaKey || element('help').open) return;
  const number = CLASS_KEYS.indexOf(event.key);
  const isClass = !event.ctrlKey && number >= 0 && number < desk.project.classes.length;
  const work = isClass ? () => choose(desk.project.classes[number].name) : KEYS[event.key];
  if (!work || (event.ctrlKey && !'zyZ'.includes(event.key))) return;
  event.preventDefault();
  guard(work);
});

const BUTTONS = {
  next, top: turn, 'help-button': KEYS.h, undo: KEYS.z, redo: KEYS.y, right: KEYS.a,
  back: KEYS.ArrowLeft, forward: KEYS.ArrowRight,
};
for (const [id, work] of Object.entries(BUTTONS)) element(id).onclick = () => guard(work);
for (const button of document.querySelectorAll('[data-tool]')) {
  button.onclick = () => useTool(button.dataset.tool);
}
element('carry').onchange = ({ target }) => { desk.carryOver = target.checked; };
element('confidence').onchange = ({ target }) => setConfidence(target.checked);

// ------------------------------------------------------------------ begin

let suggestions = [];
const cloud = new Cloud(element('canvas'));
const desk = new Desk(cloud, showState, say);
const tools = new Tools(desk, element('overlay'), element('tip'), guard);

/** The bundle has labelled more scans. */
async function looked(job) {
  if (!job.running) await suggest();
  if (desk.arrays?.segments.every((one) => one < 0)) await desk.refresh();
}

const learning = new Learning(desk, guard, looked);
await guard(async () => {
  desk.project = await get('project');
  showClasses();
  await desk.open();
  await learning.open();
  await suggest();
  document.body.dataset.ready = 'yes';
});
Object.assign(window, { pointata: { cloud, desk, tools, learning } });  // for the console

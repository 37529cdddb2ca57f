// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The pointer on the cloud: a click labels a segment; brush and lasso choose points.

const STILL_PX = 4;  // a pointer that moved less was a click
const SVG = 'http://www.w3.org/2000/svg';

export class Tools {
  /** `guard(work)` runs work that may fail. */
  constructor(desk, overlay, tip, guard) {
    Object.assign(this, { desk, overlay, tip, guard });
    this.cloud = desk.cloud;
    this.radius = 18;
    this.choose('segment');
    const canvas = this.cloud.canvas;
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    canvas.addEventListener('pointerup', (event) => this.up(event));
    canvas.addEventListener('pointerleave', () => this.leave());
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  choose(tool) {
    this.tool = tool;
    this.cloud.drawWithLeft(tool !== 'segment');
    this.leave();
  }

  resize(factor) {
    this.radius = Math.min(120, Math.max(4, this.radius * factor));
    if (this.pointer) this.outline(...this.pointer);
  }

  down({ offsetX: x, offsetY: y, button }) {
    this.start = button === 0 ? [x, y] : null;
    this.drags = button !== 0;
    this.line = [[x, y]];
    this.painted = new Set();
    if (this.start && this.tool === 'brush') this.paint(x, y);
  }

  move({ offsetX: x, offsetY: y, buttons }) {
    this.pointer = [x, y];
    if (buttons && this.start) {
      this.drags ||= Math.hypot(x - this.start[0], y - this.start[1]) > STILL_PX;
      if (this.tool === 'brush') this.paint(x, y);
      if (this.tool === 'lasso') this.line.push([x, y]);
    } else if (!buttons) {
      this.show(x, y);
    }
    this.outline(x, y);
  }

  async up({ offsetX: x, offsetY: y, shiftKey }) {
    const { start, line } = this;
    this.start = null;
    this.outline(x, y);
    if (!start) return;
    if (this.tool === 'segment' && !this.drags) {
      const point = this.cloud.at(x, y);
      if (point >= 0) await this.guard(() => this.desk.click(point));
    } else if (this.tool === 'brush') {
      await this.guard(() => this.desk.label([...this.painted]));
    } else if (this.tool === 'lasso' && line.length > 2) {
      const inside = this.cloud.inside(line);
      await this.guard(() => shiftKey ? this.desk.split(inside) : this.desk.label(inside));
    }
  }

  paint(x, y) {
    const found = this.cloud.within(x, y, this.radius);
    for (const n of found) this.painted.add(n);
    this.cloud.paint((rgb) => { for (const n of found) rgb.fill(255, 3 * n, 3 * n + 3); });
  }

  /** What lies under the pointer. */
  show(x, y) {
    if (!this.desk.shown) return;
    const point = this.cloud.at(x, y);
    this.tip.hidden = point < 0;
    if (point >= 0) {
      const own = this.desk.arrays.by[point];
      const sure = Math.round(100 * this.desk.arrays.probability[point]);
      this.tip.textContent = this.desk.nameOf(point) +
        (own > 0 ? ', labelled by you' : own < 0 ? ', carried over' : `, ${sure} % sure`);
      this.tip.style.transform = `translate(${x + 14}px, ${y + 14}px)`;
    }
    this.desk.hover(this.tool === 'segment' ? point : -1);
  }

  outline(x, y) {
    this.overlay.replaceChildren();
    if (this.tool === 'brush') this.draw('circle', { cx: x, cy: y, r: this.radius });
    if (this.tool === 'lasso' && this.start) this.draw('polygon', { points: this.line.join(' ') });
  }

  draw(name, values) {
    const shape = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(values)) shape.setAttribute(key, value);
    this.overlay.append(shape);
  }

  leave() {
    this.pointer = null;
    this.overlay.replaceChildren();
    this.tip.hidden = true;
    if (this.desk.shown) this.desk.hover(-1);
  }
}

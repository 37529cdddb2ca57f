// Copyright 2026 the pointata_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Points on the screen: draws them, and tells which of them are where.

import * as THREE from 'three';
import { OrbitControls } from './OrbitControls.js';

const NEAR_PX = 7;  // a point this near to the pointer is meant
const BEHIND = 0.06;  // and what lies behind it by more than this share of its distance is not

export class Cloud {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, alpha: true });
    this.renderer.outputColorSpace = THREE.LinearSRGBColorSpace;  // colours as they are given
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(55, 1, 0.1, 2000);
    this.camera.up.set(0, 0, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.zoomToCursor = true;
    this.controls.enableDamping = false;
    this.controls.addEventListener('change', () => this.moved());
    this.material = new THREE.PointsMaterial({ size: 2, vertexColors: true, sizeAttenuation: false });
    this.points = null;
    this.visible = () => true;
    this.screen = null;  // x, y in pixels and depth of every point, until the camera moves
    this.lookAlong();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    this.resize();
  }

  /** Show other points: x, y, z and intensity of each. */
  show(rows) {
    const count = rows.length / 4, places = new Float32Array(3 * count);
    for (let n = 0; n < count; n++) {
      for (let axis = 0; axis < 3; axis++) {
        const value = rows[4 * n + axis];
        places[3 * n + axis] = Number.isFinite(value) ? value : 1e6;
      }
    }
    this.places = places;
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute('position', new THREE.BufferAttribute(places, 3));
    geometry.setAttribute('color', new THREE.BufferAttribute(new Uint8Array(3 * count), 3, true));
    if (this.points) {
      this.scene.remove(this.points);
      this.points.geometry.dispose();
    }
    this.points = new THREE.Points(geometry, this.material);
    this.points.frustumCulled = false;
    this.scene.add(this.points);
    this.moved();
  }

  /** Colour every point; `fill` gets the array of red, green and blue, 0..255. */
  paint(fill) {
    const colours = this.points.geometry.getAttribute('color');
    fill(colours.array);
    colours.needsUpdate = true;
    this.draw();
  }

  lookAlong() {
    this.camera.position.set(-22, 0, 14);
    this.controls.target.set(4, 0, 0);
    this.controls.update();
  }

  lookDown() {
    this.camera.position.set(-0.01, 0, 55);
    this.controls.target.set(0, 0, 0);
    this.controls.update();
  }

  /** Come near to some points. */
  goTo(index) {
    const centre = new THREE.Vector3();
    for (const n of index) centre.add(this.place(n));
    centre.divideScalar(index.length);
    const along = centre.clone().setZ(0);
    const back = along.length() > 1 ? along.normalize() : new THREE.Vector3(1, 0, 0);
    this.camera.position.copy(centre).addScaledVector(back, -9).add(new THREE.Vector3(0, 0, 5));
    this.controls.target.copy(centre);
    this.controls.update();
  }

  place(n) {
    return new THREE.Vector3().fromArray(this.places, 3 * n);
  }

  /** Which button turns the view; the left one draws while a brush or lasso is chosen. */
  drawWithLeft(draws) {
    const { ROTATE, PAN, DOLLY } = THREE.MOUSE;
    this.controls.mouseButtons = draws
      ? { LEFT: null, MIDDLE: PAN, RIGHT: ROTATE } : { LEFT: ROTATE, MIDDLE: DOLLY, RIGHT: PAN };
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    this.renderer.setPixelRatio(window.devicePixelRatio);
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / Math.max(height, 1);
    this.camera.updateProjectionMatrix();
    this.moved();
  }

  moved() {
    this.screen = null;
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.renderer.render(this.scene, this.camera);
    });
  }

  /** Place of every point on the screen: x, y in pixels, and depth; depth 0 for points behind. */
  onScreen() {
    if (this.screen) return this.screen;
    this.camera.updateMatrixWorld();
    const m = new THREE.Matrix4()
      .multiplyMatrices(this.camera.projectionMatrix, this.camera.matrixWorldInverse).elements;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const places = this.places, found = new Float32Array(places.length);
    for (let k = 0; k < places.length; k += 3) {
      const x = places[k], y = places[k + 1], z = places[k + 2];
      const w = m[3] * x + m[7] * y + m[11] * z + m[15];
      if (w <= 0.1) continue;
      found[k] = ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * width / 2;
      found[k + 1] = (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * height / 2;
      found[k + 2] = w;
    }
    return this.screen = found;
  }

  /** The foremost point under the pointer, or -1. */
  at(x, y) {
    const found = this.within(x, y, NEAR_PX);
    let best = -1, least = Infinity;
    const at = this.onScreen();
    for (const n of found) {
      const far = Math.hypot(at[3 * n] - x, at[3 * n + 1] - y);
      if (far < least) { least = far; best = n; }
    }
    return best;
  }

  /** Points in a circle around the pointer, without those behind the foremost ones. */
  within(x, y, radius) {
    const inside = this.chosen((px, py) => (px - x) ** 2 + (py - y) ** 2 <= radius ** 2);
    const at = this.onScreen();
    const nearest = inside.reduce((least, n) => Math.min(least, at[3 * n + 2]), Infinity);
    return inside.filter((n) => at[3 * n + 2] <= nearest * (1 + BEHIND) + 0.3);
  }

  /** Points inside an outline of [x, y]. */
  inside(outline) {
    const xs = outline.map(([x]) => x), ys = outline.map(([, y]) => y);
    const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
    return this.chosen((x, y) => {
      if (x < low[0] || x > high[0] || y < low[1] || y > high[1]) return false;
      let odd = false;
      for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
        const [xi, yi] = outline[i], [xj, yj] = outline[j];
        if (yi > y !== yj > y && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
      }
      return odd;
    });
  }

  /** Points in the window. */
  inWindow() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return this.chosen((x, y) => x >= 0 && y >= 0 && x < width && y < height);
  }

  chosen(test) {
    const at = this.onScreen(), found = [];
    for (let n = 0, k = 0; k < at.length; n++, k += 3) {
      if (at[k + 2] > 0 && test(at[k], at[k + 1]) && this.visible(n)) found.push(n);
    }
    return found;
  }
}

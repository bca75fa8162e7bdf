// Records what nsfwjs' MobileNetV2Mid makes of 200 drawn pictures under TensorFlow.js (CPU).
// Usage, in this folder: npm install --ignore-scripts && node record.mjs OUTPUT.json
// tests/golden/golden_guard/image_classifier_test.cc draws the same pictures.
import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { load } from 'nsfwjs/core';
import { MobileNetV2MidModel } from 'nsfwjs/models/mobilenet_v2_mid';

/** Whole numbers by a linear congruence (Numerical Recipes). */
class Numbers {
  constructor(seed) { this.state = seed >>> 0; }
  below(n) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return (this.state >>> 8) % n;
  }
}

/** Picture i: a ramp of colours, rectangles and discs, with grain in every third. */
function draw(i) {
  const numbers = new Numbers(i + 1);
  const width = i % 4 === 0 ? 224 : 40 + numbers.below(400);
  const height = i % 4 === 0 ? 224 : 40 + numbers.below(400);
  const pixels = new Int32Array(width * height * 3);
  const base = [numbers.below(256), numbers.below(256), numbers.below(256)];
  const slope = [numbers.below(5), numbers.below(5), numbers.below(5)];
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      for (let c = 0; c < 3; ++c) pixels[(y * width + x) * 3 + c] = (base[c] + ((x + 2 * y) * slope[c] >> 2)) & 255;
    }
  }
  const shapes = numbers.below(12);
  for (let s = 0; s < shapes; ++s) {
    const disc = numbers.below(2) === 1;
    const cx = numbers.below(width), cy = numbers.below(height), r = 4 + numbers.below(80);
    const colour = [numbers.below(256), numbers.below(256), numbers.below(256)];
    for (let y = Math.max(0, cy - r); y < Math.min(height, cy + r); ++y) {
      for (let x = Math.max(0, cx - r); x < Math.min(width, cx + r); ++x) {
        if (disc && (x - cx) * (x - cx) + (y - cy) * (y - cy) > r * r) continue;
        for (let c = 0; c < 3; ++c) pixels[(y * width + x) * 3 + c] = colour[c];
      }
    }
  }
  if (i % 3 === 0) for (let p = 0; p < pixels.length; ++p) pixels[p] = Math.min(255, pixels[p] + numbers.below(40));
  return { width, height, pixels };
}

await tf.setBackend('cpu');
await tf.ready();
const model = await load('MobileNetV2Mid', { modelDefinitions: [MobileNetV2MidModel] });
const scores = [];
for (let i = 0; i < 200; ++i) {
  const { width, height, pixels } = draw(i);
  const image = tf.tensor3d(pixels, [height, width, 3], 'int32');
  const output = model.infer(image);
  scores.push(Array.from(await output.data()).map((v) => Number(v.toPrecision(7))));
  tf.dispose([image, output]);
}
writeFileSync(process.argv[2], `[\n${scores.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`);

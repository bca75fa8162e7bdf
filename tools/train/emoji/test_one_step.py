"""Trains each stage for a few steps on one batch of made-up pictures, exports, and draws. Seconds on a CPU.

usage: run_test.sh, which makes an environment, or in this folder: python -m unittest
"""
import math
import pathlib
import tempfile
import unittest

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from draw import Model
from export import EMBEDDING, PREFIXES, export, with_standard_scale
from made_up import write_inputs
from prompts import compose
from tokenizer import END, START
from train_text import TextStage
from train_unet import UnetStage
from train_vae import VaeStage, latents
from training import LATENT_SCALE, seed_everything

SHIPPED = pathlib.Path(__file__).resolve().parents[3] / "models" / "emoji-128" / "emoji-128.safetensors"
STEPS = 6


def setUpModule():
    torch.set_num_threads(1)                                        # batches this small lose more to waiting than they gain


def train(stage):
    """A few steps on one batch at the full rate. -> the loss before each"""
    stage.warm_up = 1
    batch = stage.batch(0)
    losses = [stage.optimise(batch, 0)["loss"] for _ in range(STEPS)]
    stage.save()
    return losses


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        seed_everything(0)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.tokenizer = write_inputs(cls.folder)
        cls.losses = {"vae": train(VaeStage(cls.folder, count=2))}
        cls.losses["text"] = train(TextStage(cls.folder, cls.tokenizer, count=8))
        unet = UnetStage(cls.folder, cls.tokenizer, count=4)
        unet.resume()
        cls.losses["unet"] = train(unet)
        cls.checkpoint = cls.folder / "out.safetensors"
        export(cls.folder, cls.checkpoint, cls.tokenizer)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_every_loss_is_finite_and_falls(self):
        for stage, losses in self.losses.items():
            self.assertTrue(all(map(math.isfinite, losses)), (stage, losses))
            self.assertLess(losses[-1], 0.9 * losses[0], (stage, losses))

    def test_the_checkpoint_has_the_names_shapes_and_types_of_the_shipped_one(self):
        with safe_open(self.checkpoint, "pt") as ours, safe_open(SHIPPED, "pt") as shipped:
            self.assertEqual(set(ours.keys()), set(shipped.keys()))
            for name in shipped.keys():
                mine, theirs = ours.get_slice(name), shipped.get_slice(name)
                self.assertEqual((mine.get_shape(), mine.get_dtype()), (theirs.get_shape(), theirs.get_dtype()), name)
                self.assertEqual(mine.get_dtype(), "F16")
            self.assertEqual(set(ours.metadata()), set(shipped.metadata()))

    def test_the_exported_vae_has_latents_of_unit_deviation_and_the_same_pictures(self):
        z, factor = latents(self.folder)
        self.assertAlmostEqual(z.std().item(), 1, places=4)
        trained = VaeStage(self.folder)
        trained.resume()
        vae = trained.averages["vae"].values
        x = compose(trained.images[:2], torch.full((2, 3), 255.0))
        with torch.no_grad():
            trained.vae.load_state_dict(vae)
            before, picture = trained.vae.encode(x), trained.vae.decode(z[0, :2] / factor)
            trained.vae.load_state_dict(with_standard_scale(vae, factor))
            after, same = trained.vae.encode(x), trained.vae.decode(z[0, :2] / LATENT_SCALE)
        torch.testing.assert_close(after[0] * LATENT_SCALE, before[0] * factor, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close((after[1] / 2).exp() * LATENT_SCALE, (before[1] / 2).exp() * factor)
        torch.testing.assert_close(same, picture, rtol=1e-4, atol=1e-4)

    def test_only_vectors_of_tokens_in_captions_are_kept(self):
        vectors = load_file(self.checkpoint)[PREFIXES["text"] + EMBEDDING]
        kept = set(vectors.any(1).nonzero().flatten().tolist())
        self.assertLessEqual({START, END, *self.tokenizer.content("an emoji of a red disc on a teal background")}, kept)
        self.assertLess(len(kept), 80)

    def test_a_stage_goes_on_where_it_was(self):
        stages = [UnetStage(self.folder, self.tokenizer, count=2) for _ in range(2)]
        for stage in stages:
            self.assertTrue(stage.resume())
            self.assertEqual(stage.steps, STEPS)
        batch = stages[0].batch(0)
        reports = [[stage.optimise(batch, 0.5)["loss"] for _ in range(2)] for stage in stages]
        np.testing.assert_allclose(reports[0], reports[1], rtol=1e-5)

    def test_a_stage_needs_the_one_before(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            tokenizer = write_inputs(folder)
            with self.assertRaisesRegex(FileNotFoundError, "vae.pt: train the autoencoder first"):
                TextStage(folder, tokenizer)
            for kept in ("vae.pt", "latents.pt"):
                (folder / kept).symlink_to(self.folder / kept)
            with self.assertRaisesRegex(FileNotFoundError, "text.pt: train the text encoder first"):
                UnetStage(folder, tokenizer).resume()

    def test_the_rate_rises_and_falls(self):
        stage = VaeStage(self.folder)
        self.assertLess(stage.rate(0), stage.peak / 50)
        stage.steps = stage.warm_up
        self.assertAlmostEqual(stage.rate(0), stage.peak, delta=2e-6)
        self.assertAlmostEqual(stage.rate(0.5), stage.peak / 2, delta=2e-6)
        self.assertAlmostEqual(stage.rate(1), 1e-6)

    def test_the_same_seed_draws_the_same_pictures(self):
        model = Model(self.checkpoint, self.tokenizer)
        first, again = (model.draw(["red disc", "a blue ring"], steps=2) for _ in range(2))
        self.assertEqual(first.shape, (2, 128, 128, 3))
        self.assertTrue(torch.equal(first, again))
        self.assertFalse(torch.equal(first, model.draw(["red disc", "a blue ring"], steps=2, seed=2)))


if __name__ == "__main__":
    unittest.main()

"""Tests of what the model is trained on: pictures, words, and the judging of pictures."""
import json
import pathlib
import tempfile
import unittest

import numpy as np
import torch
from PIL import Image

import dataset
from draw import sheet
from made_up import NAMES, pictures, write_inputs
from prompts import COLOURS, Prompts, caption, compose, share
from retrieval import Bank
from tokenizer import END, LENGTH, START
from train_text import ends


class Data(unittest.TestCase):
    def test_a_tile_is_centred_within_margins(self):
        pixels = dataset.tile(Image.new("RGBA", (40, 20), (255, 0, 0, 255)))
        self.assertEqual(Image.fromarray(pixels).getbbox(), (8, 36, 120, 92))

    def test_black_letters_are_not_pictures(self):
        letter = np.zeros((128, 128, 4), np.uint8)
        letter[30:60, 30:60, 3] = 255
        self.assertTrue(dataset.is_plain_text(letter, "\u2660"))
        self.assertFalse(dataset.is_plain_text(pictures()[0], "\u2660"))
        self.assertTrue(dataset.is_plain_text(np.zeros((128, 128, 4), np.uint8), "ab"))

    def test_transparent_pixels_show_the_background(self):
        rgba = torch.zeros(1, 4, 2, 2, dtype=torch.uint8)
        rgba[0, :, 0, 0] = torch.tensor([255, 0, 0, 255])
        x = compose(rgba, torch.tensor([[0.0, 255.0, 0.0]]))
        self.assertEqual(x[0, :, 0, 0].tolist(), [1, -1, -1])
        self.assertEqual(x[0, :, 1, 1].tolist(), [-1, 1, -1])

    def test_what_is_drawn_how_often(self):
        shares = {("animal-bird", "owl"): 1, ("sky & weather", "sun"): 1, ("face-smiling", "grinning face"): 0.6,
                  ("tool", "hammer"): 0.4, ("country-flag", "flag: japan"): 0.5, ("country-flag", "flag: chile"): 0,
                  ("person-role", "cook"): 0}
        for (group, name), expected in shares.items():
            self.assertEqual(share({"group": group, "name": name}), expected, name)

    def test_a_caption_names_the_emoji_and_the_background(self):
        entry = {"name": "flag: japan", "keywords": ["flag", "sun"]}
        texts = {caption(entry, "teal") for _ in range(200)}
        self.assertTrue(all("teal" in text for text in texts), texts)
        self.assertTrue(all("flag of japan" in text for text in texts), texts)
        self.assertGreater(len(texts), 10)

    def test_an_emoji_is_nearest_to_itself_even_when_moved(self):
        with tempfile.TemporaryDirectory() as name:
            dataset.save(name, pictures(), [{"name": name} for name in NAMES])
            bank = Bank(name)
        colour = COLOURS["teal"]
        for rgba, name in zip(pictures(), NAMES):
            picture = Image.new("RGB", (128, 128), colour)
            picture.paste(Image.fromarray(rgba), (3, -3), Image.fromarray(rgba))
            self.assertEqual(bank.nearest(picture, colour)[0], name)

    def test_a_sheet_has_rows_of_eight(self):
        self.assertEqual(sheet([Image.new("RGB", (10, 10))] * 9).size, (80, 20))


class Words(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as name:
            self.tokenizer = write_inputs(pathlib.Path(name))
            self.prompts = Prompts(name, self.tokenizer)

    def test_pairs_are_joined_by_rank(self):
        first = 512                                                 # after bytes and bytes that end a word
        self.assertEqual(self.tokenizer.content("Red BLUE"), [first + 1, first + 4])
        single = self.tokenizer.tokens
        self.assertEqual(self.tokenizer.content("bed"), [single["b"], single["e"], single["d</w>"]])
        self.assertEqual(self.tokenizer.content("reed"), [first, single["e"], single["d</w>"]])

    def test_a_prompt_has_77_tokens(self):
        for count in (0, 1, 75, 76, 200):
            ids = self.tokenizer(" ".join(["red"] * count))
            self.assertEqual(len(ids), LENGTH)
            self.assertEqual((ids[0], ids[-1], ids.index(END)), (START, END, 1 + min(count, 75)))

    def test_prompts_name_what_is_picked(self):
        emoji, background, ids = self.prompts(64, empty=0)
        self.assertEqual((emoji.shape, background.shape, ids.shape), ((64,), (64,), (64, 77)))
        self.assertTrue((ends(ids) > 1).all())
        self.assertTrue((ends(self.prompts(16, empty=1)[2]) == 1).all())

    def test_gallery_prompts_name_colours_that_exist(self):
        rows = json.loads((pathlib.Path(__file__).parent / "gallery.json").read_text(encoding="utf-8"))
        self.assertEqual(len({row["file"] for row in rows}), 24)
        for row in rows:
            named = [list(rgb) for name, rgb in COLOURS.items() if f"{name} background" in row["prompt"]]
            self.assertEqual(row["colour"], named[0] if named else list(COLOURS["white"]), row)


if __name__ == "__main__":
    unittest.main()

"""Trains one stage of the emoji model for a time, or goes on with it. On the CPU.

usage: python train.py vae  FOLDER --minutes M
       python train.py text FOLDER --minutes M --merges FILE
       python train.py unet FOLDER --minutes M --merges FILE [--hold]

FOLDER holds what dataset.py wrote, and gets a file for each stage. See README.md for the whole course.
"""
import argparse
import os

import torch

from tokenizer import Tokenizer
from train_text import TextStage
from train_unet import UnetStage
from train_vae import VaeStage
from training import run, seed_everything


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["vae", "text", "unet"])
    parser.add_argument("folder")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--merges", help="CLIP's merges, bpe_simple_vocab_16e6.txt.gz (text and unet)")
    parser.add_argument("--hold", action="store_true", help="hold the rate instead of letting it fall to nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parsed = parser.parse_args()
    if parsed.stage != "vae" and not parsed.merges:
        parser.error(f"the stage {parsed.stage} needs --merges")
    return parsed


def main():
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    seed_everything(chosen.seed)
    if chosen.stage == "vae":
        stage = VaeStage(chosen.folder)
    else:
        stage = {"text": TextStage, "unet": UnetStage}[chosen.stage](chosen.folder, Tokenizer(chosen.merges))
    stage.resume()
    run(stage, chosen.minutes, falling=not chosen.hold)


if __name__ == "__main__":
    main()

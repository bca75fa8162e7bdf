"""Records the decoder of a narrow random AutoencoderTiny, what it makes of latents, and the published one's names.

usage: python record_taesd.py OUT_DIR     (tests/golden/data/taesd)
"""
import json
import pathlib
import sys

import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

WIDTH = 8


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    narrow = AutoencoderTiny(encoder_block_out_channels=(WIDTH,) * 4, decoder_block_out_channels=(WIDTH,) * 4).eval()
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.mul_(1.8)     # random weights of the default size make pictures of one colour
    decoder = {f"decoder.{name}": tensor.contiguous() for name, tensor in narrow.decoder.state_dict().items()}
    save_file(decoder, out / "decoder.safetensors")
    latents = torch.randn(1, 4, 3, 5) * 2      # some beyond 3, where they are drawn in
    with torch.no_grad():
        picture = narrow.decode(latents).sample
    save_file({"latents": latents, "picture": picture}, out / "expected.safetensors")
    shapes = {f"decoder.{name}": list(tensor.shape) for name, tensor in AutoencoderTiny().decoder.state_dict().items()}
    (out / "published.json").write_text(json.dumps(shapes, indent=0) + "\n")


if __name__ == "__main__":
    main()

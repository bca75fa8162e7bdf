"""Records the tensor names and shapes of diffusers' and transformers' networks, for
tests/unit/weights/inspect_test.cc.

Each network has its family's true widths, so that what tells the families apart is there, and as
few layers as it can have, so that the list stays short. No weights are made (torch's meta device).
The output is JSON: {"<network>": {"<tensor>": [shape], ...}, ...}.

Usage: python tools/reference/record_model_names.py tests/golden/data/model_names/diffusers.json
Recorded with torch 2.13.0, diffusers 0.42.1, transformers 5.23.0.
"""

import argparse
import json

import torch
from diffusers import AutoencoderKL, ControlNetModel, FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

DOWN, CROSS_DOWN = "DownBlock2D", "CrossAttnDownBlock2D"
UP, CROSS_UP = "UpBlock2D", "CrossAttnUpBlock2D"


def unet(widths: list[int], cross_levels: list[bool], context: int, **options) -> UNet2DConditionModel:
    """A UNet with one block a level."""
    return UNet2DConditionModel(
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=context,
        down_block_types=[CROSS_DOWN if c else DOWN for c in cross_levels],
        up_block_types=[CROSS_UP if c else UP for c in reversed(cross_levels)],
        **options,
    )


def sdxl_unet(widths: list[int], cross_levels: list[bool], context: int, vector: int) -> UNet2DConditionModel:
    """A UNet that is told pooled text and picture sizes in a vector."""
    return unet(
        widths,
        cross_levels,
        context,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=vector,
    )


def networks() -> dict[str, torch.nn.Module]:
    four, all_but_last = [320, 640, 1280, 1280], [True, True, True, False]
    return {
        "sd1.unet": unet(four, all_but_last, 768),
        "sd2.unet": unet(four, all_but_last, 1024, use_linear_projection=True),
        "sdxl.unet": sdxl_unet([320, 640, 1280], [False, True, True], 2048, 2816),
        "sdxl-refiner.unet": sdxl_unet([384, 768, 1536, 1536], [False, True, True, False], 1280, 2560),
        "sd3.transformer": SD3Transformer2DModel(num_layers=2, caption_projection_dim=1152),
        "flux.transformer": FluxTransformer2DModel(num_layers=1, num_single_layers=1),
        "sd1.controlnet": ControlNetModel(layers_per_block=1),
        "vae": AutoencoderKL(
            block_out_channels=[128, 256, 512, 512],
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            layers_per_block=1,
        ),
        "clip-l": CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=1)),
        "t5": T5EncoderModel(T5Config(num_layers=1)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="the JSON file to write")
    with torch.device("meta"):
        shapes = {name: {key: list(tensor.shape) for key, tensor in network.state_dict().items()} for name, network in networks().items()}
    with open(parser.parse_args().output, "w", encoding="utf-8") as file:
        json.dump(shapes, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")

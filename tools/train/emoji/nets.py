"""The networks of a Stable Diffusion 1.x checkpoint under its own tensor names, in any width.

Modules, activations and epsilons are those of Stable Diffusion 1.x; only sizes are parameters. A state dict of these,
behind the prefixes of export.py, is a file that every loader of Stable Diffusion 1.x can read.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class GroupNorm32(nn.GroupNorm):
    """Group normalisation with statistics in float32 under autocast."""

    def __init__(self, channels, eps=1e-5):
        super().__init__(32, channels, eps=eps)

    def forward(self, x):
        return super().forward(x.float())


class LayerNorm32(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.float())


def zeroed(module):
    """A residual branch that starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def conv3(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def timestep_embedding(t, size):
    """[B] -> [B, size]: sinusoids with falling frequency, cosines first."""
    frequencies = torch.exp(-math.log(10000) * torch.arange(size // 2, dtype=torch.float32) / (size // 2))
    angles = t[:, None].float() * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepResBlock(nn.Module):
    def __init__(self, inputs, outputs, embedding):
        super().__init__()
        self.in_layers = nn.Sequential(GroupNorm32(inputs), nn.SiLU(), conv3(inputs, outputs))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(GroupNorm32(outputs), nn.SiLU(), nn.Identity(), zeroed(conv3(outputs, outputs)))
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, embedding, _):
        h = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None].to(x.dtype)
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    def __init__(self, size, context, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(size, size, bias=False)
        self.to_k = nn.Linear(context, size, bias=False)
        self.to_v = nn.Linear(context, size, bias=False)
        self.to_out = nn.Sequential(nn.Linear(size, size), nn.Identity())

    def forward(self, x, context):
        batch, tokens, size = x.shape
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2).float() for y in (self.to_q(x), self.to_k(context), self.to_v(context)))
        with torch.autocast("cpu", enabled=False):                 # its bfloat16 backward is four times slower
            y = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(y.transpose(1, 2).reshape(batch, tokens, size))


class Gate(nn.Module):
    def __init__(self, size, inner):
        super().__init__()
        self.proj = nn.Linear(size, inner * 2)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.net = nn.Sequential(Gate(size, size * 4), nn.Identity(), nn.Linear(size * 4, size))

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, size, context, heads):
        super().__init__()
        self.attn1 = CrossAttention(size, size, heads)
        self.ff = FeedForward(size)
        self.attn2 = CrossAttention(size, context, heads)
        self.norm1, self.norm2, self.norm3 = (LayerNorm32(size) for _ in range(3))

    def forward(self, x, context):
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, size, context, heads):
        super().__init__()
        self.norm = GroupNorm32(size, eps=1e-6)
        self.proj_in = nn.Conv2d(size, size, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(size, context, heads)])
        self.proj_out = zeroed(nn.Conv2d(size, size, 1))

    def forward(self, x, _, context):
        height, width = x.shape[2:]
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        y = self.transformer_blocks[0](y, context)
        return x + self.proj_out(y.transpose(1, 2).unflatten(2, (height, width)))


class Downsample(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.op = nn.Conv2d(size, size, 3, stride=2, padding=1)

    def forward(self, x, *_):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.conv = conv3(size, size)

    def forward(self, x, *_):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stem(nn.Conv2d):
    def forward(self, x, *_):
        return super().forward(x)


class UNet(nn.Module):
    """x [B, 4, h, w], timesteps [B], context [B, 77, C] -> predicted noise [B, 4, h, w]."""

    def __init__(self, width=64, multiples=(1, 2, 3, 3), context=128, heads=8, blocks=1, latent=4, transformers=(0, 1, 1, 0)):
        super().__init__()
        self.width, embedding = width, width * 4
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks = nn.ModuleList([nn.ModuleList([Stem(latent, width, 3, padding=1)])])
        skips, size = [width], width

        def block(inputs, outputs, level):
            parts = [TimestepResBlock(inputs, outputs, embedding)]
            return parts + [SpatialTransformer(outputs, context, heads)] if transformers[level] else parts

        for level, multiple in enumerate(multiples):
            for _ in range(blocks):
                self.input_blocks.append(nn.ModuleList(block(size, width * multiple, level)))
                size = width * multiple
                skips.append(size)
            if level + 1 < len(multiples):
                self.input_blocks.append(nn.ModuleList([Downsample(size)]))
                skips.append(size)
        self.middle_block = nn.ModuleList([TimestepResBlock(size, size, embedding), SpatialTransformer(size, context, heads), TimestepResBlock(size, size, embedding)])
        self.output_blocks = nn.ModuleList()
        for level, multiple in reversed(list(enumerate(multiples))):
            for i in range(blocks + 1):
                parts = block(size + skips.pop(), width * multiple, level)
                size = width * multiple
                self.output_blocks.append(nn.ModuleList(parts + [Upsample(size)] if level and i == blocks else parts))
        self.out = nn.Sequential(GroupNorm32(size), nn.SiLU(), zeroed(conv3(size, latent)))

    def forward(self, x, t, context):
        embedding = self.time_embed(timestep_embedding(t, self.width))
        skips = []
        for block in self.input_blocks:
            for part in block:
                x = part(x, embedding, context)
            skips.append(x)
        for part in self.middle_block:
            x = part(x, embedding, context)
        for block in self.output_blocks:
            x = torch.cat([x, skips.pop()], dim=1)
            for part in block:
                x = part(x, embedding, context)
        return self.out(x)


class ClipLayer(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.self_attn = nn.ModuleDict({name: nn.Linear(size, size) for name in ("k_proj", "v_proj", "q_proj", "out_proj")})
        self.layer_norm1, self.layer_norm2 = LayerNorm32(size), LayerNorm32(size)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(size, size * 4), "fc2": nn.Linear(size * 4, size)})

    def forward(self, x, mask):
        batch, tokens, size = x.shape
        h = self.layer_norm1(x)
        q, k, v = (self.self_attn[name](h).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("q_proj", "k_proj", "v_proj"))
        scores = (q @ k.transpose(-1, -2)) * (size // self.heads) ** -0.5 + mask
        x = x + self.self_attn["out_proj"]((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, size))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h))


class ClipText(nn.Module):
    """Token ids [B, T] -> [B, T, size]."""

    def __init__(self, size=128, layers=4, vocabulary=49408, tokens=77):
        super().__init__()
        self.embeddings = nn.ModuleDict({"token_embedding": nn.Embedding(vocabulary, size), "position_embedding": nn.Embedding(tokens, size)})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(ClipLayer(size, size // 64) for _ in range(layers))})
        self.final_layer_norm = LayerNorm32(size)
        nn.init.normal_(self.embeddings["token_embedding"].weight, std=0.02)
        nn.init.normal_(self.embeddings["position_embedding"].weight, std=0.01)

    def forward(self, ids):
        x = self.embeddings["token_embedding"](ids) + self.embeddings["position_embedding"].weight[None, :ids.shape[1]]
        mask = torch.full((ids.shape[1], ids.shape[1]), -1e4).triu(1)
        for layer in self.encoder["layers"]:
            x = layer(x, mask)
        return self.final_layer_norm(x)


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = GroupNorm32(inputs, eps=1e-6), conv3(inputs, outputs)
        self.norm2, self.conv2 = GroupNorm32(outputs, eps=1e-6), zeroed(conv3(outputs, outputs))
        self.nin_shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return h + self.nin_shortcut(x)


class PixelAttention(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.norm = GroupNorm32(size, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(size, size, 1) for _ in range(4))

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (project(y).flatten(2) for project in (self.q, self.k, self.v))
        weights = (q.transpose(1, 2) @ k * x.shape[1] ** -0.5).softmax(-1)
        return x + self.proj_out((v @ weights.transpose(1, 2)).unflatten(2, x.shape[2:]))


class Middle(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = ResBlock(size, size), PixelAttention(size), ResBlock(size, size)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Conv(nn.Module):
    """A convolution under the name "conv"."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(*args, **kwargs)


class Level(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = nn.ModuleList(block)


class Encoder(nn.Module):
    def __init__(self, width, multiples, blocks, latent):
        super().__init__()
        self.conv_in, self.down, size = conv3(3, width), nn.ModuleList(), width
        for i, multiple in enumerate(multiples):
            level = Level([ResBlock(size if j == 0 else width * multiple, width * multiple) for j in range(blocks)])
            size = width * multiple
            if i + 1 < len(multiples):
                level.downsample = Conv(size, size, 3, stride=2)
            self.down.append(level)
        self.mid = Middle(size)
        self.norm_out, self.conv_out = GroupNorm32(size, eps=1e-6), conv3(size, 2 * latent)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            for block in level.block:
                x = block(x)
            if hasattr(level, "downsample"):
                x = level.downsample.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, width, multiples, blocks, latent):
        super().__init__()
        size, levels = width * multiples[-1], []
        self.conv_in, self.mid = conv3(latent, size), Middle(size)
        for i in reversed(range(len(multiples))):
            level = Level([ResBlock(size if j == 0 else width * multiples[i], width * multiples[i]) for j in range(blocks + 1)])
            size = width * multiples[i]
            if i:
                level.upsample = Conv(size, size, 3, padding=1)
            levels.insert(0, level)
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = GroupNorm32(size, eps=1e-6), conv3(size, 3)

    def forward(self, z):
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            for block in level.block:
                x = block(x)
            if hasattr(level, "upsample"):
                x = level.upsample.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(x)))


class Vae(nn.Module):
    def __init__(self, width=32, multiples=(1, 2, 4, 4), blocks=1, latent=4):
        super().__init__()
        self.encoder, self.decoder = Encoder(width, multiples, blocks, latent), Decoder(width, multiples, blocks, latent)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1), nn.Conv2d(latent, latent, 1)

    def encode(self, x):
        """[B, 3, H, W] in [-1, 1] -> mean and log variance [B, 4, H/8, W/8]."""
        return self.quant_conv(self.encoder(x)).float().chunk(2, dim=1)

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z))

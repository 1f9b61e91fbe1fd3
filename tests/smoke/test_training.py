"""The frameworks of the tag learn something, on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.smoke.test_packages import told, use

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

USES = {
    # Least squares by gradient descent: 2 x + 1.
    "torch": (
        """
import torch
torch.manual_seed(0)
x = torch.linspace(-1, 1, 64).unsqueeze(1)
model = torch.nn.Linear(1, 1)
descent = torch.optim.SGD(model.parameters(), lr=.5)
for _ in range(100):
    descent.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), 2 * x + 1)
    loss.backward()
    descent.step()
print(f'{model.weight.item():.2f} {model.bias.item():.2f}', torch.from_numpy(__import__('numpy').ones(2)).sum().item())
""",
        "2.00 1.00 2.0",
    ),
    "tensorflow": (
        """
import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow as tf
x = tf.reshape(tf.linspace(-1., 1., 64), (64, 1))
weight, bias = tf.Variable([[0.]]), tf.Variable([0.])
for _ in range(60):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x @ weight + bias - (2 * x + 1)) ** 2)
    for variable, slope in zip((weight, bias), tape.gradient(loss, (weight, bias))):
        variable.assign_sub(.5 * slope)
layer = tf.keras.layers.Dense(3)
print(f'{weight.numpy()[0, 0]:.2f} {bias.numpy()[0]:.2f}', layer(x).shape)
""",
        "2.00 1.00 (64, 3)",
    ),
    "torchvision": (
        """
import torch, torchvision
from torchvision.ops import nms
boxes = torch.tensor([[0., 0., 10., 10.], [1., 1., 10., 10.], [20., 20., 30., 30.]])
kept = nms(boxes, torch.tensor([.9, .8, .7]), .5)
image = torchvision.transforms.functional.resize(torch.ones(3, 8, 8), [4, 4], antialias=True)
again = torchvision.io.decode_png(torchvision.io.encode_png((image * 255).to(torch.uint8)))
print(kept.tolist(), tuple(again.shape), int(again.min()))
""",
        "[0, 2] (3, 4, 4) 255",
    ),
    "torchaudio": (
        """
import math, torch, torchaudio
wave = torch.sin(torch.arange(1600) * 2 * math.pi * 440 / 16000).unsqueeze(0)
half = torchaudio.functional.resample(wave, 16000, 8000)
peak = torch.fft.rfft(half[0]).abs().argmax().item() * 8000 / half.shape[1]
print(tuple(half.shape), peak)
""",
        "(1, 800) 440.0",
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in USES])
def test_learns(rest: Container, name: str, claim: Claim) -> None:
    code, expected = USES[name]
    claim(told(use(rest, code, seconds=120)), expected)

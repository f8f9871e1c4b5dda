from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.convolutional.efficientnet_lite import EfficientNetLite0, SameConv, fold

# kernel, stride, expansion, channels, repeats: table 1 of Tan and Le 2019, written out again
TABLE = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)]
TABLE += [(5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]


def plainly_written(checkpoint: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network as the papers draw it, straight on the published tensors, in float64."""
    tensors = {name: tensor.double() for name, tensor in checkpoint.items()}

    def convolve(
        x: Tensor, name: str, norm: str, *, stride: int = 1, depthwise: bool = False
    ) -> Tensor:
        weight = tensors[f"{name}.weight"]
        kernel = weight.shape[-1]
        total = max(0, kernel - stride)  # TensorFlow's SAME, for sides that stride divides
        x = functional.pad(x, (total // 2, total - total // 2) * 2)
        x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] if depthwise else 1)
        mean, variance = tensors[f"{norm}.running_mean"], tensors[f"{norm}.running_var"]
        weight, bias = tensors[f"{norm}.weight"], tensors[f"{norm}.bias"]
        return functional.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    x = convolve(x.double(), "_conv_stem", "_bn0", stride=2).clamp(0, 6)
    block = 0
    for kernel, first_stride, expansion, channels, repeats in TABLE:
        for repeat in range(repeats):
            stride, name, before = (first_stride if repeat == 0 else 1), f"_blocks.{block}", x
            if expansion > 1:
                x = convolve(x, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
            assert tensors[f"{name}._depthwise_conv.weight"].shape[-1] == kernel
            x = convolve(
                x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True
            ).clamp(0, 6)
            x = convolve(x, f"{name}._project_conv", f"{name}._bn2")
            assert x.shape[1] == channels
            x = x + before if x.shape == before.shape else x
            block += 1
    x = convolve(x, "_conv_head", "_bn1").clamp(0, 6).mean((2, 3))
    return x @ tensors["_fc.weight"].T + tensors["_fc.bias"]


@pytest.mark.parametrize("size", [(224, 224), (192, 288), (256, 96)])
def test_the_network_answers_what_the_papers_network_answers(
    lite0: ConvolutionalClassifier, lite0_checkpoint: dict[str, Tensor], size: tuple[int, int]
) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert isinstance(lite0.network, EfficientNetLite0)
    with torch.inference_mode():
        ours, expected = lite0.network(x), plainly_written(lite0_checkpoint, x)
    assert (ours - expected).abs().max() < 1e-4
    assert expected.abs().max() > 1


def test_folding_takes_every_tensor_of_the_checkpoint(lite0_checkpoint: dict[str, Tensor]) -> None:
    folded = fold(lite0_checkpoint)
    assert folded.keys() == EfficientNetLite0().state_dict().keys()
    for name, tensor in lite0_checkpoint.items():
        if tensor.ndim == 0:
            continue  # num_batches_tracked
        with pytest.raises(KeyError):
            fold({k: v for k, v in lite0_checkpoint.items() if k != name})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_clipped_convolution_gives_the_same_with_a_graph_and_without(
    stride: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    conv = SameConv(8, 8, 3, stride=stride, groups=8).to(dtype)
    x = (9 * torch.randn(2, 8, 16, 24)).to(dtype, memory_format=torch.channels_last)
    with torch.no_grad():
        fused = conv.clipped(x)
    assert (fused == 0).any()
    assert (fused == 6).any()
    plain = conv.clipped(x)
    assert plain.requires_grad
    assert torch.allclose(fused.float(), plain.float(), atol=1e-5)

"""From a point of a sweep to the job that emulates it."""

from __future__ import annotations

from kernels.networks import Sizes, load_layer
from kernels.networks.job import Job
from kernels.networks.layers import ConvolutionLayer, Layer, MatmulLayer
from kernels.sweep.grid import Point


def job_of(point: Point) -> Job:
    """The job of a point. Raises UsageError for a layer or a size that does not exist."""
    network, layer = _layer(point)
    return Job(
        network,
        layer,
        direction=point["pass"],
        dtype=point["dtype"],
        chip=point["chip"],
        seed=point["seed"],
        bare=point["bare"],
        tiles=point["tiles"],
        plan_rank=point["plan_rank"],
    )


def _layer(point: Point) -> tuple[str, Layer]:
    if point.kernel == "matmul":
        return "sweep", MatmulLayer(
            "matmul", point["groups"], point["m"], point["k"], point["n"], trained=point["groups"] == 1
        )
    if point.kernel == "convolution":
        sizes = (point["in_channels"], point["out_channels"], point["height"], point["width"], point["kernel_size"])
        return "sweep", ConvolutionLayer("convolution", point["batch"], *sizes, point["stride"], point["padding"])
    network, layer = load_layer(point.kernel, Sizes(point["batch"], point["seq"], point["heads"]))
    return network.name, layer

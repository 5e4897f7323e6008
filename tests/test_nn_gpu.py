"""The benchmark for GPUs, tried out on the CPU: it checks before it measures, and says what it needs."""

import json
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "nn_gpu.py"


@pytest.fixture
def nn_gpu(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # a benchmark that it imports sets it
    import nn_gpu

    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [one.allow_tf32 for one in flags]
    yield nn_gpu
    for one, value in zip(flags, before, strict=True):
        one.allow_tf32 = value


def test_without_a_gpu_it_says_so(nn_gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as caught:
        nn_gpu.main([])
    assert caught.value.code == (
        "nn_gpu.py: torch sees no GPU; this benchmark needs one, and a build of torch for CUDA"
    )
    assert capsys.readouterr().out == ""


def test_it_runs_and_writes_what_it_found(nn_gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nn_gpu, "VARIANTS", {name: nn_gpu.VARIANTS[name] for name in ("zoneout", "peephole")})
    output = tmp_path / "new" / "nn_gpu.json"
    nn_gpu.main(["--device", "cpu", "--quick", "--output", str(output), "--seed", "3"])
    record = json.loads(output.read_text())
    assert len(record["checks"]) == 3 * 4 * 4  # dtypes, kinds of scan, ways
    assert record["seed"] == 3 and record["gpu"]["name"] is None and record["machine"]["packages"]["torch"]
    assert [(row["variant"], row["dtype"], row["pass"]) for row in record["rows"]] == [
        (name, dtype, which)
        for dtype in ("float32", "bfloat16")
        for name in ("zoneout", "peephole")
        for which in ("forward and backward", "forward")
    ]
    assert list(record["first_calls_s"]) == ["zoneout", "layer_norm"]
    assert all(len(times) == nn_gpu.CALLS and min(times) > 0 for times in record["first_calls_s"].values())
    for row in record["rows"]:
        assert row["runs"] == "scan" and row["graphs_mib"] == 0  # none on the CPU
        assert list(row["against"]) == ["no graphs", "no kernels", "neither", "cuDNN", "loop"]
        for found in row["against"].values():
            low, high = found["quartiles"]
            assert 0 < low <= found["ratio"] <= high and found["ms"] > 0
        assert row["meets"]["cuDNN"] is (row["against"]["cuDNN"]["ratio"] <= 1.5)
        assert row["meets"]["loop"] is (row["against"]["loop"]["ratio"] <= 0.125)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "correct: 48 comparisons of values and gradients with the references (seed 3)"
    assert said[1].startswith("first calls, in seconds:   zoneout [")
    assert len(said) == 3 + len(record["rows"])
    assert said[-1] == record["verdict"]


@pytest.mark.parametrize("fault", ["value", "gradient", "nan"])
@pytest.mark.parametrize("what", ["plain", "peephole", "dropout", "layer_norm"])
def test_what_is_wrong_is_not_timed(what, fault, nn_gpu, tmp_path, monkeypatch):
    """A scan that is off by a thousandth, or whose gradients are."""
    marks = {
        "peephole": lambda o: o.peephole is not None,
        "dropout": lambda o: o.mask_g is not None,
        "layer_norm": lambda o: o.gain_c is not None,
        "plain": lambda o: all(x is None for x in o[6:]),
    }

    def wrong(scan, inputs):
        h, c = right(scan, inputs)
        if not marks[what](inputs):
            return h, c
        if fault == "gradient":
            return h, c + 1e-3 * (c - c.detach())
        return h, c * (1.001 if fault == "value" else torch.nan)

    right = nn_gpu.run_scan
    monkeypatch.setattr(nn_gpu, "run_scan", wrong)
    output = tmp_path / "nn_gpu.json"
    with pytest.raises(SystemExit, match=rf"^{what}, torch.float64, ours: off by .* nothing is timed"):
        nn_gpu.main(["--device", "cpu", "--quick", "--output", str(output)])
    assert not output.exists()


@pytest.mark.parametrize("one", ["ours", "no graphs", "no kernels", "neither"])
def test_a_way_leaves_out_what_it_says(one, nn_gpu):
    before = nn_gpu.GRAPHS.on, nn_gpu.TRITON.on
    with nn_gpu.way(one):
        assert nn_gpu.GRAPHS.on is (one in ("ours", "no kernels"))
        assert nn_gpu.TRITON.on is (one in ("ours", "no graphs"))
    assert (nn_gpu.GRAPHS.on, nn_gpu.TRITON.on) == before


def test_on_the_cpu_it_wants_a_file_of_its_own(nn_gpu):
    with pytest.raises(SystemExit, match="name a file by --output"):
        nn_gpu.main(["--device", "cpu", "--quick"])


def row(neither, no_graphs, no_kernels, cudnn, loop, variant="zoneout", runs="scan"):
    """A row of the record: our time, with both switches on, over those of the other ways."""
    ratios = {
        "neither": neither,
        "no graphs": no_graphs,
        "no kernels": no_kernels,
        "cuDNN": cudnn,
        "loop": loop,
    }
    against = {name: {"ratio": ratio} for name, ratio in ratios.items()}
    return {"variant": variant, "runs": runs, "against": against}


@pytest.mark.parametrize(
    "rows, said",
    [
        (  # both on: half the time and a quarter of it, at most 1.4 times cuDNN, a tenth of the loop
            [row(0.5, 0.8, 0.9, 1.4, 0.1), row(0.25, 0.8, 0.9, 1.2, 0.05)],
            "RNNLIT_TRITON and RNNLIT_GRAPHS may be on by default: no row is slower, the mean is 0.35 "
            "times the time without. At worst that is 1.40 times cuDNN's plain LSTM, which meets the aim of "
            "1.5, and 10.0 times as fast as the loop, which meets the aim of 8.",
        ),
        (  # graphs alone take 1 / 1.25 of the time of both, and of the time without 0.4 and 0.8
            [row(0.5, 0.8, 1.25, 1.0, 0.2), row(1.0, 0.8, 1.25, 2.5, 0.1)],
            "RNNLIT_GRAPHS may be on by default: no row is slower, the mean is 0.57 times the time "
            "without. At worst that is 2.00 times cuDNN's plain LSTM, which misses the aim of 1.5, and 6.2 "
            "times as fast as the loop, which misses the aim of 8.",
        ),
        (  # each is slower in one of the rows
            [row(0.5, 0.4, 0.4, 1.0, 0.1), row(1.1, 1.0, 1.0, 1.0, 0.1)],
            "No switch may be on by default: with RNNLIT_TRITON and RNNLIT_GRAPHS a row takes 1.10, with "
            "RNNLIT_TRITON a row takes 1.25, with RNNLIT_GRAPHS a row takes 1.25 times the time without. "
            "At worst that is 2.00 times cuDNN's plain LSTM, which misses the aim of 1.5, and 5.0 times as "
            "fast as the loop, which misses the aim of 8.",
        ),
        (  # nothing changes
            [row(1.0, 1.0, 1.0, 1.0, 0.1)],
            "No switch may be on by default: with RNNLIT_TRITON and RNNLIT_GRAPHS a row takes 1.00, with "
            "RNNLIT_TRITON a row takes 1.00, with RNNLIT_GRAPHS a row takes 1.00 times the time without. "
            "At worst that is 1.00 times cuDNN's plain LSTM, which meets the aim of 1.5, and 10.0 times as "
            "fast as the loop, which meets the aim of 8.",
        ),
        (  # cuDNN's kernel takes part in the first aim alone: a switch can't slow it, nor can it reach 8
            [
                row(0.5, 0.8, 0.9, 1.4, 0.1),
                row(1.1, 1.0, 1.0, 1.2, 0.4, "weight_drop", "cuDNN"),
                row(1.0, 1.0, 1.0, 1.6, 0.2, "input_dropout", "cuDNN"),
            ],
            "RNNLIT_TRITON and RNNLIT_GRAPHS may be on by default: no row is slower, the mean is 0.50 "
            "times the time without. At worst that is 1.60 times cuDNN's plain LSTM, which misses the aim of "
            "1.5, and 10.0 times as fast as the loop, which meets the aim of 8. The last is said of our "
            "scan; weight_drop and input_dropout run cuDNN's kernel, which even without the variant is only "
            "3.0 to 8.0 times as fast as the loop.",
        ),
    ],
    ids=["both", "graphs", "slower somewhere", "no gain", "beside cuDNN"],
)
def test_the_verdict_follows_from_the_rows(rows, said, nn_gpu):
    assert nn_gpu.verdict(rows) == said

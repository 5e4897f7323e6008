"""The classifier of the Japanese Vowels: it learns; its script runs in one process, in two, and again."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

from rnnlit.practice import vowels
from rnnlit.tasks.data import japanese_vowels, standardise
from rnnlit.tools import layers, models
from rnnlit.tools.processes_torch import Processes
from tests.tolerances import TOLERANCE
from tests.tools.test_processes_torch import launch


def alone(*options):
    return vowels.run(vowels.parse(options), Processes("cpu"))


def rows(path):
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_it_names_the_speaker():
    history, share = alone()
    assert history["loss"][0] > 1 and history["loss"][-1] < 0.1
    assert share > 0.93  # 0.960 to 0.965 under five seeds


def test_padding_does_not_count():
    """The oracle reads each utterance by itself, with torch's own layer and no lengths."""
    torch.manual_seed(0)
    model = vowels.Classifier(hidden=5, dropout=0.3).eval()
    train, _ = standardise(*japanese_vowels())
    batch = vowels.part(train, Processes("cpu"))
    plain = nn.LSTM(12, 5)
    plain.load_state_dict(model.lstm.state_dict())
    expected = [
        model.readout(plain(torch.tensor(train.x[: train.lengths[b], b]))[0].mean(0))
        for b in range(0, 270, 40)
    ]
    got = model(batch.x, batch.lengths)[::40]
    torch.testing.assert_close(got, torch.stack(expected), **TOLERANCE[np.float32])
    loss, count = vowels.loss_fn(model, batch)
    log_p = model(batch.x, batch.lengths).log_softmax(1)
    assert count == 270
    torch.testing.assert_close(loss, -log_p[torch.arange(270), batch.speaker].sum())


class Engine:
    num_processes, process_index = 2, 0


def test_the_parts_of_two_processes_are_the_batch_of_one():
    train, _ = standardise(*japanese_vowels())
    second = Engine()
    second.process_index = 1
    engines = None, Engine(), second
    rngs = [np.random.default_rng(4) for _ in engines]
    whole, *parts = (
        vowels.batches(train, 27, 0.5, Processes("cpu", engine))(rng)
        for engine, rng in zip(engines, rngs, strict=True)
    )
    assert [len(part.lengths) for part in parts] == [13, 14]
    for name in ("lengths", "speaker"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    for part, rest in zip(parts, (slice(13), slice(13, 27)), strict=True):
        assert len(part.x) == part.lengths.max()
        assert torch.equal(part.x, whole.x[: len(part.x), rest])
    assert rngs[0].random() == rngs[1].random() == rngs[2].random()


def test_two_processes_have_the_curve_of_one(tmp_path):
    options = ("--steps", 12, "--every", 3, "--dropout", 0, "--csv", tmp_path / "run.csv")
    status, output = launch(2, "rnnlit.practice.vowels", "--device", "cpu", *options)
    assert status == 0, output
    history, share = alone(*map(str, options[:-2]))
    told = rows(tmp_path / "run.csv")
    assert [row["step"] for row in told] == [3, 6, 9, 12]
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose([row[name] for row in told], history[name], **TOLERANCE[np.float32])
    assert f"step 12   loss {history['loss'][-1]:.4f}   test accuracy {share:.4f}\n" in output
    assert output.count("test accuracy") == 1


def test_the_script_goes_on_bit_for_bit(tmp_path):
    run, whole = (str(tmp_path / f"{stem}.safetensors") for stem in ("run", "whole"))
    alone("--steps", "12", "--every", "4", "--checkpoint", whole)
    options = ("--device", "cpu", "--every", 4, "--checkpoint", run, "--resume", "auto")
    status, output = launch(1, "rnnlit.practice.vowels", "--steps", 8, *options)  # from the start
    assert status == 0 and output.startswith("step 8   loss "), output
    alone("--steps", "12", *map(str, options[:-1]))  # it is there now
    with open(run, "rb") as one, open(whole, "rb") as other:
        assert one.read() == other.read()


def test_resume_wants_to_know_the_file(capsys):
    with pytest.raises(SystemExit):
        vowels.parse(["--resume"])
    assert "--resume needs --checkpoint" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        vowels.parse(["--checkpoint", "run", "--resume", "perhaps"])
    assert "argument --resume: invalid choice: 'perhaps'" in capsys.readouterr().err
    assert [vowels.parse(["--checkpoint", "run", *words]).resume for words in ([], ["--resume"])] == [
        False,
        True,
    ]


def test_resume_is_that_of_fit(tmp_path):
    """Without auto the file must be there: a name that is typed wrong doesn't train from the start."""
    run = tmp_path / "run.safetensors"
    with pytest.raises(FileNotFoundError, match="checkpoint: expected a file to resume from"):
        alone("--steps", "2", "--checkpoint", str(run), "--resume")
    assert not run.exists()


def test_the_trained_model_runs_in_numpy(tmp_path):
    """It names the same speakers as the model of torch does, without torch in its way."""
    path = tmp_path / "model.safetensors"
    _, share = alone("--steps", "60", "--export", str(path))
    net, (_, test) = models.load(path), standardise(*japanese_vowels())
    h, _ = net["lstm"](test.x, test.lengths)
    logits = layers.affine(net["readout"], layers.mean_pool(h, test.lengths))
    assert (logits.argmax(1) == test.speaker).mean() == share > 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_it_learns_on_a_gpu():
    _, share = vowels.run(vowels.parse([]), Processes("cuda"))
    assert share > 0.93

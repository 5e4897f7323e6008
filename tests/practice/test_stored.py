"""Weights in files. Oracles: the file as safetensors itself reads it, and torch's own rounding."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from rnnlit.practice import stored

V, H = 5, 3


class Tied(nn.Module):
    """An embedding and a last layer that share a matrix, unless told not to."""

    def __init__(self, size: int = V, tied: bool = True) -> None:
        super().__init__()
        self.embed, self.output = nn.Embedding(size, H), nn.Linear(H, size)
        if tied:
            self.output.weight = self.embed.weight


def content(path):
    """Header and tensors."""
    with safe_open(path, framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_file_holds_the_setting_and_each_tensor_once_in_float16(tmp_path):
    torch.manual_seed(0)
    model, path = Tied(), tmp_path / "tied.safetensors"
    stored.save(path, model, {"size": V})
    header, tensors = content(path)
    assert json.loads(header["setting"]) == {"size": V}
    assert set(tensors) == {"embed.weight", "output.bias"}
    for name, tensor in tensors.items():
        assert torch.equal(tensor, model.get_parameter(name).half())


@pytest.mark.parametrize("tied", [True, False])
def test_a_module_comes_back_with_what_it_shares(tmp_path, tied):
    torch.manual_seed(0)
    model, path = Tied(tied=tied), tmp_path / "one.safetensors"
    stored.save(path, model.train(), {"size": V, "tied": tied})
    loaded = stored.load(path, Tied)
    assert not loaded.training and (loaded.output.weight is loaded.embed.weight) == tied
    assert {one.dtype for one in loaded.parameters()} == {torch.float32}
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float())


def test_float32_stays_as_it_is_to_the_last_bit(tmp_path):
    torch.manual_seed(0)
    model, path = nn.Linear(V, H), tmp_path / "one.safetensors"
    stored.save(path, model, {"in_features": V, "out_features": H}, torch.float32)
    assert content(path)[1]["weight"].dtype == torch.float32
    assert torch.equal(stored.load(path, nn.Linear).weight, model.weight)


def test_tensors_can_stand_by_their_names(tmp_path):
    """A transposed view, which a file doesn't take as it is, is laid out anew."""
    torch.manual_seed(0)
    state, path = {"weight": torch.randn(V, H).T, "bias": torch.randn(H)}, tmp_path / "one.safetensors"
    stored.save(path, state, {"in_features": V, "out_features": H})
    assert torch.equal(stored.load(path, nn.Linear).weight, state["weight"].half().float())


def test_the_same_weights_give_the_same_file(tmp_path):
    torch.manual_seed(0)
    model, paths = Tied(), [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        stored.save(path, model, {"size": V})
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_setting_that_no_file_can_hold_leaves_none(tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        stored.save(tmp_path / "one", Tied(), {"size": torch.tensor(V)})
    assert not list(tmp_path.iterdir())


def test_files_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: expected a file, found none"):
        stored.load(tmp_path / "none", Tied)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(V, H)}, other)
    with pytest.raises(ValueError, match="path: expected a file with a setting, as save writes it, got"):
        stored.load(other, Tied)
    other.write_bytes(b"")
    with pytest.raises(ValueError, match="path: expected a safetensors file"):
        stored.load(other, Tied)


@pytest.mark.parametrize("path", sorted(stored.HERE.glob("*.safetensors")), ids=lambda path: path.stem)
def test_each_file_of_the_package_says_how_its_model_is_built(path):
    header, tensors = content(path)
    assert json.loads(header["setting"]) and path.stat().st_size < 4 * 2**20
    wanted = torch.float32 if path.stem.startswith("counting") else torch.float16
    assert {one.dtype for one in tensors.values()} == {wanted}

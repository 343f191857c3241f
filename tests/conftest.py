"""What all tests share: a small bundle trained on digits, made once a run; and a run's settings."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of what tests start, too: several of them share the cores

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

from munkey_core.bundle.read import read_bundle
from munkey_core.config import (
    EncoderConfig,
    ModelConfig,
    OwnersConfig,
    Recipe,
    SplitConfig,
    TrainConfig,
)
from munkey_core.data import load_dataset
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.build import Build
from tests.sharing import ByServer, place

# Networks this small run faster on one thread than on two that wait for each other.
torch.set_num_threads(1)

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

DIGITS = Recipe(
    name="digits",
    split=SplitConfig(
        public_encoder=600,
        public_anchor=200,
        calibration=60,
        validation=100,
        private=300,
        test=300,
    ),
    encoder=EncoderConfig(width=16, grid=2, image_size=16, epochs=8, batch_size=64),
    model=ModelConfig(dim=64),
    train=TrainConfig(epochs=12, batch_size=64),
    owners=OwnersConfig(count=20),
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return ByServer(config, log)


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory):
    """No test finds or leaves a training in the person's own cache; servers inherit this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_environment(cache_of_its_own):
    """What a test lets commands set (`--images` sets $MUNKEY_IMAGES) ends with it."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MUNKEY_")}
    yield
    for name in [name for name in os.environ if name.startswith("MUNKEY_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder for the whole run: the worker that comes first does, and others wait for it.

    Takes its name, and what makes it; nobody may write into it afterwards.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    shared = base / "made-once"
    shared.mkdir(exist_ok=True)

    def made(name, make):
        folder, whole = shared / name / name, shared / f"{name}.whole"
        with FileLock(shared / f"{name}.lock"):
            if not whole.exists():
                folder.parent.mkdir()
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def digits_folder(made_once):
    """A bundle trained on digits: 300 keys, 300 test images, about 5 s."""

    def make(folder):
        build = Build(load_dataset("digits"), DIGITS, folder, torch.device("cpu"), thumbnails=True)
        for _ in build.run():
            pass

    return made_once("digits", make)


@pytest.fixture(scope="session")
def digits_bundle(digits_folder):
    return read_bundle(digits_folder)


@pytest.fixture(scope="session")
def digits_shared(digits_bundle):
    return SharedModel(digits_bundle)


@pytest.fixture
def digits(digits_shared):
    """A fresh session with the digits bundle."""
    return Studio(digits_shared)

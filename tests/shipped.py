"""The bundles that the repository ships, for tests that need them."""

import pytest

from tests.servers import ROOT

PRETRAINED = ROOT / "pretrained"

needs_fashion = pytest.mark.skipif(
    not (PRETRAINED / "fashion" / "manifest.json").is_file(),
    reason="needs the default bundle, pretrained/fashion",
)

"""Reading safetensors files of unknown origin: never a pickle, never more than the file holds."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from munkey_core.errors import BundleError
from munkey_core.files.limits import at_most, limits

_MAX_HEADER = 4_000_000  # bytes; a bundle's largest header has some 20,000
_MAX_TENSORS = 20_000


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Tensors of a safetensors file whose names begin with `prefix`. Raises BundleError."""
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            known = file.keys()
            if len(known) > _MAX_TENSORS:
                raise BundleError(
                    f"{path.name}: wanted at most {_MAX_TENSORS:,} tensors, got {len(known):,}"
                )
            wanted = [name for name in known if name.startswith(prefix)]
            # Copies: tensors of a file that is mapped would become zeros once it is overwritten.
            return {name: file.get_tensor(name).clone() for name in wanted}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        # TypeError, AttributeError: its answers to dtypes that PyTorch has not. RuntimeError:
        # PyTorch's to a file that is replaced by a shorter one while it is read.
        raise BundleError(f"{path.name} is not a safetensors file ({error})") from error


def _check_header(path: Path) -> None:
    """The file begins with its header's length: a false one must not be believed, and a true one of
    many megabytes would take a hundred times as much when it is read."""
    if not path.is_file():
        raise BundleError(f"{path.name} is missing or not a plain file")
    size = path.stat().st_size
    if size > limits().bundle_bytes:
        raise BundleError(f"{path.name}: wanted {at_most('bundle_bytes', 'bytes')}, got {size:,}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_MAX_HEADER, size):
        raise BundleError(
            f"{path.name} is not a safetensors file (its header claims {length:,} bytes)"
        )

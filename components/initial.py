"""Weights to begin with: those of a model that was exported before, instead of random ones.

The export keeps the model's variables in the order of the network (:mod:`components.export`), so a network of the same
type takes them one by one. The optimizer begins anew: its state is not part of what is served.
"""

from __future__ import annotations

from typing import Any

from components.publish import published
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve, verify

__all__ = ["begin_with", "exported_weights"]

_KEY = "variables_of_model/{}/.ATTRIBUTES/VARIABLE_VALUE"


def begin_with(tf: Any, model: Any, initial: Reference) -> None:
    """Give ``model`` the weights of the exported model ``initial``.

    Raises ComponentError: TIP718 another network, with what differs; TIP720 it is missing or altered, or no export of
    these components.
    """
    weights = exported_weights(tf, initial)
    own = [(variable.name.removesuffix(":0"), tuple(variable.shape)) for variable in model.variables]
    shapes = [weight.shape for weight in weights]
    differing = [
        f"{name} is {_shown(shape)} here and {_shown(found)} there"
        for (name, shape), found in zip(own, shapes, strict=False)
        if shape != found
    ]
    if len(own) != len(shapes):
        differing.insert(0, f"{len(own)} variables here and {len(shapes)} there")
    if differing:
        raise ComponentError(
            "TIP718",
            f"the model {initial.uri} is another network than {model.name}: {differing[0]}",
            where=initial.uri,
            cause="; ".join(differing[1:]),
            fix="begin with a model of the same type, or leave initial out",
        )
    model.set_weights(weights)


def exported_weights(tf: Any, initial: Reference) -> list[Any]:
    """The variables of an exported model, in the order of the network. Raises ComponentError TIP720."""
    problem = verify(initial) or ("" if published(initial.uri, content=False) else "it was never sealed")
    if problem:
        raise _unusable(initial, problem)
    try:
        reader = tf.train.load_checkpoint(str(resolve(initial.uri) / "1" / "variables" / "variables"))
        known = reader.get_variable_to_shape_map()
        weights: list[Any] = []
        while (key := _KEY.format(len(weights))) in known:
            weights.append(reader.get_tensor(key))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _unusable(initial, f"{type(error).__name__}: {str(error)[:300]}") from error
    if not weights:
        raise _unusable(initial, "it does not keep its variables in the order of the network")
    return weights


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _unusable(initial: Reference, cause: str) -> ComponentError:
    return ComponentError(
        "TIP720",
        f"the model {initial.uri} cannot be used to begin with",
        where=initial.uri,
        cause=cause,
        fix="name one that a training of these components exported, or leave initial out",
    )

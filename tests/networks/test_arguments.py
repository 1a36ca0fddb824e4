"""Errors of networks name the argument that is wrong, in one line and not in torch's words."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, train

NET = SingleHiddenLayer(n0=3, n1=4, n2=2, activation="tanh")
rng = np.random.default_rng(0)
X, Y = (torch.from_numpy(rng.standard_normal((5, k, 9))) for k in (3, 2))
THETA = NET.initialize(5, rng)
USES = {
    "weights": ["theta"],
    "predict": ["theta", "x"],
    **{m: ["theta", "x", "y"] for m in ("energy", "gradient", "hessian", "hessian_parts")},
    "hvp": ["theta", "v", "x", "y"],
}
GOOD = {"theta": THETA, "v": THETA, "x": X, "y": Y}
WRONG = {
    "one dimension": lambda t: t.reshape(-1),
    "another width": lambda t: torch.cat([t, t], dim=-1 if t.ndim == 2 else -2),
    "no examples": lambda t: t[..., :0],
    "float16": lambda t: t.half(),
    "bfloat16": lambda t: t.bfloat16(),
    "integers": lambda t: t.long(),
    "complex": lambda t: t.to(torch.complex128),
    "numpy": lambda t: t.numpy(),
    "a list": lambda t: t.tolist(),
    "None": lambda t: None,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("method", "name"), [(m, n) for m, names in USES.items() for n in names])
def test_the_argument_is_named(method, name, wrong):
    given = [WRONG[wrong](GOOD[n]) if n == name else GOOD[n] for n in USES[method]]
    with pytest.raises((TypeError, ValueError)) as error:
        getattr(NET, method)(*given)
    text = str(error.value)
    assert text.startswith(f"{name} must be a float tensor of shape (..., ")
    assert len(text) < 150
    assert "\n" not in text


@pytest.mark.parametrize("method", ["predict", "energy", "gradient", "hessian", "hvp"])
def test_what_does_not_go_together_is_named(method):
    names = USES[method]
    good = [GOOD[n] for n in names]
    with pytest.raises(
        ValueError, match=r"must have leading dimensions that broadcast, got shapes"
    ):
        getattr(NET, method)(*good[:-1], good[-1][:3])
    with pytest.raises(TypeError, match=f"^{names[0]}.* and {names[-1]} must have one dtype, got"):
        getattr(NET, method)(*good[:-1], good[-1].float())
    with pytest.raises(TypeError, match=f"^{names[0]}.* and {names[-1]} must have one device, got"):
        getattr(NET, method)(*good[:-1], good[-1].to("meta"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": -1}, r"batch must be in \[0, inf\), got -1"),
        ({"batch": (2, 3.0)}, "batch must be an integer"),
        ({"batch": "3"}, "batch must be an integer"),
        ({"dtype": torch.float16}, "dtype must be torch.float64 or torch.float32, got torch.float"),
        ({"dtype": torch.int64}, "dtype must be torch.float64 or torch.float32, got torch.int64"),
        ({"device": "nowhere"}, "device must be there, got 'nowhere': "),
        ({"device": "cuda:99"}, "device must be there, got 'cuda:99': "),
    ],
)
def test_initial_weights(arguments, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        NET.initialize(**arguments)


@pytest.mark.parametrize("name", ["theta", "x", "y"])
def test_training_refuses_what_is_not_finite(name):
    given = {n: GOOD[n].clone() for n in ("x", "y", "theta")}
    given[name][3, 1] = np.nan
    with pytest.raises(ValueError, match=f"^{name} must be finite, got nan in run 3$"):
        train(NET, **given)


def test_weights_that_require_gradients_are_weights():
    """In every place that takes them, and the energy and the gradient can be differentiated."""
    trainable = {n: torch.nn.Parameter(t.clone()) for n, t in GOOD.items()}
    for method, names in USES.items():
        want = getattr(NET, method)(*(GOOD[n] for n in names))
        found = getattr(NET, method)(*(trainable[n] for n in names))
        pairs = zip(found, want, strict=True) if isinstance(want, tuple) else [(found, want)]
        for one, other in pairs:
            assert torch.equal(one, other)
    energy = NET.energy(*(trainable[n] for n in ("theta", "x", "y"))).sum()
    (slope,) = torch.autograd.grad(NET.n2 * energy, trainable["theta"])
    torch.testing.assert_close(slope, NET.gradient(THETA, X, Y), rtol=1e-12, atol=1e-14)
    found = train(NET, trainable["x"], trainable["y"], trainable["theta"], max_steps=3)
    want = train(NET, X, Y, THETA, max_steps=3)
    assert torch.equal(found.theta, want.theta)

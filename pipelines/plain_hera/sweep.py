"""pipelines/sweep.py in Hera alone."""

from hera.workflows import DAG, Parameter, Workflow, script
from hera.workflows.models import ValueFrom

IMAGE = "tiphys/step:0.1.0"
PARTS = ("train", "validation", "test")
SETTINGS = [{"degree": degree, "ridge": ridge} for degree in (1, 5, 9) for ridge in (0.001, 1.0)]


@script(image=IMAGE, outputs=[Parameter(name=n, value_from=ValueFrom(path=f"/tmp/{n}")) for n in PARTS])
def make(rows: int, seed: int):
    import json

    import numpy as np

    generator = np.random.default_rng(seed)
    x = generator.uniform(-1, 1, rows)
    table = np.stack([x, np.sin(4 * x) + generator.normal(0, 0.1, rows)], axis=1).round(4).tolist()
    parts = {
        "train": table[: rows // 2],
        "validation": table[rows // 2 : rows * 3 // 4],
        "test": table[rows * 3 // 4 :],
    }
    for name, part in parts.items():
        with open(f"/tmp/{name}", "w") as file:
            json.dump(part, file)


@script(image=IMAGE)
def trial(train: list, validation: list, degree: int, ridge: float):
    import numpy as np

    x, y = np.array(train).T
    powers = np.vander(x, degree + 1)
    weights = np.linalg.solve(powers.T @ powers + ridge * np.eye(len(powers.T)), powers.T @ y)
    x, y = np.array(validation).T
    print(round(float(np.mean((np.polyval(weights, x) - y) ** 2)), 6))


@script(image=IMAGE)
def best_of(errors: list, settings: list):
    import json

    errors = [float(error) for error in errors]
    print(json.dumps(settings[errors.index(min(errors))]))


@script(image=IMAGE)
def refit(train: list, validation: list, setting: dict):
    import json

    import numpy as np

    x, y = np.array(train + validation).T
    powers = np.vander(x, setting["degree"] + 1)
    ridge = setting["ridge"] * np.eye(len(powers.T))
    print(json.dumps(list(np.linalg.solve(powers.T @ powers + ridge, powers.T @ y))))


@script(image=IMAGE, outputs=[Parameter(name="text", value_from=ValueFrom(path="/tmp/text"))])
def report(test: list, weights: list):
    import numpy as np

    x, y = np.array(test).T
    error = round(float(np.mean((np.polyval(weights, x) - y) ** 2)), 6)
    text = f"degree {len(weights) - 1}: error {error:.4f} on the test"
    with open("/tmp/text", "w") as file:
        file.write(text)
    print(text)


with (
    Workflow(
        generate_name="sweep-",
        entrypoint="main",
        arguments=[Parameter(name="rows", value="400"), Parameter(name="seed", value="7")],
    ) as w,
    DAG(name="main"),
):
    data = make(arguments={"rows": "{{workflow.parameters.rows}}", "seed": "{{workflow.parameters.seed}}"})
    parts = {name: data.get_parameter(name) for name in PARTS}
    fitted = {name: parts[name] for name in ("train", "validation")}
    trials = trial(
        arguments={**fitted, "degree": "{{item.degree}}", "ridge": "{{item.ridge}}"}, with_items=SETTINGS
    )
    best = best_of(arguments={"errors": trials.result, "settings": SETTINGS})
    weights = refit(arguments={**fitted, "setting": best.result})
    data >> trials >> best >> weights
    weights >> report(arguments={"test": parts["test"], "weights": weights.result})

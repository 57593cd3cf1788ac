"""Where Argo 4.0 and 4.1 differ: the rows of a table in docs/conformance.md."""

from __future__ import annotations

__all__ = ["VERSIONS"]

_FIELDS = "`executorPlugins`, `podResources`, `resourceClaims`, `pendingTimeout`, `http.saveStreamViaFile`, "
_FIELDS += "`s3.addressingStyle`, `restartPolicyRules`, `fileKeyRef`, `podCertificate`"
_ASKED = "the controller of 4.0.5 (`tests/conformance/own40`)"

# (what, 4.0.5, 4.1.2, what `tiphys run --argo 4.0` does, how it was seen)
VERSIONS: tuple[tuple[str, str, str, str, str], ...] = (
    (
        _FIELDS,
        "unknown: refused by strict decoding, dropped by `kubectl apply`",
        "fields",
        "as 4.0: TIP288, dropped with `--lenient`",
        "`argo lint` of both; L116 with `--argo 4.0`",
    ),
    (
        "a step's name with a tag that is not known before the run",
        "refused",
        "taken",
        "as 4.0: `invalid spec`",
        f"`argo lint` of both; {_ASKED}; L206 with `--argo 4.0`",
    ),
    (
        "a container of a set or a sidecar called `wait`",
        "taken, and then the pod is refused: two of a name",
        "refused",
        "as 4.0",
        f"`argo lint` of both; {_ASKED}; no L274 with `--argo 4.0`",
    ),
    (
        "a container of a set or a sidecar called `supervisor` or `artifact-plugin-…`",
        "taken",
        "refused",
        "as 4.0",
        f"`argo lint` of both; {_ASKED}; no L274 with `--argo 4.0`",
    ),
    (
        "a parameter with both `value` and `valueFrom`",
        "`… specified. Choose one.`",
        "`… specified, choose one`",
        "the words of 4.1",
        "`argo lint` of both: the words only",
    ),
    (
        "a key of `podMetadata` that the template's own `metadata` has, too (with `templateRef`: that of the "
        "WorkflowTemplate)",
        "that of `podMetadata` wins",
        "the template's wins",
        "as 4.0",
        f"{_ASKED}; workflow/templateresolution/context.go of both",
    ),
    (
        "an output of a **step** that was skipped, in a tag or an expression of a later step",
        "it waits for ever, also before `??`; behind `?.` it is `nil`",
        "the producer's default, `nil` in expressions, the consumer's default, else an Error",
        "as 4.0, but what waits for ever ends in Error",
        f"{_ASKED}; Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "an output parameter of a **task** that was skipped or omitted, in a tag or an expression of a later task",
        "an empty text, whatever default it has; `??` does not help",
        "the producer's default, `nil` in expressions, the consumer's default, else an Error",
        "as 4.0",
        f"{_ASKED}; Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "an output of a step or task that was skipped, in the outputs of its template",
        "not there: the `default` beside it, else an Error",
        "the producer's default, `nil` in expressions",
        "as 4.0",
        f"{_ASKED}; Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "`{{=steps.a.outputs.parameters.x ?? 'y'}}` of a step or task that ran and has no `x`",
        "it waits for ever",
        "`y`",
        "ends in Error",
        f"{_ASKED}; util/template/expression_template.go of both",
    ),
    (
        "an output of a step or task that **went wrong**, in a tag or an expression of one that runs all the same",
        "it waits for ever, whatever default there is; of a task behind `?.`, too",
        "it waits for ever; behind `?.` it is `nil`",
        "as 4.0, but what waits for ever ends in Error",
        f"{_ASKED}; util/template/expression_template.go of both; L376",
    ),
    (
        "an output's `valueFrom.expression` that gives `nil`",
        "the text `<nil>`, whatever default it has",
        "its default, else an Error",
        "as 4.0",
        f"{_ASKED}; Argo's upgrading guide (changed in 4.0.7)",
    ),
    (
        "a loop of a DAG with an exit handler, an item of which went wrong",
        "the exit handler runs for the loop as a whole, too",
        "for its items only",
        "as 4.1",
        f"{_ASKED}; workflow/controller/dag.go of both",
    ),
    (
        "a `timeout` that cannot be read; a sprig function with too few arguments",
        "other words",
        "",
        "the words of 4.1",
        _ASKED,
    ),
    (
        "a workflow that is retried within a second of its end",
        "may stay Running until the object changes",
        "goes on",
        "goes on",
        "the cluster tests; controller.go of both. `tiphys retry` with a kubeconfig sees to it",
    ),
)
